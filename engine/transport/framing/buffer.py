"""A bounded buffer for what has not come to its end yet.

Takes bytes at one end and gives them away at the other without copying the rest each time. Knows no framing.
"""

from __future__ import annotations

from engine.transport.faults import TransportError

LIMIT = 64 * 1024 * 1024


class Pending:
    """Bytes that wait for the rest of their event, with the place up to which they were searched already."""

    __slots__ = ("data", "limit", "seen")

    def __init__(self, limit: int = LIMIT) -> None:
        self.data = bytearray()
        self.limit = limit
        self.seen = 0

    def add(self, piece: bytes) -> bytearray:
        """Append and return the buffer."""
        self.data += piece
        return self.data

    def take(self, size: int) -> bytes:
        """Remove and return the first ``size`` bytes."""
        out = bytes(memoryview(self.data)[:size]) if size else b""
        del self.data[:size]
        self.seen = max(0, self.seen - size)
        return out

    def bound(self) -> None:
        """Raise ``TransportError`` (too_large) when what waits is beyond the limit."""
        if len(self.data) > self.limit:
            raise TransportError("too_large", f"one event of the upstream's stream is longer than {self.limit} bytes")
