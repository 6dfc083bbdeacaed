"""The lean way to an upstream: HTTP/1.1 written straight on pooled sockets, under 50 us of CPU per call.

Takes method, address, headers and body; gives an ``Answer`` once the head has come, or raises ``TransportError``.
Connections are kept per scheme, host, port and checked address. Works on gevent's sockets where they are patched in,
else with threads. Knows nothing of channels, secrets or formats, and follows no redirects.

    pool = Pool(Guard(["127.0.0.1/32:9000"]))
    with pool.send("POST", "http://127.0.0.1:9000/v1/x", [("Content-Type", "application/json")], body) as answer:
        for piece in answer.pieces(): ...
"""

from __future__ import annotations

import ssl
import time
from collections import deque
from functools import cache, partial

import certifi

from engine.errors import GatewrightError
from engine.transport.answer import Answer, LegAnswer
from engine.transport.connection import Connection, Handle, Key, aborted, dial, timed_out, until
from engine.transport.egress import Guard
from engine.transport.faults import TransportError
from engine.transport.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from engine.transport.spool import Body, Pieces
from engine.transport.url import Url, parse_url
from engine.transport.waiting import Waiting, beside, outcome_of
from engine.transport.wire import Headers, request_bytes

__all__ = ["Answer", "Handle", "Limits", "Pool", "Timeouts", "Url", "default_tls", "parse_url", "shared_tls"]

_SWEEP_SECONDS = 5.0


_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"))
"""RFC 9110, 9.2.2: doing it twice is doing it once."""


class _StaleError(GatewrightError):
    """A kept connection ended before the request could be read: it may go out once more on a fresh one."""


def default_tls(*, verify: bool = True) -> ssl.SSLContext:
    """A context that trusts the system's authorities and the ones that certifi carries; or whoever answers."""
    context = ssl.create_default_context()
    if verify:
        context.load_verify_locations(certifi.where())
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


@cache
def shared_tls() -> ssl.SSLContext:
    """``default_tls()`` for all pools of a process and of those it forks; nobody may change it.

    PERF: reading the authorities takes 80 ms, so it is asked for before the fork, not within a call.
    """
    return default_tls()


class Pool:
    """Connections of one worker: make it after fork, never share it between processes."""

    def __init__(self, guard: Guard, limits: Limits = DEFAULT_LIMITS, tls: ssl.SSLContext | None = None) -> None:
        self._guard = guard
        self._limits = limits
        self._tls = tls
        self._idle: dict[Key, deque[Connection]] = {}
        self._count = 0
        self._swept = time.monotonic()

    def send(
        self,
        method: str,
        url: Url | str,
        headers: Headers,
        body: Body = b"",
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        handle: Handle | None = None,
    ) -> LegAnswer:
        """Send a request and wait for the answer's head. ``handle.abort()`` ends any part of it from outside."""
        return outcome_of(self.exchange(method, url, headers, body, timeouts, handle))

    def exchange(
        self,
        method: str,
        url: Url | str,
        headers: Headers,
        body: Body = b"",
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        handle: Handle | None = None,
        tick: float = 0.0,
    ) -> Waiting[LegAnswer]:
        """The same in steps: gives way after each ``tick`` seconds without a head (0: never), returns the answer."""
        if isinstance(url, str):
            url = parse_url(url)
        if handle is None:
            handle = Handle()
        data = request_bytes(method, url, headers, body)
        deadline = time.monotonic() + timeouts.total if timeouts.total else 0.0
        addresses = self._guard.check(url.host, url.port)
        if handle.aborted:
            raise aborted()
        connection = self._take(url, addresses)
        if connection is not None:
            try:
                return (yield from self._exchange(connection, method, data, timeouts, deadline, handle, tick))
            except _StaleError:
                pass
        tls = (self._tls or shared_tls()) if url.secure else None
        connect = partial(dial, url, addresses, timeouts, deadline, handle, tls)
        sock, address = (yield from beside(connect, tick)) if tick else connect()
        connection = Connection(sock, (url.scheme, url.host, url.port, address), self._limits)
        return (yield from self._exchange(connection, method, data, timeouts, deadline, handle, tick))

    def close(self) -> None:
        """Close the idle connections."""
        for idle in list(self._idle.values()):
            while idle:
                self._count -= 1
                idle.pop().close()

    def idle(self) -> int:
        """How many connections lie idle."""
        return sum(len(idle) for idle in self._idle.values())

    def _exchange(
        self,
        connection: Connection,
        method: str,
        data: bytes | Pieces,
        timeouts: Timeouts,
        deadline: float,
        handle: Handle,
        tick: float,
    ) -> Waiting[LegAnswer]:
        reading = connection.reading
        reading.begin(bare=method == "HEAD")
        first = until(timeouts.first_byte, deadline)
        end = time.monotonic() + first if first else 0.0
        begun = False
        try:
            handle.attach(connection.sock)
            connection.set_timeout(first)
            handle.reached = True
            refused = _send(connection, data)
            while not reading.head_done:
                if begun:
                    connection.set_timeout(until(0.0, end))
                more = connection.receive() if begun or not tick else _receive(connection, tick, end, handle)
                if more is None:
                    yield
                    continue
                if not more:
                    if connection.used and not begun and (method in _IDEMPOTENT or connection.unread()):
                        raise _StaleError
                    raise TransportError("cut" if begun else "reset", "the upstream closed before its answer's head")
                begun = True
            reading.reusable = reading.reusable and not refused
            return LegAnswer(connection, handle, timeouts.idle, deadline, self._release)
        except BaseException as ex:
            connection.close()
            handle.attach(None)
            if handle.aborted and isinstance(ex, Exception):
                raise aborted() from None
            if isinstance(ex, (OSError, ValueError)):
                again = connection.used and not begun and (method in _IDEMPOTENT or connection.untouched)
                raise _head_fault(ex, again, timeouts, deadline) from None
            raise

    def _take(self, url: Url, addresses: tuple[str, ...]) -> Connection | None:
        now = time.monotonic()
        if now - self._swept > _SWEEP_SECONDS:
            self._sweep(now)
        oldest = self._oldest(now)
        for address in addresses:
            idle = self._idle.get((url.scheme, url.host, url.port, address))
            while idle:
                try:
                    connection = idle.pop()
                except IndexError:
                    # Another thread was faster.
                    break
                self._count -= 1
                if connection.since >= oldest and connection.alive():
                    return connection
                connection.close()
        return None

    def _release(self, connection: Connection) -> None:
        if not connection.reading.reusable:
            connection.close()
            return
        connection.used = True
        connection.since = time.monotonic()
        idle = self._idle.get(connection.key)
        if idle is None:
            idle = self._idle.setdefault(connection.key, deque())
        idle.append(connection)
        self._count += 1
        if len(idle) > self._limits.idle_per_host:
            self._drop(idle)
        elif self._count > self._limits.idle:
            self._drop(min(filter(None, list(self._idle.values())), key=lambda queue: queue[0].since, default=idle))

    def _drop(self, idle: deque[Connection]) -> None:
        """Close the one that has been idle longest: it stands at the left, as the newest is taken first."""
        self._count -= 1
        idle.popleft().close()

    def _oldest(self, now: float) -> float:
        """The moment before which a connection must not have fallen idle."""
        seconds = self._limits.idle_seconds
        return now - seconds if seconds else 0.0

    def _sweep(self, now: float) -> None:
        """Close what lay idle too long."""
        self._swept = now
        oldest = self._oldest(now)
        for key, idle in list(self._idle.items()):
            while idle and idle[0].since < oldest:
                self._drop(idle)
            if not idle:
                self._idle.pop(key, None)


def _receive(connection: Connection, tick: float, end: float, handle: Handle) -> bool | None:
    """Read once; None when a tick of silence went by and the limit (a moment, 0: none) is not reached."""
    short = not end or time.monotonic() + tick < end
    connection.set_timeout(tick if short else until(0.0, end))
    try:
        return connection.receive()
    except OSError as ex:
        if short and timed_out(ex) and not handle.aborted:
            return None
        raise


def _send(connection: Connection, data: bytes | Pieces) -> bool:
    """Send the request; True when the upstream stopped listening midway, which it may do before an early answer."""
    try:
        connection.send(data)
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


def _head_fault(ex: Exception, stale: bool, timeouts: Timeouts, deadline: float) -> Exception:
    if timed_out(ex):
        if deadline and until(0.0, deadline) == 0.001:
            return TransportError("total_timeout", "the upstream's answer took longer than the whole call may")
        return TransportError("first_byte_timeout", f"no answer's head within {timeouts.first_byte:g} seconds")
    if stale:
        return _StaleError()
    if isinstance(ex, ssl.SSLError):
        return TransportError("tls", f"tls with the upstream failed: {getattr(ex, 'reason', None) or 'broken'}")
    return TransportError("reset", "the connection to the upstream broke off before its answer's head")
