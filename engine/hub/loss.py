"""What a hub request says that a target's encode never reads.

Takes a hub request and the dotted paths that the compiler found encode to read; gives (path, why) for the report. Of
messages and tools it takes the names of what they hold, which shaping has seen, and tells those that mean something;
what becomes of each part is told by shaping and encode themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from engine.errors import Refusal

_ELSEWHERE = frozenset({"model", "stream", "stream_usage", "messages", "tools", "extensions"})
_WHY = "the provider's format has no word for it"
_MEANT = {
    "messages": ("name",),
    "messages.parts": ("detail", "citations", "cache", "context", "phase", "caller"),
    "tools": (
        *("strict", "cache", "defer", "grammar", "output_schema", "behavior", "namespace_description"),
        *("options.context_size", "options.max_uses", "options.allowed_domains", "options.blocked_domains"),
        "options.location",
    ),
}
"""Members whose loss is worth telling; all others are how the hub itself says things."""


_MEDIA = ("image", "audio", "video", "file")
_CONTENT = {
    **dict.fromkeys(_MEDIA, "source"),
    "tool_call": "arguments",
    "tool_result": "parts",
    **dict.fromkeys(("json", "server_call", "server_result", "unknown"), "value"),
}
"""The member without which nothing is said of a part, by its kind; what is text may stand anywhere."""
ONE = "[one]"
"""Behind a list of which encode takes one item only (engine.compiler.analyses.request_fields)."""


@dataclass(frozen=True, slots=True)
class _Lists:
    """What encode takes of lists that it may not go through, and of the kinds of parts."""

    one: frozenset[str]
    none: frozenset[str]
    outer: frozenset[str]
    inner: frozenset[str]


@lru_cache(maxsize=256)
def _lists(hub_reads: frozenset[str]) -> _Lists:
    single = frozenset(path.removesuffix(f".{ONE}") for path in hub_reads if path.endswith(f".{ONE}"))
    none = frozenset(name for name in ("messages", "tools") if not _takes(name, hub_reads))
    outer, inner = (
        frozenset(kind for kind, member in _CONTENT.items() if not _takes(f"{holder}.{member}", hub_reads))
        for holder in ("messages.parts", "messages.parts.parts")
    )
    return _Lists(single, none, outer, inner)


def wordless(hub_reads: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The kinds of parts of which encode takes nothing: of a message's own, and of those in a tool's result."""
    lists = _lists(hub_reads)
    return lists.outer, lists.inner


def wordless_parts(
    messages: Iterable[dict[str, Any]], outer: Collection[str], inner: Collection[str]
) -> Iterator[tuple[str, str, bool]]:
    """(path, kind, whether it stands in a result) of the parts of these kinds."""
    for number, message in enumerate(messages):
        for index, part in enumerate(message["parts"]):
            path = f"messages[{number}].parts[{index}]"
            if part.get("type") in outer:
                yield path, part["type"], False
            for deeper, held in enumerate(part.get("parts") or ()) if inner else ():
                if held.get("type") in inner:
                    yield f"{path}.parts[{deeper}]", held["type"], True


def unsaid(messages: list[dict[str, Any]], outer: Collection[str], inner: Collection[str]) -> list[tuple[str, str]]:
    """Lines for parts of which encode takes nothing; a medium of a message's own is refused, as nobody expects that."""
    lines: dict[tuple[str, str], None] = {}
    for path, kind, within in wordless_parts(messages, outer, inner):
        if kind in _MEDIA and not within:
            raise Refusal(path, f"the provider's format takes no {kind}")
        where = " in a tool's result" if within else ""
        lines[f"messages.parts.{_CONTENT[kind]}", f"the provider's format has no word for a {kind}{where}"] = None
    return list(lines)


def unread(request: dict[str, Any], hub_reads: frozenset[str]) -> list[tuple[str, str]]:
    """Paths that are present and would be lost."""
    lost: list[tuple[str, str]] = []
    if "*" in hub_reads:
        return lost
    lists = _lists(hub_reads)
    for key, value in request.items():
        if key in lists.one and isinstance(value, list) and len(value) > 1:
            lost.append((key, f"the provider's format takes one of {len(value)}; the others are left out"))
        elif key in lists.none and value:
            lost.append((key, _WHY))
        if key in _ELSEWHERE or _said_nothing(value) or key in hub_reads:
            continue
        if key == "compaction" and not _reads(f"{key}.threshold", hub_reads):
            if value.get("meant"):
                raise Refusal(key, "the provider of this model does not compact conversations; leave it out")
            lost.append((key, _WHY))
            continue
        if isinstance(value, dict):
            below = (f"{key}.{name}" for name, inner in value.items() if not _said_nothing(inner))
            lost.extend((path, _WHY) for path in below if not _reads(path, hub_reads))
        elif not _reads(key, hub_reads):
            lost.append((key, _WHY))
    return lost


@lru_cache(maxsize=4096)
def untold(where: str, members: frozenset[str], hub_reads: frozenset[str]) -> list[tuple[str, str]]:
    """Of the names that parts, messages or tools were seen to have, those that would be lost.

    PERF: conversations hold the same few names again and again, and working it out is 4 % of their way.
    """
    if "*" in hub_reads:
        return []
    meant = [*_MEANT[where], *(name for name in members if name.startswith("native."))]
    return [(f"{where}.{name}", _WHY) for name in meant if name in members and not _reads(f"{where}.{name}", hub_reads)]


def members(tools: Iterable[dict[str, Any]]) -> frozenset[str]:
    """What definitions of tools say, by name; of options each, and of what only one format has, whose it is."""
    names = {name for tool in tools for name, value in tool.items() if not _said_nothing(value) and value is not False}
    for holder in ("options", "native"):
        names.update(name for tool in tools for name in below(tool, holder))
    return frozenset(names)


def below(part: dict[str, Any], holder: str) -> list[str]:
    """The names of what a member holds, after its own."""
    held = part.get(holder)
    return [f"{holder}.{name}" for name, value in held.items() if not _said_nothing(value)] if held else []


def _said_nothing(value: Any) -> bool:
    return value is None or value == {} or value == []


def _takes(path: str, hub_reads: Collection[str]) -> bool:
    """Whether encode takes what stands there, alone or with all that holds it."""
    steps = path.split(".")
    whole = (".".join(steps[:size]) for size in range(1, len(steps)))
    return "*" in hub_reads or _reads(path, hub_reads) or any(holder in hub_reads for holder in whole)


def _reads(path: str, hub_reads: Collection[str]) -> bool:
    return path in hub_reads or path in _holders(frozenset(hub_reads))


@lru_cache(maxsize=256)
def _holders(hub_reads: frozenset[str]) -> frozenset[str]:
    """What holds something that is read. PERF: a caller's map may have any number of names."""
    return frozenset(path[:end] for path in hub_reads for end, char in enumerate(path) if char == ".")
