"""What the demands share while one request is shaped: the request under way, the rules, the report, the memo.

Takes a hub request and copies it just deep enough that nobody else's data is changed: messages and their part lists
are new, a part is replaced when it changes. Knows none of the demands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import re2

from engine.bounds import LONGEST_KEPT
from engine.errors import CallError
from engine.hub.types import Part

_STEP = re.compile(r"[^.\[\]]+")
Fetch = Callable[[list[str]], dict[str, tuple[str, bytes] | CallError]]
"""addresses -> (mime, bytes) of each, or why it can't be had; together, so that none waits for another."""


@lru_cache(maxsize=256)
def pattern(text: str) -> Any:
    """A declared pattern, compiled once."""
    return re2.compile(text)


def matches(form: str, text: str) -> bool:
    """Whether a declared pattern matches the whole text. PERF: 5 us unless known; names repeat with every request."""
    return _matches(form, text) if len(text) <= LONGEST_KEPT else pattern(form).fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _matches(form: str, text: str) -> bool:
    return pattern(form).fullmatch(text) is not None


@dataclass(slots=True)
class Memo:
    """What was renamed for the target and must be named back in its answer."""

    names: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    custom: dict[str, str] = field(default_factory=dict)
    """Tools that were dressed as functions: name at the target -> member that holds the text."""
    output_tool: str | None = None
    """The tool by which a structured answer is given."""

    def __bool__(self) -> bool:
        return bool(self.names or self.ids or self.custom or self.output_tool)


@dataclass(slots=True)
class Seen:
    """What a conversation holds, found in the pass that checks it: a demand on what it lacks needs no pass of its own.

    May name more than is left later on, never less.
    """

    kinds: set[Any] = field(default_factory=set)
    """Of parts at any depth; text alone is not told."""
    members: set[str] = field(default_factory=set)
    """Names of what parts hold, unless they are plain text."""
    told: set[str] = field(default_factory=set)
    """Names of what messages hold, if more than role and parts."""
    defined: frozenset[str] = frozenset()
    """Names of what the tools say at the target."""
    roles: set[str] = field(default_factory=set)
    signed: bool = False
    failed: bool = False
    """A result says that its call failed."""
    strays: bool = False
    """A result stands in another turn than a tool's."""
    empty: bool = False
    """There are turns without parts, or texts of nothing or nothing but space."""
    tools: bytes | None = None
    """The definitions of tools as text, see `engine.hub.shape.known`."""


@dataclass(slots=True)
class Work:
    """One request being shaped."""

    request: dict[str, Any]
    rules: dict[str, Any]
    ctx: dict[str, Any]
    lines: list[tuple[str, str]]
    native: Collection[str]
    fetch: Fetch | None = None
    kin: Collection[str] | None = None
    """Formats whose file ids the target knows; ``None``: not known here, the rules decide."""
    memo: Memo = field(default_factory=Memo)
    seen: Seen = field(default_factory=Seen)
    lost: dict[str, Any] = field(default_factory=dict)
    """By the paths of numbered lines what stood there when they were told."""
    _told: set[tuple[str, str]] = field(default_factory=set)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation; may be changed in place."""
        messages: list[dict[str, Any]] = self.request["messages"]
        return messages

    def report(self, path: str, why: str, value: Any = None) -> None:
        """Tell one change, once; ``value`` is what was lost, where it no longer stands at its path."""
        if (path, why) not in self._told:
            self._told.add((path, why))
            self.lines.append((path, why))
            if "[" in path and path not in self.lost:
                self.lost[path] = self._at(path) if value is None else value

    def _at(self, path: str) -> Any:
        """The value at a path of the request, or the last one on the way to it."""
        value: Any = self.request
        for step in _STEP.findall(path):
            members = value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list) else {}
            key: Any = int(step) if isinstance(value, list) and step.isdecimal() else step
            if key not in members:
                break
            value = members[key]
        return value

    def places(self) -> Iterator[tuple[str, list[Part], int]]:
        """Every part with its path and the list that holds it; parts inside results too."""
        for number, message in enumerate(self.messages):
            for index, part in enumerate(message["parts"]):
                path = f"messages[{number}].parts[{index}]"
                yield path, message["parts"], index
                if part.get("type") == "tool_result" and isinstance(part.get("parts"), list):
                    inner = list(part["parts"])
                    message["parts"][index] = {**part, "parts": inner}
                    for deeper in range(len(inner)):
                        yield f"{path}.parts[{deeper}]", inner, deeper


def begin(request: dict[str, Any]) -> dict[str, Any]:
    """A copy of the request whose messages and part lists are its own."""
    copy = dict(request)
    copy["messages"] = [
        {**message, "parts": list(message.get("parts") or ())} for message in request.get("messages") or ()
    ]
    return copy
