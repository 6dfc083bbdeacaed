"""What a hub request says that a target's encode never reads.

Takes a hub request and the dotted paths that the compiler found encode to read; gives (path, why) for the report.
Messages and tools are not looked at here: shaping and encode report their own losses.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

_ELSEWHERE = frozenset({"model", "stream", "stream_usage", "messages", "extensions"})
_WHY = "the provider's format has no word for it"


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


def _said_nothing(value: Any) -> bool:
    return value is None or value == {} or value == []


def _reads(path: str, hub_reads: Collection[str]) -> bool:
    return path in hub_reads or any(read.startswith(path + ".") for read in hub_reads)
