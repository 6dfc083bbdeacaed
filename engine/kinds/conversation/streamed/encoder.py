"""The caller's side of a stream: hub events to bytes, pings, and what ends it properly or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from engine.hub import usage as usages
from engine.relay.dialect import error_body
from engine.transport import framing

if TYPE_CHECKING:
    from engine.kinds.conversation.answers import Exchange
    from engine.kinds.conversation.call import ConversationCall
    from engine.routing.attempt import Report


class Encoder:
    """The caller's side: hub events to bytes, pings, and what ends a stream properly or not."""

    def __init__(self, call: ConversationCall, report: Report, request: dict[str, Any], ctx: dict[str, Any]) -> None:
        speaker = call.format
        self._call = call
        self._given = (report, request, ctx)
        self._frame = framing.encoder(call.framing)
        self._write = self._frame.event
        self._table = speaker.stream.encode if speaker.stream else {}
        self._ping = speaker.stream.ping if speaker.stream else {}
        self.content_type = self._frame.content_type
        self.opened = False

    def start(self) -> bytes:
        """What stands before the first event."""
        self.opened = True
        return self._frame.start()

    def encode(self, emitted: list[Any], message: dict[str, Any]) -> bytes:
        """Return the bytes of what the assembler emitted."""
        table, write = self._table, self._write
        report, request, ctx = self._given
        out: list[bytes] = []
        for name, event, part, item in emitted:
            function = table.get(name)
            if function is not None:
                for data in function(report, event, part, item, message, request, ctx) or ():
                    out.append(write(data))
        return b"".join(out)

    def data(self, data: dict[str, Any]) -> bytes:
        """Return the bytes of one wire event."""
        return self._write(data)

    def ping(self) -> bytes:
        """What keeps proxies awake in this format; nothing where any byte would be an error."""
        if framing.pings_freely(self._call.framing):
            return self._frame.ping()
        if self._ping.get("comment") is not None:
            return self._frame.ping(comment=self._ping["comment"])
        if self._ping.get("data") is not None:
            return self._frame.ping(data=self._ping["data"])
        return self._frame.ping() if self._ping and not self._ping.get("none") else b""

    def done(self) -> bytes:
        """What stands after the last event."""
        return self._frame.done()

    def error(self, error: dict[str, Any]) -> bytes:
        """Return the caller's error event."""
        function = self._table.get("error")
        if function is None:
            return self.data(orjson.loads(error_body(self._call.format, error, self._given[2])))
        message: dict[str, Any] = {"parts": [], "items": [], "usage": usages.EMPTY, "finish": None}
        events = [("error", {"type": "error", **error}, None, None)]
        return self.encode(events, message)


def encoder_of(answered: Exchange) -> Encoder:
    """The caller's side of an answer that has begun."""
    return Encoder(answered.call, answered.report, answered.request, answered.ctx)
