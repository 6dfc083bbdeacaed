"""How a format tells usage: where an answer holds its counts, and how a stream is asked for them. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.program import layout
from engine.program.layout import Function, data


@dataclass(frozen=True, slots=True)
class UsageRequest:
    """How a stream is asked for its usage: the path to set, and which chunk is there only for it (``_r, data``)."""

    path: tuple[str, ...] = data(read=layout.items, needed=True)
    chunk_when: Function | None = data(read=layout.function)


@dataclass(frozen=True, slots=True)
class UsageRules:
    """Where an answer holds its counts and what each of them means."""

    at: Function | None = data(read=layout.function)
    """(_r, body, model) -> the usage object; ``model`` is the name that the provider was asked for."""
    counts: dict[str, Any] = data(read=layout.mapping)
    whole: bool = data(read=layout.flag, default=False)
    """Each piece of a stream's usage is all of it."""
    running: bool = data(read=layout.flag, default=False)
    """Each event of a stream that tells usage tells what was made until then."""
