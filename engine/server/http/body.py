"""A request body that is still on its way: ``wsgi.input`` for lengths too large to be read before the app is asked.

Reads from the connection what the app wants, never past the declared length; says afterwards what was left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from engine.errors import GatewrightError

_STEP = 262_144


class ClientGoneError(GatewrightError, OSError):
    """The client closed the connection in the middle of its body."""


class LengthBody:
    """A file-like body of a known length over a ``recv`` function.

    PERF: most bodies came with their head, and are then handed on as they are.
    """

    def __init__(self, recv: Callable[[int], bytes], first: bytes, length: int) -> None:
        self._recv = recv
        self._held = first[:length]
        self.left = length - len(self._held)
        """Bytes that were not received yet."""

    @property
    def unread(self) -> int:
        """Bytes that the app did not take."""
        return self.left + len(self._held)

    def _more(self) -> bytes:
        data = self._recv(min(self.left, _STEP))
        if not data:
            raise ClientGoneError("the client closed the connection within its request body")
        self.left -= len(data)
        return data

    def read(self, size: int | None = -1) -> bytes:
        """Up to ``size`` bytes; all when none is given; ``b""`` at the end."""
        if not self.left and (size is None or size < 0 or size >= len(self._held)):
            data, self._held = self._held, b""
            return data
        length = self.unread if size is None or size < 0 else min(size, self.unread)
        pieces, have = [self._held], len(self._held)
        while have < length:
            piece = self._more()
            pieces.append(piece)
            have += len(piece)
        body = b"".join(pieces)
        self._held = body[length:]
        return body[:length]

    def readline(self, size: int | None = -1) -> bytes:
        """A line, or up to ``size`` bytes of one."""
        limit = self.unread if size is None or size < 0 else min(size, self.unread)
        line = bytearray()
        while len(line) < limit:
            if not self._held:
                self._held = self._more()
            end = self._held.find(b"\n", 0, limit - len(line)) + 1
            take = end or min(len(self._held), limit - len(line))
            line += self._held[:take]
            self._held = self._held[take:]
            if end:
                break
        return bytes(line)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """All lines, or those that begin within ``hint`` bytes."""
        lines: list[bytes] = []
        have = 0
        for line in self:
            lines.append(line)
            have += len(line)
            if hint is not None and 0 < hint <= have:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line
