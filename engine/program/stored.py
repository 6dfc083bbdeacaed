"""How a format's answers are kept, and how a later request goes on from one. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.program import layout
from engine.program.layout import Function, data


@dataclass(frozen=True, slots=True)
class Stored:
    """How answers are kept, and how a request goes on from one: names of wire fields, and mappings."""

    field: str = data(needed=True)
    keep: str = data(needed=True)
    input: str = data(needed=True)
    output: str = data(needed=True)
    id: str = data(needed=True)
    prefix: str = data(read=layout.text)
    paging: dict[str, Any] = data(read=layout.mapping)
    replay: dict[str, str] = data(read=layout.mapping)
    """Query names of an answer's being told as a stream."""
    items: Function = data(read=layout.function, needed=True)
    """(_r, input) -> the new items of a request."""
    carry: Function | None = data(read=layout.function)
    """(_r, item, same) -> a kept item as input elsewhere, or nothing."""
    reference: Function | None = data(read=layout.function)
    """(_r, item) -> the id of the kept item that it stands for, or nothing."""
    final: Function = data(read=layout.function, needed=True)
    """(_r, data) -> the whole answer in a wire event, or nothing."""
    pending: Function | None = data(read=layout.function)
    """(_r, answer) -> whether it is still being made."""
    cancellable: Function | None = data(read=layout.function)
    """(_r, answer) -> whether it may be cancelled."""
    listed: Function = data(read=layout.function, needed=True)
    """(_r, item, seed)"""
    page: Function = data(read=layout.function, needed=True)
    """(_r, items, first, last, more)"""
    deleted: Function = data(read=layout.function, needed=True)
    """(_r, id)"""
    background: str = data(read=layout.text, default="")
    """The request's field that asks for an answer to be made in the background."""
