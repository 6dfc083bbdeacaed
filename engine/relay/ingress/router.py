"""Routes generated from the Format documents, for Falcon: built whole for each program.

A path template may end in a model's name that holds slashes, which a router of path segments can't say; so a template
is a regular expression here, tried only where no fixed path fits. Several formats may serve one path: hints in the
request (a header, a query parameter) choose, and the endpoint without a hint is the default.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.program import Endpoint, Program


_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True)
class ServedPath:
    """The endpoints of one path: method -> endpoints, those with a hint first."""

    by_method: dict[str, list[Endpoint]] = field(default_factory=dict)


class ProgramRouter:
    """Finds the endpoint of a request in a program; those of formats whose kind is none of ``kinds`` are not served."""

    def __init__(self, program: Program, kinds: Container[str]) -> None:
        fixed: dict[str, ServedPath] = {}
        templates: dict[str, ServedPath] = {}
        for endpoint in program.endpoints:
            if program.formats[endpoint.format].kind not in kinds:
                continue
            for path in (endpoint.path, *endpoint.aliases):
                place = (templates if "{" in path else fixed).setdefault(path, ServedPath())
                place.by_method.setdefault(endpoint.method, []).append(endpoint)
        self._served: dict[str, list[str]] = {}
        for spoken in program.formats.values():
            if spoken.kind in kinds:
                paths = dict.fromkeys(f"{endpoint.method} {endpoint.path}" for endpoint in spoken.endpoints)
                self._served.setdefault(spoken.dialect, []).extend(paths)
        self._dialects = {name: spoken.dialect for name, spoken in program.formats.items()}
        self._usual = {name: _first_header(spoken.credentials) for name, spoken in program.formats.items()}
        for served in (*fixed.values(), *templates.values()):
            for endpoints in served.by_method.values():
                endpoints.sort(key=lambda endpoint: not endpoint.when)
        # The longest template first: `{model}:verb` must be tried before a bare `{model}`.
        ordered = sorted(templates.items(), key=lambda item: (-len(item[0]), item[0]))
        self._fixed = fixed
        self._templates = [(_pattern(path), served) for path, served in ordered]

    def find(
        self, method: str, path: str, headers: dict[str, str], query: dict[str, str]
    ) -> tuple[Endpoint | None, dict[str, str], tuple[str, ...]]:
        """Return the endpoint, the path's variables, and the methods that the path is served with, if any."""
        served = self._fixed.get(path) or self._fixed.get(path.rstrip("/"))
        if served is not None:
            return _choose(served, method, headers, query), {}, tuple(served.by_method)
        methods: tuple[str, ...] = ()
        for pattern, served in self._templates:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            endpoint = _choose(served, method, headers, query)
            if endpoint is not None:
                return endpoint, match.groupdict(), tuple(served.by_method)
            if not _verb(match):
                methods += tuple(served.by_method)
        return None, {}, methods

    def nearest(
        self, path: str, headers: Mapping[str, str] = _NOTHING, query: Mapping[str, str] = _NOTHING
    ) -> Endpoint | None:
        """Return the endpoint in whose dialect to say that ``path`` is none.

        That is one that the request hints at, else one of the format whose callers have their key first where this one
        has it, else the one most like the path.
        """
        best: tuple[tuple[bool, bool, int], Endpoint] | None = None
        templates = [
            *self._fixed.items(),
            *((pattern.pattern.replace("\\", ""), served) for pattern, served in self._templates),
        ]
        for template, served in templates:
            shared = next(
                (i for i, (a, b) in enumerate(zip(template, path, strict=False)) if a != b),
                min(len(template), len(path)),
            )
            for endpoint in next(iter(served.by_method.values())):
                hinted = _hinted(endpoint, headers, query)
                usual = self._usual.get(endpoint.format, "") in headers
                rank = (hinted, usual and not endpoint.when, shared)
                if best is None or rank > best[0] or (rank == best[0] and not endpoint.when):
                    best = (rank, endpoint)
        return best[1] if best else None

    def served(self, spoken: str) -> list[str]:
        """Methods and paths of all that is served in the dialect of a format, sorted by path."""
        return sorted(
            dict.fromkeys(self._served.get(self._dialects[spoken], ())), key=lambda entry: entry.split(" ")[::-1]
        )


def _first_header(credentials: Sequence[Mapping[str, str]]) -> str:
    """The header in which callers of a format have their key first."""
    return credentials[0].get("header", "") if credentials else ""


def _verb(match: re.Match[str]) -> bool:
    """Whether what stands for a name ends in a verb (``model:verb``) that is served for none."""
    return any(":" in value.rpartition("/")[2] for value in match.groupdict().values())


def _choose(served: ServedPath, method: str, headers: dict[str, str], query: dict[str, str]) -> Endpoint | None:
    for endpoint in served.by_method.get(method, ()):
        if not endpoint.when or _hinted(endpoint, headers, query):
            return endpoint
    return None


def _hinted(endpoint: Endpoint, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
    """Whether a request has one of the marks of an endpoint: a name, or a name with its value."""
    for kind, mark in endpoint.when:
        name, equal, value = mark.partition("=")
        values = headers if kind == "header" else query
        if name in values and (not equal or values[name] == value):
            return True
    return False


def _pattern(path: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", path)
    text = "".join(f"(?P<{piece}>.+)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces))
    return re.compile(text)
