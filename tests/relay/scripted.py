"""An upstream on loopback that answers as told, and keeps what arrived: bytes, headers, and when a caller left."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support import PATIENCE, Gateway, until


@dataclass
class Arrived:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    left: threading.Event = field(default_factory=threading.Event)
    """Set when the caller closed the connection before the script had ended."""

    @property
    def json(self):
        return json.loads(self.body)


class Say:
    """What a script does: send bytes, wait, close."""

    def __init__(self, sock: socket.socket, arrived: Arrived) -> None:
        self.sock = sock
        self.arrived = arrived

    def head(
        self, status: int = 200, kind: str = "application/json", length: int | None = None, **headers: str
    ) -> None:
        lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines.append("transfer-encoding: chunked" if length is None else f"content-length: {length}")
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())

    def chunk(self, data: bytes) -> None:
        self.sock.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        self.sock.sendall(b"0\r\n\r\n")

    def whole(self, body: object, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.head(status, kind, len(data), **headers)
        self.sock.sendall(data)

    def events(self, *events: bytes, pause: float = 0.0, end: bool = True) -> None:
        self.head(200, "text/event-stream")
        for event in events:
            self.chunk(event)
            if pause:
                time.sleep(pause)
        if end:
            self.end()

    def wait_until_left(self, timeout: float) -> bool:
        """Wait for the caller to close; note it."""
        self.sock.settimeout(timeout)
        try:
            gone = self.sock.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            gone = True
        if gone:
            self.arrived.left.set()
        return gone


def leave(gateway: Gateway, path: str, body: bytes, when: Callable[[], object]) -> None:
    """Send a request, and close its connection as soon as ``when`` is true."""
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\ncontent-length: {len(body)}"
    with socket.create_connection(("127.0.0.1", gateway.port), PATIENCE) as sock:
        sock.sendall(f"{head}\r\n\r\n".encode() + body)
        until(when)


Script = Callable[[Say], None]


class Upstream:
    """``script`` answers each request; ``got`` has all that arrived. ``wrap`` makes a connection one over TLS."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        wrap: Callable[[socket.socket], socket.socket] | None = None,
        port: int = 0,
    ) -> None:
        self.got: list[Arrived] = []
        self.script: Script = self.nothing
        self._wrap = wrap
        self._server = socket.create_server((host, port))
        self.port = self._server.getsockname()[1]
        self.base = f"http{'s' if wrap else ''}://{host}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    @staticmethod
    def nothing(say: Say) -> None:
        """What it answers where nobody says otherwise."""
        say.whole({})

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        if self._wrap is not None:
            try:
                sock = self._wrap(sock)
            except OSError:  # the caller does not believe the certificate
                sock.close()
                return
        with sock, sock.makefile("rb") as reader:
            while True:
                try:
                    arrived = self._read(reader)
                    if arrived is None:
                        return
                    self.got.append(arrived)
                    self.script(Say(sock, arrived))
                except OSError:
                    return

    @staticmethod
    def _read(reader) -> Arrived | None:
        line = reader.readline()
        if not line:
            return None
        method, path, _ = line.decode().split(" ", 2)
        headers: dict[str, str] = {}
        while (line := reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        body = reader.read(length)
        return Arrived(method, path, headers, body) if len(body) == length else None  # its sender was killed

    def close(self) -> None:
        self._server.close()
