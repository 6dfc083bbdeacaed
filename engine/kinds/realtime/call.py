"""A call that is a live connection: which formats it can go to, and what was open before its channel was known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.relay.call import Call

if TYPE_CHECKING:
    from engine.program import Format
    from engine.transport.websocket import Message, WebSocket


@dataclass(slots=True)
class Opened:
    """A caller's connection whose first message names the model. ``messages`` are those that follow it."""

    socket: WebSocket
    messages: Iterator[Message]
    first: Message


@dataclass(slots=True)
class RealtimeCall(Call):
    """See the module."""

    opened: Opened | None = None

    @staticmethod
    def speaks(asked: Format, spoken: Format) -> bool:
        """Events pass within a family, and are translated between two that both say how."""
        if asked.passthrough_as == spoken.passthrough_as:
            return True
        theirs, ours = spoken.realtime, asked.realtime
        if theirs is None or ours is None or asked.stream is None or spoken.stream is None:
            return False
        return ours.decode is not None and bool(theirs.encode) and spoken.stream.decode is not None
