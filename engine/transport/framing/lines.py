"""Newline-delimited JSON: one value a line.

The decoder gives each line that isn't blank as data without a name; the splitter gives whole lines untouched. Neither
parses JSON.
"""

from __future__ import annotations

from typing import Any

from engine.jsonbytes import dumps
from engine.transport.framing.buffer import LIMIT, Pending
from engine.transport.framing.record import Events, FramingType, end_marker

_BLANKS = b" \t\r\n"


class LinesSplitter:
    """Bytes to the bytes of complete lines."""

    __slots__ = ("_pending",)

    def __init__(self, limit: int = LIMIT) -> None:
        self._pending = Pending(limit)

    def feed(self, piece: bytes) -> tuple[bytes, list[bytes]]:
        """The bytes that may be passed on now, and the lines in them with their ends."""
        pending = self._pending
        if not pending.data and piece.endswith(b"\n"):
            return piece, _lines(piece)
        buffer = pending.add(piece)
        end = buffer.rfind(b"\n", pending.seen) + 1
        if not end:
            pending.seen = len(buffer)
            pending.bound()
            return b"", []
        complete = pending.take(end)
        pending.seen = len(pending.data)
        pending.bound()
        return complete, _lines(complete)

    def tail(self) -> bytes:
        """The bytes of the line that has not ended."""
        return bytes(self._pending.data)


def _lines(text: bytes) -> list[bytes]:
    if text.find(b"\n") == len(text) - 1:
        return [text]
    return [line + b"\n" for line in text[:-1].split(b"\n")]


class LinesDecoder:
    """Bytes to (None, line) pairs."""

    __slots__ = ("_marker", "_splitter", "done", "exception")

    def __init__(self, marker: bytes | None = None, limit: int = LIMIT) -> None:
        self._marker = marker
        self._splitter = LinesSplitter(limit)
        self.done = False
        self.exception = False

    def feed(self, piece: bytes) -> Events:
        """The lines that ``piece`` completes."""
        return self._events(self._splitter.feed(piece)[1])

    def finish(self) -> Events:
        """The last line, if it lacks only its end."""
        return self._events([self._splitter.tail()])

    def _events(self, lines: list[bytes]) -> Events:
        out: Events = []
        for line in lines:
            data = line.strip(_BLANKS)
            if data and data == self._marker:
                self.done = True
            elif data:
                out.append((None, data))
        return out


class LinesEncoder:
    """Data to lines."""

    content_type = "application/x-ndjson"

    __slots__ = ("_marker",)

    def __init__(self, marker: str | None = None) -> None:
        self._marker = marker

    def start(self) -> bytes:
        """Bytes before the first line: none."""
        return b""

    def event(self, data: dict[str, Any]) -> bytes:
        """One line."""
        return dumps(data) + b"\n"

    def done(self) -> bytes:
        """The end's marker, if the format has one."""
        return b"" if self._marker is None else self._marker.encode() + b"\n"

    def ping(self, data: dict[str, Any] | None = None, comment: str | None = None) -> bytes:
        """A line if data is given: blank lines break some readers."""
        return b"" if data is None else self.event(data)


FRAMING = FramingType(
    "ndjson",
    LinesEncoder.content_type,
    lambda rules, limit: LinesDecoder(end_marker(rules), limit),
    LinesSplitter,
    lambda rules: LinesEncoder(rules.get("done")),
)
