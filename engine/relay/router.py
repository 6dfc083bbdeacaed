"""Routes generated from the Format documents, for Falcon: rebuilt whole when a new program is swapped in.

A path template may end in a model's name that holds slashes, which a router of path segments can't say; so a template
is a regular expression here, tried only where no fixed path fits. Several formats may serve one path: hints in the
request (a header, a query parameter) choose, and the endpoint without a hint is the default.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.program import Endpoint, Program


@dataclass(slots=True)
class Served:
    """The endpoints of one path: method -> endpoints, those with a hint first."""

    by_method: dict[str, list[Endpoint]] = field(default_factory=dict)


class ProgramRouter:
    """Finds the endpoint of a request in the newest program."""

    def __init__(self) -> None:
        self._fixed: dict[str, Served] = {}
        self._templates: list[tuple[re.Pattern[str], Served]] = []

    def fill(self, program: Program) -> None:
        """Take the routes of ``program``; requests see all of them or none."""
        fixed: dict[str, Served] = {}
        templates: dict[str, Served] = {}
        for endpoint in program.endpoints:
            for path in (endpoint.path, *endpoint.aliases):
                place = (templates if "{" in path else fixed).setdefault(path, Served())
                place.by_method.setdefault(endpoint.method, []).append(endpoint)
        for served in (*fixed.values(), *templates.values()):
            for endpoints in served.by_method.values():
                endpoints.sort(key=lambda endpoint: not endpoint.when)
        # The longest template first: `{model}:verb` must be tried before a bare `{model}`.
        ordered = sorted(templates.items(), key=lambda item: (-len(item[0]), item[0]))
        self._fixed, self._templates = fixed, [(_pattern(path), served) for path, served in ordered]

    def find(
        self, method: str, path: str, headers: dict[str, str], query: dict[str, str]
    ) -> tuple[Endpoint | None, dict[str, str], tuple[str, ...]]:
        """Return the endpoint, the path's variables, and the methods that the path is served with, if any."""
        served = self._fixed.get(path) or self._fixed.get(path.rstrip("/"))
        if served is not None:
            return _choose(served, method, headers, query), {}, tuple(served.by_method)
        methods: tuple[str, ...] = ()
        for pattern, served in self._templates:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            endpoint = _choose(served, method, headers, query)
            if endpoint is not None:
                return endpoint, found.groupdict(), tuple(served.by_method)
            methods += tuple(served.by_method)
        return None, {}, methods

    def nearest(self, path: str) -> Endpoint | None:
        """Return the endpoint most like ``path``: in whose dialect to say that it is none."""
        best: tuple[int, Endpoint] | None = None
        known = [
            *self._fixed.items(),
            *((pattern.pattern.replace("\\", ""), served) for pattern, served in self._templates),
        ]
        for template, served in known:
            shared = next(
                (i for i, (a, b) in enumerate(zip(template, path, strict=False)) if a != b),
                min(len(template), len(path)),
            )
            endpoint = next(iter(served.by_method.values()))[-1]
            if best is None or shared > best[0]:
                best = (shared, endpoint)
        return best[1] if best else None


def _choose(served: Served, method: str, headers: dict[str, str], query: dict[str, str]) -> Endpoint | None:
    for endpoint in served.by_method.get(method, ()):
        if not endpoint.when or any(name in (headers if kind == "header" else query) for kind, name in endpoint.when):
            return endpoint
    return None


def _pattern(path: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", path)
    text = "".join(f"(?P<{piece}>.+)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces))
    return re.compile(text)
