"""One connection to an upstream: dialled to a checked address, TLS on top if asked, read with time limits.

Takes sockets of whichever ``socket`` module is in force (gevent's when patched, else the standard one). Gives bytes to
a ``Reading`` and turns every failure into a ``TransportError``. Knows nothing of pools or retries.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from engine.transport.egress import time_limit
from engine.transport.faults import TransportError
from engine.transport.limits import Limits, Timeouts
from engine.transport.patience import LEAST, Patience, patience
from engine.transport.spool import Pieces
from engine.transport.url import Url
from engine.transport.wire import ResponseReading

Key = tuple[str, str, int, str]
_CHUNK = 65_536
_TCP_INFO = 256
# One dead address among several must not eat the whole connect time.
_TRY_NEXT_AFTER = 3.0
_GONE = select.POLLIN | select.POLLHUP | select.POLLERR | select.POLLNVAL


class Handle:
    """Ends a call from outside: another greenlet, another thread or a callback of the hub."""

    __slots__ = ("_sock", "aborted", "ender", "reached")

    def __init__(self) -> None:
        self.aborted = False
        self.reached = False
        """The request was on its way: whoever answers may have begun to work on it."""
        self.ender: Callable[[], object] | None = None
        """Ends a call whose socket is out of reach; None where the socket will do."""
        self._sock: socket.socket | None = None

    def attach(self, sock: socket.socket | None) -> None:
        """Name the socket that the call is waiting on, None when it waits on none any more."""
        self._sock = sock
        if sock is not None and self.aborted:
            raise aborted()

    def abort(self) -> None:
        """End the call at once; whoever waits in it gets ``TransportError`` (aborted). Never blocks."""
        self.aborted = True
        sock, ender = self._sock, self.ender
        if sock is not None:
            hang_up(sock)
        elif ender is not None:
            ender()


def aborted() -> TransportError:
    """The fault of a call that was ended from outside."""
    return TransportError("aborted", "the call was ended by the gateway")


def hang_up(sock: socket.socket) -> None:
    """Shut a socket down below TLS, which wakes whoever waits on it; its owner closes it."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except (OSError, ValueError, AttributeError):
        # Closed already, or not connected yet.
        pass


def timed_out(ex: BaseException) -> bool:
    """Whether a socket's error is its time limit; gevent's TLS sockets say it by text only."""
    return isinstance(ex, TimeoutError) or (isinstance(ex, ssl.SSLError) and "timed out" in str(ex))


def until(limit: float, deadline: float) -> float | None:
    """Seconds that a wait may take: the limit (0: none), cut by the call's deadline (0: none)."""
    if not deadline:
        return limit or None
    left = max(deadline - time.monotonic(), 0.001)
    return min(limit, left) if limit else left


def _poll() -> Any:
    """A poll object that never yields to the hub; unlike select it takes descriptors of any number."""
    monkey = sys.modules.get("gevent.monkey")
    return (monkey.get_original("select", "poll") if monkey else select.poll)()


class Connection:
    """A connected socket, its parser and what the pool must know of it."""

    __slots__ = ("_patience", "_poller", "_timeout", "_watcher", "key", "reading", "since", "sock", "untouched", "used")

    def __init__(self, sock: socket.socket, key: Key, limits: Limits) -> None:
        self.sock = sock
        self.key = key
        self.reading = ResponseReading(limits)
        self.used = False
        self.untouched = True
        """Nothing of the request has left."""
        self.since = 0.0
        self._timeout: float | None = -1.0
        self._poller = _poll()
        self._poller.register(sock.fileno(), _GONE)
        self._patience = patience()
        self._watcher = self._patience.watcher(sock.fileno()) if self._patience else None

    def alive(self) -> bool:
        """Whether an idle connection is still quiet: anything to read means closed, or out of step."""
        return not self._poller.poll(0)

    def set_timeout(self, seconds: float | None) -> None:
        """Time limit of the next operations."""
        # PERF: mostly the same as before; the setter costs 0.5 us under gevent and a system call without.
        if seconds != self._timeout:
            self._timeout = seconds
            self.sock.settimeout(seconds)

    def send(self, data: bytes | Pieces) -> None:
        """Send all; raises ``OSError``."""
        # PERF: what fits into the socket's buffer goes without sendall's memoryview and timers.
        self.untouched = True
        if not isinstance(data, bytes):
            for piece in data:
                self.sock.sendall(piece)
                self.untouched = False
            return
        sent = self.sock.send(data)
        self.untouched = False
        if sent < len(data):
            self.sock.sendall(memoryview(data)[sent:])

    def unread(self) -> bool:
        """Whether the peer, which has ended the connection in order, can't have had the whole request before that.

        Its system acknowledges what it takes in, and its end carries that count; a reset does not, and proves nothing.
        """
        if self.untouched:
            return True
        option = getattr(socket, "TCP_INFO", None)
        if option is None:
            return False
        try:
            counts = self.sock.getsockopt(socket.IPPROTO_TCP, option, _TCP_INFO)
            (acknowledged,) = struct.unpack_from("=Q", counts, 120)
            sent, again = struct.unpack_from("=QQ", counts, 200)
        except (OSError, struct.error):
            # Not Linux, or older than 4.19.
            return False
        return bool(acknowledged < sent - again)

    def receive(self) -> bool:
        """Read once and feed the parser; False when the connection ended. Raises ``OSError``, ``TransportError``."""
        if self._patience is not None:
            self._wait(self._patience)
        data = self.sock.recv(_CHUNK)
        if data:
            self.reading.feed(data)
            return True
        return False

    def _wait(self, patience: Patience) -> None:
        """Until there is something, if nothing was decrypted already; what is awaited only shortly, recv waits for."""
        seconds, sock = self._timeout, self.sock
        if seconds is not None and seconds < LEAST:
            return
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            return
        if not patience.wait(self._watcher, seconds):
            raise TimeoutError("timed out")

    def close(self) -> None:
        """Give the socket back to the system."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            self._patience = None
            watcher.close()
        try:
            self.sock.close()
        except OSError:
            pass


def dial(
    url: Url,
    addresses: tuple[str, ...],
    timeouts: Timeouts,
    deadline: float,
    handle: Handle,
    tls: ssl.SSLContext | None,
) -> tuple[socket.socket, str]:
    """A connected socket and the address it is connected to; raises ``TransportError``."""
    end = until(timeouts.connect, deadline)
    end = time.monotonic() + end if end else 0.0
    last = len(addresses) - 1
    for index, address in enumerate(addresses):
        limit = until(0.0, end)
        if index < last:
            limit = min(limit, _TRY_NEXT_AFTER) if limit else _TRY_NEXT_AFTER
        try:
            sock = _connect(address, url.port, limit, handle)
        except OSError as ex:
            if handle.aborted:
                raise aborted() from None
            if index < last and not (end and time.monotonic() >= end):
                continue
            if timed_out(ex):
                raise TransportError("connect_timeout", f"no connection to {url.authority} in time") from None
            raise TransportError("connect", f"no connection to {url.authority}: {ex.strerror or ex}") from None
        return (sock if tls is None else _secure(sock, url, until(0.0, end), handle, tls)), address
    raise TransportError("dns", f"the name {url.host!r} has no address")


def _connect(address: str, port: int, limit: float | None, handle: Handle) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        handle.attach(sock)
        sock.settimeout(limit)
        sock.connect((address, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _secure(sock: socket.socket, url: Url, limit: float | None, handle: Handle, tls: ssl.SSLContext) -> socket.socket:
    try:
        # A TLS end without its closing alert must show as such: it could be anybody's cut.
        sock = secured = tls.wrap_socket(
            sock, server_hostname=url.host, suppress_ragged_eofs=False, do_handshake_on_connect=False
        )
        handle.attach(secured)
        secured.settimeout(limit)
        # the socket's own limit may begin anew with each record of the peer's
        with time_limit(limit) if limit else nullcontext():
            secured.do_handshake()
    except (OSError, ValueError) as ex:
        sock.close()
        if handle.aborted:
            raise aborted() from None
        if timed_out(ex):
            raise TransportError("connect_timeout", f"no tls handshake with {url.authority} in time") from None
        why = getattr(ex, "verify_message", "") or getattr(ex, "reason", "") or str(ex)
        raise TransportError("tls", f"no tls with {url.authority}: {why}") from None
    except BaseException:
        sock.close()
        raise
    return secured
