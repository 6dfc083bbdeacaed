"""A raw-socket server that says exactly the bytes a test wants, on loopback, and the pool that may talk to it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from engine.transport import connection, patience
from engine.transport.egress import Guard
from engine.transport.leg import Limits, Pool

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Script = Callable[["Peer"], object]

if os.environ.get("GATEWRIGHT_SHARED_TIMER") == "1":
    connection.LEAST = 0.0
    patience.STEP = 0.01


class Peer:
    """The server's side of one connection."""

    def __init__(self, server: Upstream, sock: socket.socket, number: int) -> None:
        self.server, self.sock, self.number = server, sock, number
        self._rest = b""

    def request(self) -> bytes | None:
        """The next whole request (Content-Length bodies), None at the end of the connection."""
        data = self._rest
        while b"\r\n\r\n" not in data:
            piece = self.sock.recv(65536)
            if not piece:
                return None
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            piece = self.sock.recv(65536)
            if not piece:
                return None
            body += piece
        self._rest = body[length:]
        whole = head + b"\r\n\r\n" + body[:length]
        self.server.requests.append(whole)
        return whole

    def say(self, data: bytes, pause: float = 0.0) -> None:
        self.sock.sendall(data)
        if pause:
            time.sleep(pause)

    def gone_within(self, seconds: float) -> bool:
        """Whether the client closes within the time."""
        self.sock.settimeout(seconds)
        try:
            while self.sock.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True

    def reset(self) -> None:
        """Close with a reset instead of an orderly end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.sock.close()


class Upstream:
    """Runs a script per connection; ``requests`` holds what came, ``connections`` how often it was dialled."""

    def __init__(self, script: Script, wrap: Callable[[socket.socket], socket.socket] | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._script, self._wrap = script, wrap
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            if self._wrap is not None:
                sock = self._wrap(sock)
            with sock:
                self._script(Peer(self, sock, number))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


Make = Callable[..., Upstream]


@pytest.fixture
def upstream() -> Iterator[Make]:
    """Starts a server: ``upstream(script)``, or ``upstream(b"bytes")`` that says them once per request."""
    made: list[Upstream] = []

    def make(script: Script | bytes, **more: Callable[[socket.socket], socket.socket]) -> Upstream:
        def say(peer: Peer) -> None:
            assert isinstance(script, bytes)
            while peer.request() is not None:
                peer.say(script)

        made.append(Upstream(say if isinstance(script, bytes) else script, **more))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def pool() -> Iterator[Pool]:
    """A pool that may go to loopback."""
    made = Pool(Guard(["127.0.0.0/8", "[::1]/128"]), Limits(idle_seconds=5.0))
    yield made
    made.close()
