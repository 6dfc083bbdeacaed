"""A Redis over connections that are held: one send and one read for any number of commands.

``Redis(url).run(command, ...)`` gives the replies in their order. A greenlet that runs has a connection of its own, the
rest wait in a bounded list. Times out within a second: whoever asks has something that holds meanwhile. PERF: 30 us of
CPU for a script's call, where the usual client's bookkeeping costs 125.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from engine.errors import Unavailable

PREFIX = "gatewright:"
"""Begins the names of all that is kept there."""
_TIMEOUT = 1.0
_KEPT = 16
_PORT = 6379
Command = tuple[str | bytes | int | float, ...]


class RedisError(Unavailable):
    """Redis can't be reached, or refused a command."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a Redis is. ``path``: a Unix socket, in place of host and port."""

    host: str = ""
    port: int = _PORT
    path: str = ""
    tls: bool = False
    user: str = ""
    password: str = ""
    database: int = 0


def address(url: str) -> Address:
    """Read ``redis://[user:password@]host[:port][/database]``, ``rediss://`` for TLS, or ``unix:///path``.

    Raises ValueError, whose text holds no secret.
    """
    parts = urlsplit(url)
    try:
        port = parts.port or _PORT
    except ValueError:
        raise ValueError("the port is no number") from None
    database = parts.path.strip("/")
    if parts.scheme == "unix" and parts.path:
        return Address(path=parts.path, user=unquote(parts.username or ""), password=unquote(parts.password or ""))
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError("it is not redis://[user:password@]host[:port][/database], rediss://... or unix:///path")
    if database and not (database.isascii() and database.isdigit()):
        raise ValueError("the database is no number")
    return Address(
        host=parts.hostname,
        port=port,
        tls=parts.scheme == "rediss",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=int(database or 0),
    )


class Script:
    """A Lua script, which is sent whole once where the server does not know it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.hash = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


class Redis:
    """See the module."""

    def __init__(self, url: str, timeout: float = _TIMEOUT) -> None:
        self._address = address(url)
        self._timeout = timeout
        self._idle: list[Link] = []

    def run(self, *commands: Command) -> list[Any]:
        """The replies; raises ``RedisError`` where Redis is away, or refuses one."""
        replies = self._exchange(commands)
        for reply in replies:
            if isinstance(reply, RedisError):
                raise reply
        return replies

    def call(self, script: Script, keys: list[str], *values: str | bytes | float) -> Any:
        """What a script gives."""
        return self.call_with((), script, keys, *values)[-1]

    def call_with(
        self, commands: tuple[Command, ...], script: Script, keys: list[str], *values: str | bytes | float
    ) -> list[Any]:
        """The replies to some commands, and last what a script gives: all in one round trip."""
        rest = (len(keys), *keys, *values)
        replies = self._exchange((*commands, ("EVALSHA", script.hash, *rest)))
        if isinstance(replies[-1], RedisError) and "NOSCRIPT" in str(replies[-1]):
            replies[-1] = self._exchange([("EVAL", script.source, *rest)])[0]
        refused = next((reply for reply in replies if isinstance(reply, RedisError)), None)
        if refused is not None:
            raise refused
        return replies

    def link(self) -> Link:
        """A connection of its own, for who listens."""
        try:
            return Link(self._address, self._timeout)
        except OSError as error:
            raise RedisError(f"Redis can't be reached: {error}") from None

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()

    def _exchange(self, commands: Any) -> list[Any]:
        held = self._idle.pop() if self._idle else None
        link = held or self.link()
        try:
            try:
                replies = link.exchange(commands)
            except OSError:
                link.close()
                if held is None:
                    raise
                self.close()  # the server closed what was held, so all of it
                link = self.link()
                replies = link.exchange(commands)
        except BaseException as error:
            link.close()
            if isinstance(error, OSError):
                raise RedisError(f"Redis does not answer: {error}") from None
            raise
        if len(self._idle) < _KEPT:
            self._idle.append(link)
        else:
            link.close()
        return replies


class Link:
    """One connection. Whatever goes wrong on it raises OSError; it is then of no more use."""

    def __init__(self, where: Address, timeout: float) -> None:
        if where.path:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            sock = socket.create_connection((where.host, where.port), timeout)
        try:
            sock.settimeout(timeout)
            if where.path:
                sock.connect(where.path)
            else:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if where.tls:
                sock = ssl.create_default_context().wrap_socket(sock, server_hostname=where.host)
            self.sock = sock
            self._data = b""
            greeting: list[Command] = []
            if where.password:
                greeting.append(("AUTH", *([where.user] if where.user else []), where.password))
            if where.database:
                greeting.append(("SELECT", where.database))
            refused = next((reply for reply in self.exchange(greeting) if isinstance(reply, RedisError)), None)
            if refused is not None:
                raise OSError(str(refused))
        except BaseException:
            sock.close()
            raise

    def exchange(self, commands: Any) -> list[Any]:
        """Send all and read a reply for each; one that refuses is a ``RedisError`` in the list."""
        if commands:
            self.sock.sendall(b"".join([packed(command) for command in commands]))
        return [self.read() for _ in commands]

    def read(self) -> Any:
        """The next reply."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"-":
            return RedisError(rest.decode("utf-8", "replace"))
        if kind == b"$":
            return None if rest == b"-1" else self._bytes(int(rest))
        if kind == b"*":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        raise OSError("what answers is no Redis")

    def close(self) -> None:
        """Close it; may be called again."""
        with contextlib.suppress(OSError):
            self.sock.close()

    def _line(self) -> bytes:
        while (end := self._data.find(b"\r\n")) < 0:
            self._more()
        line, self._data = self._data[:end], self._data[end + 2 :]
        return line

    def _bytes(self, size: int) -> bytes:
        while len(self._data) < size + 2:
            self._more()
        data, self._data = self._data[:size], self._data[size + 2 :]
        return data

    def _more(self) -> None:
        data = self.sock.recv(65_536)
        if not data:
            raise OSError("the connection was closed")
        self._data += data


def packed(command: Command) -> bytes:
    """A command as it goes over the wire."""
    pieces = [b"*%d\r\n" % len(command)]
    for part in command:
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "replace")
        pieces.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(pieces)
