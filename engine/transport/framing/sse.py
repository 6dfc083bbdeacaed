"""Server-sent events: the text/event-stream framing, read, split and written.

The decoder takes bytes in any cut and gives (event name, data) pairs; lines may end in LF, CR LF or CR, data may have
several lines, comments, ids and retry times are skipped, events without data are dropped. The splitter gives the bytes
of complete events untouched. Neither knows what the data means.
"""

from __future__ import annotations

import re
from typing import Any

from engine.jsonbytes import dumps
from engine.transport.framing.buffer import LIMIT, Pending
from engine.transport.framing.record import Events, FramingType, Rules, end_marker

_BOM = b"\xef\xbb\xbf"
_EOL = rb"(?:\r?\n|\r(?=[^\n]))"
_BLANK = re.compile(_EOL + _EOL)
# The longest blank line and one byte more, less the byte that just came.
_OVERLAP = 3
_NAMES = 100


class SseDecoder:
    """Bytes to (event name, data) pairs; ``done`` turns True at the end marker, which is not given as an event."""

    __slots__ = ("_after_cr", "_at_start", "_marker", "_pending", "done", "exception")

    def __init__(self, marker: bytes | None = None, limit: int = LIMIT) -> None:
        self._marker = marker
        self._pending = Pending(limit)
        self._after_cr = False
        self._at_start = True
        self.done = False
        self.exception = False

    def feed(self, piece: bytes) -> Events:
        """The events that ``piece`` completes."""
        pending = self._pending
        if self._after_cr or 0x0D in piece:  # PERF: a number is looked for at once, a text makes an error first
            piece = self._plain_ends(piece)
        if pending.data or self._at_start:
            piece = self._joined(piece)
        end = piece.rfind(b"\n\n") + 2
        if end == 1:
            pending.seen = len(pending.add(piece))
            pending.bound()
            return []
        size = len(piece)
        # PERF: one whole event per packet is the usual case: 0.7 us for it, 1.5 us by the loop.
        if end == size:
            start = piece.find(b"\n") + 1 if piece.startswith(b"event: ") else 0
            if piece.startswith(b"data: ", start) and piece.find(b"\n", start) == size - 2:
                data = piece[start + 6 : -2]
                if data != self._marker and data:
                    return [(piece[7 : start - 1].decode("utf-8", "replace") or None if start else None, data)]
        if end != size:
            pending.add(piece[end:])
            pending.bound()
        return self._blocks(piece[:end])

    def finish(self) -> Events:
        """Events that only lack the blank line at the end; data that is cut in the middle shows when it is parsed."""
        rest = bytes(self._pending.take(len(self._pending.data)))
        return self._blocks(rest.removeprefix(_BOM) if self._at_start else rest)

    def _plain_ends(self, piece: bytes) -> bytes:
        """The piece with LF for CR LF and CR; an LF whose CR came with the piece before is taken off."""
        if self._after_cr and piece.startswith(b"\n"):
            piece = piece[1:]
            self._after_cr = False
        if piece:
            self._after_cr = piece.endswith(b"\r")
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _joined(self, piece: bytes) -> bytes:
        """What was held back and the piece, if that ends an event or begins the stream; else nothing."""
        pending = self._pending
        buffer = pending.add(piece)
        if self._at_start:
            if _BOM.startswith(buffer) and len(buffer) < 3:
                return b""
            self._at_start = False
            if buffer.startswith(_BOM):
                del buffer[:3]
        end = buffer.rfind(b"\n\n", max(0, pending.seen - 1))
        if end < 0:
            pending.seen = len(buffer)
            pending.bound()
            return b""
        out = pending.take(len(buffer))
        pending.seen = 0
        return out

    def _blocks(self, text: bytes) -> Events:
        out: Events = []
        for block in text.split(b"\n\n"):
            if not block:
                continue
            event, data = _fields(block)
            if not data:
                continue
            if data == self._marker:
                self.done = True
            else:
                out.append((event, data))
        return out


def only_data(event: bytes) -> bytes | None:
    """The data of a whole event that has one line of it and nothing unusual; None for any other. PERF: 0.3 us."""
    start = event.find(b"\n") + 1 if event.startswith(b"event: ") else 0
    if event.startswith(b"data: ", start) and event.find(b"\n", start) == len(event) - 2:
        return event[start + 6 : -2]
    return None


def _fields(block: bytes) -> tuple[str | None, bytes]:
    """Event name and data of one event's lines."""
    event: str | None = None
    lines: list[bytes] = []
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"data":
            lines.append(value.removeprefix(b" "))
        elif name == b"event":
            event = value.removeprefix(b" ").decode("utf-8", "replace") or None
    return event, lines[0] if len(lines) == 1 else b"\n".join(lines)


class SseSplitter:
    """Bytes to the bytes of complete events, each with the blank line that ends it."""

    __slots__ = ("_pending",)

    def __init__(self, limit: int = LIMIT) -> None:
        self._pending = Pending(limit)

    def feed(self, piece: bytes) -> tuple[bytes, list[bytes]]:
        """The bytes that may be passed on now, and the events in them."""
        pending = self._pending
        # PERF: a packet that is one event goes through as the same object in 0.4 us.
        if not pending.data:
            if piece.endswith(b"\n\n"):
                if 0x0D not in piece:
                    if piece.find(b"\n\n") == len(piece) - 2:
                        return piece, [piece]
                    parts = piece[:-2].split(b"\n\n")
                    if not parts[-1].endswith(b"\n"):
                        return piece, [part + b"\n\n" for part in parts]
            elif piece.endswith(b"\r\n\r\n") and piece.count(b"\r") == 2 and piece.count(b"\n") == 2:
                return piece, [piece]
        buffer = pending.add(piece)
        ends: list[int] = []
        at = max(0, pending.seen - _OVERLAP)
        if b"\r" in buffer:
            while match := _BLANK.search(buffer, at):
                at = match.end()
                ends.append(at)
        else:
            while (at := buffer.find(b"\n\n", at) + 2) > 1:
                ends.append(at)
        if not ends:
            pending.seen = len(buffer)
            pending.bound()
            return b"", []
        complete = pending.take(ends[-1])
        pending.seen = len(pending.data)
        pending.bound()
        return complete, [complete[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def tail(self) -> bytes:
        """The bytes that belong to no complete event."""
        return bytes(self._pending.data)


class SseEncoder:
    """Data to events, with the event's name out of a field of the data and a running number if asked."""

    content_type = "text/event-stream"

    __slots__ = ("_event", "_field", "_heads", "_marker", "_next")

    def __init__(self, event: str | None = None, marker: str | None = None, number: str | None = None) -> None:
        self._event = event
        self._marker = marker
        self._field = number
        self._next = 0
        self._heads: dict[str, bytes] = {}
        """What stands before the data of events of a name."""

    def start(self) -> bytes:
        """Bytes before the first event: none."""
        return b""

    def event(self, data: dict[str, Any]) -> bytes:
        """One event."""
        if self._field is not None:
            data = {**data, self._field: self._next}
            self._next += 1
        name = data.get(self._event) if self._event is not None else None
        if not isinstance(name, str):
            return b"data: %b\n\n" % dumps(data)
        return b"%b%b\n\n" % (self._heads.get(name) or self._head(name), dumps(data))

    def done(self) -> bytes:
        """The end's marker, if the format has one."""
        return b"" if self._marker is None else f"data: {self._marker}\n\n".encode()

    def ping(self, data: dict[str, Any] | None = None, comment: str | None = None) -> bytes:
        """An event without a number, or a comment, or nothing."""
        if data is not None:
            name = data.get(self._event) if self._event is not None else None
            return b"%b%b\n\n" % (self._head(name) if isinstance(name, str) else b"data: ", dumps(data))
        return b"" if comment is None else b": %b\n\n" % comment.replace("\r", " ").replace("\n", " ").encode()

    def _head(self, name: str) -> bytes:
        """PERF: made once for each of the few names that a format has."""
        head = f"event: {name}\ndata: ".encode("utf-8", "replace") if name.isprintable() else b"data: "
        if len(self._heads) < _NAMES:
            self._heads[name] = head
        return head


def _encoder(rules: Rules) -> SseEncoder:
    return SseEncoder(rules.get("event"), rules.get("done"), rules.get("number"))


FRAMING = FramingType(
    "sse",
    SseEncoder.content_type,
    lambda rules, limit: SseDecoder(end_marker(rules), limit),
    SseSplitter,
    _encoder,
    only_data=only_data,
)
