"""What a hub request says that a target's encode never reads.

Takes a hub request and the dotted paths that the compiler found encode to read; gives (path, why) for the report. Of
messages and tools it takes the names of what they hold, which shaping has seen, and tells those that mean something;
what becomes of each part is told by shaping and encode themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any

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


def unread(request: dict[str, Any], hub_reads: Collection[str]) -> list[tuple[str, str]]:
    """Paths that are present and would be lost."""
    lost: list[tuple[str, str]] = []
    if "*" in hub_reads:
        return lost
    for key, value in request.items():
        if key in _ELSEWHERE or _said_nothing(value) or key in hub_reads:
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
    said = {name for tool in tools for name, value in tool.items() if not _said_nothing(value) and value is not False}
    for holder in ("options", "native"):
        said.update(name for tool in tools for name in below(tool, holder))
    return frozenset(said)


def below(part: dict[str, Any], holder: str) -> list[str]:
    """The names of what a member holds, after its own."""
    held = part.get(holder)
    return [f"{holder}.{name}" for name, value in held.items() if not _said_nothing(value)] if held else []


def _said_nothing(value: Any) -> bool:
    return value is None or value == {} or value == []


def _reads(path: str, hub_reads: Collection[str]) -> bool:
    return path in hub_reads or any(read.startswith(path + ".") for read in hub_reads)
