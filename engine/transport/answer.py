"""An upstream's answer: its head is here, its body arrives as it is asked for.

Takes a connection that has read the head, gives status, headers and the body without its content codings, one piece
per packet. Nothing is read ahead, so a slow caller slows the upstream. Knows nothing of retries or what the bytes mean.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self

from engine.transport.coding import CodingError, Inflater, codings
from engine.transport.connection import Connection, Handle, aborted, hang_up, timed_out, until
from engine.transport.faults import TransportError
from engine.transport.limits import DEFAULT_LIMITS

Release = Callable[[Connection], None]


class Answer(Protocol):
    """What the leg and the proxied way both give."""

    status: int
    headers: dict[str, str]
    header_list: list[tuple[str, str]]
    complete: bool
    reused: bool

    def read(self, limit: int = ..., /) -> bytes:
        """The whole body; raises ``TransportError`` when it is cut, or longer than ``limit``."""

    def pieces(self, tick: float = 0.0) -> Iterator[bytes]:
        """The body as it arrives; closing the iterator early ends the call.

        With ``tick`` an empty piece comes after each that many seconds of silence.
        """

    def hurry(self, until: float) -> None:
        """Wait for pieces until this moment (monotonic seconds) at most; 0: as long as the call's limits allow."""

    def abort(self) -> None:
        """End the call at once; a greenlet that waits in it gets ``TransportError`` (aborted)."""


def mute() -> TransportError:
    """The fault of an answer in which nothing was said in time."""
    return TransportError("first_token_timeout", "nothing was said in its answer in time")


class LegAnswer:
    """The answer on a connection of the leg."""

    __slots__ = (
        "_busy", "_connection", "_deadline", "_handle", "_hurried", "_idle", "_inflater", "_left", "_release", "_total",
        "complete", "header_list", "headers", "reused", "status",
    )  # fmt: skip

    def __init__(self, connection: Connection, handle: Handle, idle: float, deadline: float, release: Release) -> None:
        reading = connection.reading
        self.status = reading.status
        self.headers = reading.headers
        self.header_list = reading.header_list
        self.reused = connection.used
        self.complete = False
        self._connection: Connection | None = connection
        self._handle = handle
        self._idle = idle
        self._deadline = self._total = deadline
        self._hurried = False
        self._release = release
        self._left = b""
        self._busy = False
        self._inflater: Inflater | None = None
        encoding = self.headers.get("content-encoding")
        if encoding is not None and not reading.bare:
            self._inflater = decoder_of(encoding)
        if reading.complete:
            self._left = reading.take()
            self._settle(connection)

    def read(self, limit: int = DEFAULT_LIMITS.read_bytes) -> bytes:
        """The whole body; raises ``TransportError`` when it is cut, or longer than ``limit``."""
        if self._connection is None and self._inflater is None:
            # PERF: the usual small answer came with its head.
            body, self._left = self._left, b""
            if len(body) > limit:
                raise over_limit(limit)
            return body
        pieces: list[bytes] = []
        size = 0
        for piece in self.pieces():
            size += len(piece)
            if size > limit:
                self.abort()
                raise over_limit(limit)
            pieces.append(piece)
        return b"".join(pieces)

    def pieces(self, tick: float = 0.0) -> Iterator[bytes]:
        """The body as it arrives, one piece per packet; closing the iterator early ends the call.

        With ``tick`` an empty piece comes after each that many seconds of silence, until the idle limit is reached.
        """
        if self._inflater is None:
            return self._raw(tick)
        return self._inflated(self._inflater, tick)

    def hurry(self, until: float) -> None:
        """See ``Answer``."""
        self._hurried = bool(until) and (not self._total or until < self._total)
        self._deadline = until if self._hurried else self._total

    def abort(self) -> None:
        """End the call at once; a greenlet that waits in it gets ``TransportError`` (aborted)."""
        connection = self._connection
        if connection is not None:
            self._handle.aborted = True
            hang_up(connection.sock)
            if not self._busy:
                self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, ex: BaseException | None, trace: TracebackType | None) -> None:
        self._drop()

    def _raw(self, tick: float) -> Iterator[bytes]:
        silent = 0.0
        try:
            while True:
                piece, self._left = self._left, b""
                if piece:
                    yield piece
                connection = self._connection
                if connection is None:
                    return
                piece = connection.reading.take()
                if piece:
                    yield piece
                elif self._connection is not None:
                    if self._receive(connection, tick, silent):
                        silent = 0.0
                    else:
                        silent += tick
                        yield b""
        finally:
            self._drop()

    def _inflated(self, inflater: Inflater, tick: float) -> Iterator[bytes]:
        raw = self._raw(tick)
        empty = True
        try:
            for data in raw:
                if not data:
                    yield data
                    continue
                empty = False
                yield from inflater.feed(data)
            # A bodiless answer may still name a coding.
            if not empty:
                inflater.finish()
        except CodingError as ex:
            raise TransportError("cut" if ex.cut else "protocol", f"the upstream's answer: {ex}") from None
        finally:
            self._drop()

    def _receive(self, connection: Connection, tick: float, silent: float) -> bool:
        """Read one packet; a message that is whole gives its connection back. False when only a tick went by."""
        reading = connection.reading
        short = 0.0 < tick < (self._idle - silent if self._idle else float("inf"))
        try:
            self._busy = True
            connection.set_timeout(
                until(tick if short else self._idle - silent if silent else self._idle, self._deadline)
            )
            more = connection.receive()
        except TransportError:
            self._drop()
            raise
        except (OSError, ValueError) as ex:
            if short and timed_out(ex) and not self._handle.aborted and until(0.0, self._deadline) != 0.001:
                return False
            fault = self._fault(ex)
            self._drop()
            raise fault from None
        finally:
            self._busy = False
        if not more and (self._handle.aborted or not reading.end()):
            self._drop()
            raise aborted() if self._handle.aborted else TransportError("cut", "the upstream's answer ended too early")
        if reading.complete:
            self._left = reading.take()
            self._settle(connection)
        return True

    def _fault(self, ex: Exception) -> TransportError:
        if self._handle.aborted:
            return aborted()
        if timed_out(ex):
            if self._deadline and until(0.0, self._deadline) == 0.001:
                if self._hurried:
                    return mute()
                return TransportError("total_timeout", "the upstream's answer took longer than the whole call may")
            return TransportError("idle_timeout", f"the upstream was silent for {self._idle:g} seconds")
        if isinstance(ex, ssl.SSLEOFError):
            return TransportError("cut", "the upstream's answer ended too early")
        return TransportError("reset", "the connection to the upstream broke off")

    def _settle(self, connection: Connection) -> None:
        self.complete = True
        self._connection = None
        self._handle.attach(None)
        self._release(connection)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._handle.attach(None)
            connection.close()


def decoder_of(encoding: str) -> Inflater | None:
    """What undoes an answer's content codings, None if there are none; raises ``TransportError`` (protocol)."""
    names = codings(encoding)
    try:
        return Inflater(names) if names else None
    except KeyError as ex:
        raise TransportError("protocol", f"the upstream used content-encoding {ex.args[0][:40]!r} unasked") from None


def over_limit(limit: int) -> TransportError:
    """The fault of a body that is longer than its reader takes."""
    return TransportError("too_large", f"the upstream's answer is longer than {limit} bytes")
