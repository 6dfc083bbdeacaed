"""A JSON array that arrives element by element, perhaps pretty-printed.

The scanner finds where each element of the outer array ends, whatever strings hold; decoder and splitter are built on
it. An object that stands alone, as error answers do, is taken as one element. No JSON is parsed here.
"""

from __future__ import annotations

import re
from typing import Any

from engine.jsonbytes import dumps
from engine.transport.faults import TransportError
from engine.transport.framing.buffer import LIMIT, Pending
from engine.transport.framing.record import Events, FramingType

# PERF: strings and all else that is no bracket go by in one match (possessive, so never tried twice), which makes a
# chunk of 250 bytes 10 us instead of 14. Where it stops there is a bracket, the end, or a string that has not ended.
_SKIP = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\[\s\S])*+")*+')
_IN_STRING = re.compile(rb'["\\]')
_BETWEEN = b" \t\r\n,"
_QUOTE, _OPEN, _CLOSE, _LIST, _END = b'"{}[]'


class _Scanner:
    """Finds the ends of elements in a growing buffer, each byte looked at once."""

    __slots__ = ("_at", "_depth", "_in_string", "_list", "closed", "pending")

    def __init__(self, limit: int) -> None:
        self.pending = Pending(limit)
        self._at = 0
        self._depth = 0
        self._in_string = False
        self._list = False
        self.closed = False

    @property
    def open(self) -> bool:
        """Whether the array or an element has begun and not ended."""
        return self._depth > 0 or (self._list and not self.closed)

    def feed(self, piece: bytes) -> list[bytes]:
        """The complete pieces of the stream: each ends with an element, or with the array's end."""
        buffer = self.pending.add(piece)
        ends: list[int] = []
        while self._leave_string(buffer):
            match = _SKIP.match(buffer, self._at)
            self._at = end = match.end() if match else self._at
            if end == len(buffer):
                break
            self._at = end + 1
            self._mark(buffer[end], end + 1, ends)
        if self.closed and not self._depth and len(buffer) > (ends[-1] if ends else 0):
            ends.append(len(buffer))
        if not ends:
            self.pending.bound()
            return []
        complete = self.pending.take(ends[-1])
        self._at -= len(complete)
        self.pending.bound()
        return [complete[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def _mark(self, mark: int, end: int, ends: list[int]) -> None:
        if mark == _QUOTE:
            self._in_string = True
        elif mark == _LIST and not self._depth and not self._list:
            self._list = True
        elif mark in (_OPEN, _LIST):
            self._depth += 1
        elif self._depth:
            self._depth -= 1
            if not self._depth:
                ends.append(end)
        elif mark == _END and self._list and not self.closed:
            self.closed = True
            ends.append(end)
        else:
            raise TransportError("protocol", "the upstream's json array closes a bracket that it did not open")

    def _leave_string(self, buffer: bytearray) -> bool:
        """Go to the end of a string that is open; False when that has not come."""
        while self._in_string:
            match = _IN_STRING.search(buffer, self._at)
            if match is None:
                self._at = max(self._at, len(buffer))
                return False
            if buffer[match.start()] == _QUOTE:
                self._in_string = False
                self._at = match.end()
            else:
                # The escaped byte may not have come; the place behind it is right all the same.
                self._at = match.end() + 1
        return True


class ArrayDecoder:
    """Bytes to (None, element) pairs."""

    __slots__ = ("_scanner", "done", "exception")

    def __init__(self, limit: int = LIMIT) -> None:
        self._scanner = _Scanner(limit)
        self.done = False
        self.exception = False

    def feed(self, piece: bytes) -> Events:
        """The elements that ``piece`` completes."""
        out: Events = []
        for part in self._scanner.feed(piece):
            data = part.strip(_BETWEEN)
            if data.startswith(b"[") and not data.endswith(b"]"):
                data = data[1:].lstrip(_BETWEEN)
            if data.startswith(b"{"):
                out.append((None, data))
            elif data.strip(b"[] \t\r\n,"):
                raise TransportError("protocol", "the upstream's json array holds something else than objects")
        self.done = self._scanner.closed
        return out

    def finish(self) -> Events:
        """Nothing more; raises ``TransportError`` (cut) when the array has not come to its end."""
        if self._scanner.open or self._scanner.pending.data.strip(_BETWEEN):
            raise TransportError("cut", "the upstream's json array ended too early")
        return []


class ArraySplitter:
    """Bytes to the bytes of complete elements, each with what stands before it."""

    __slots__ = ("_scanner",)

    def __init__(self, limit: int = LIMIT) -> None:
        self._scanner = _Scanner(limit)

    def feed(self, piece: bytes) -> tuple[bytes, list[bytes]]:
        """The bytes that may be passed on now, and the elements in them."""
        events = self._scanner.feed(piece)
        return (events[0] if len(events) == 1 else b"".join(events)), events

    def tail(self) -> bytes:
        """The bytes after the last complete element."""
        return bytes(self._scanner.pending.data)


class ArrayEncoder:
    """Data to elements of one array."""

    content_type = "application/json"

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = False

    def start(self) -> bytes:
        """Bytes before the first element: none, the bracket comes with it."""
        return b""

    def event(self, data: dict[str, Any]) -> bytes:
        """One element with the bracket or comma before it."""
        head = b",\r\n" if self._begun else b"["
        self._begun = True
        return head + dumps(data)

    def done(self) -> bytes:
        """The array's end."""
        return b"]" if self._begun else b"[]"

    def ping(self, data: dict[str, Any] | None = None, comment: str | None = None) -> bytes:
        """White space, which may stand anywhere between elements."""
        return b"\n"


FRAMING = FramingType(
    "json-array",
    ArrayEncoder.content_type,
    lambda rules, limit: ArrayDecoder(limit),
    ArraySplitter,
    lambda rules: ArrayEncoder(),
    streams_only=False,
    pings_freely=True,
)
