"""One request over a socket of this machine's file system: to another process of this program.

Takes the socket's path, a ready head and a body; gives an ``Answer`` whose body arrives as it is asked for. Nobody else
can open the socket, so there is no guard and no TLS; a process that has ended is a ``TransportError`` (connect).
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from engine.transport.answer import LegAnswer
from engine.transport.connection import Connection, Handle, aborted
from engine.transport.faults import TransportError
from engine.transport.limits import DEFAULT_LIMITS

_LONGEST = 100
"""Bytes of a path that the system takes for a socket, with room to spare."""
_STEP = 1 << 20
_SENT_WITHIN = 60.0
"""Seconds in which the other process must take a step of the body; it may have to be started again."""


def socket_path(path: Path) -> str:
    """How to name a socket: where its path is too long, through a descriptor of its directory, which stays open."""
    if len(os.fsencode(path)) <= _LONGEST:
        return str(path)
    return f"/proc/self/fd/{os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)}/{path.name}"


def listen(path: str) -> socket.socket:
    """A listening socket that only this user can open."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(path)
    finally:
        os.umask(before)
    sock.listen(128)
    return sock


def send(path: str, head: bytes, body: bytes, handle: Handle) -> LegAnswer:
    """The answer's head; waits for it as long as it takes. ``handle.abort()`` ends it from outside."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection = Connection(sock, ("local", path, 0, ""), DEFAULT_LIMITS)
    reading = connection.reading
    reading.begin(bare=False)
    try:
        handle.attach(sock)
        connection.set_timeout(_SENT_WITHIN)
        sock.connect(path)
        sock.sendall(head)
        view = memoryview(body)
        for start in range(0, len(body), _STEP):
            sock.sendall(view[start : start + _STEP])
        connection.set_timeout(None)
        while not reading.head_done:
            if not connection.receive():
                raise TransportError("cut", "the other process closed the connection before its answer's head")
    except BaseException as ex:
        connection.close()
        handle.attach(None)
        if handle.aborted and isinstance(ex, Exception):
            raise aborted() from None
        if isinstance(ex, OSError):
            raise TransportError("connect", f"the other process does not answer: {ex}") from None
        raise
    return LegAnswer(connection, handle, 0.0, 0.0, Connection.close)
