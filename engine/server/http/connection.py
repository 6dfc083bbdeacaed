"""One client connection of a worker: its socket, a deadline, and the bytes that were read beyond the last request.

Deadlines are checked once a second by one greenlet for all connections (``Clock``), so waiting costs no timer each.
"""

from __future__ import annotations

import socket
from email.utils import formatdate
from typing import Any

import gevent

from engine.turns import give_way

IDLE, HEAD, BODY, APP, SEND = range(5)
"""What a connection waits for."""
LEAST_RATE = 32_768
"""Bytes a second at which a body must come when its time is over."""
_RECV = 65_536
_READ = 1
_FRESH, _USED = 6, 2
"""Ticks that a stopping worker waits for the next request of a connection: its first one is on its way, and no client
sends that again; who has had an answer knows that a connection may end."""


class ClientConnection:
    """A client socket under a deadline; its ``recv`` and ``send`` keep to the worker's clock."""

    __slots__ = (
        "_begun", "_got", "_hub", "_patience", "_watcher", "body_timeout", "clock", "deadline", "held", "send_timeout",
        "sock", "spared", "state",
    )  # fmt: skip

    def __init__(self, sock: Any, clock: Clock, body_timeout: int, send_timeout: int) -> None:
        self.sock = sock
        self.clock = clock
        self.body_timeout = body_timeout
        self.send_timeout = send_timeout
        self.held = b""
        """Bytes read that belong to the next request."""
        self.state = IDLE
        self.deadline = 0
        """Tick at which the wait is over; 0 = none."""
        self.spared = 0
        """Tick until which a stopping worker lets it idle."""
        self._patience = _FRESH
        self._begun = 0
        self._got = 0
        self._hub = gevent.get_hub()
        self._watcher = self._hub.loop.io(sock.fileno(), _READ)

    def first(self) -> bytes:
        """The first bytes of a request. PERF: they are hardly ever there yet, and a read that fails is not tried."""
        self._hub.wait(self._watcher)
        data: bytes = self.sock.recv(_RECV)
        return data

    def close(self) -> None:
        """Give the socket back to the system."""
        self._watcher.close()
        self.sock.close()

    def wait(self, state: int, seconds: int) -> None:
        """From now on the connection waits for ``state``, no longer than this."""
        self.state = state
        self.deadline = self.clock.tick + seconds + 1
        self.spared = self.clock.tick + self._patience

    def request(self) -> None:
        """A head is read, and the app goes on: a body that follows has its time from the first look at it."""
        self.deadline = 0
        self.state = APP
        self._patience = _USED
        self._begun = self._got = 0

    def recv_body(self, size: int) -> bytes:
        """A piece of a body, within the timeout from its first look on; each ``LEAST_RATE`` bytes give a second more.

        PERF: bytes that are there already are read without a pause, so others get a turn now and then.
        """
        tick = self.clock.tick
        if not self._begun:
            self._begun = tick
        self.state = BODY
        self.deadline = min(tick, self._begun + self._got // LEAST_RATE) + self.body_timeout + 1
        data: bytes = self.sock.recv(min(size, 262_144))
        give_way()
        self._got += len(data)
        self.deadline = 0
        self.state = APP
        return data

    def recv(self, size: int = _RECV, flags: int = 0) -> bytes:
        """What came; for gunicorn's own path, which reads bodies piece by piece."""
        if self.held and not flags:
            data, self.held = self.held[:size], self.held[size:]
            return data
        if flags:
            peeked: bytes = self.sock.recv(size, flags)
            return peeked
        return self.recv_body(size)

    def send(self, data: bytes) -> None:
        """All of ``data``; a client that takes none of it for too long is cut off."""
        sock = self.sock
        self.deadline = self.clock.tick + self.send_timeout
        sent = sock.send(data)
        if sent < len(data):
            view = memoryview(data)
            while sent < len(data):
                self.deadline = self.clock.tick + self.send_timeout
                sent += sock.send(view[sent:])
        self.deadline = 0

    def cut(self) -> None:
        """End the connection from another greenlet; whoever waits on it gets an ``OSError``."""
        self.deadline = 0
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is gone already

    def linger(self, seconds: float = 2.0, limit: int = 268_435_456) -> None:
        """Let the client read the answer: end our side, and throw away what it still sends.

        A socket closed with unread bytes sends a reset, and the reset may overtake the answer.
        """
        with gevent.Timeout(seconds, False):
            try:
                self.sock.shutdown(socket.SHUT_WR)
                while limit > 0 and (data := self.sock.recv(262_144)):
                    limit -= len(data)
            except OSError:
                pass

    def discard(self, count: int, limit: int = 262_144, seconds: float = 1.0) -> bool:
        """Drop ``count`` bytes of a body that the app did not want; false when they are too many, or don't come."""
        if count > limit:
            return False
        with gevent.Timeout(seconds, False):
            while count > 0:
                data = self.recv_body(count)
                if not data:
                    return False
                count -= len(data)
        return count <= 0


class Clock:
    """The worker's seconds: the Date header, and the deadlines of all its connections."""

    def __init__(self) -> None:
        self.tick = 1
        self.open: set[ClientConnection] = set()
        self.idle_until = 0
        """Tick from which connections are cut on which nothing is asked, as the worker stops; 0 = they are not."""
        self.date = b""
        self._stamp()

    def _stamp(self) -> None:
        self.date = b"date: %b\r\n" % formatdate(usegmt=True).encode()

    def beat(self) -> None:
        """One second has passed: renew the date, end what waited too long, and what idles while the worker stops."""
        self.tick += 1
        self._stamp()
        stopping = 0 < self.idle_until <= self.tick
        for connection in list(self.open):
            if connection.state == IDLE and stopping and connection.spared <= self.tick:
                connection.cut()
            elif connection.deadline and connection.deadline < self.tick:
                if connection.state in (HEAD, BODY):
                    self._tell(connection)
                connection.cut()

    @staticmethod
    def _tell(connection: ClientConnection) -> None:
        try:
            connection.sock.send(
                b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", socket.MSG_DONTWAIT
            )
        except OSError:
            pass
