"""A forward proxy that keeps what it saw: requests with whole addresses, and CONNECT."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit


class Proxy:
    """``saw`` are the first lines of what went through it."""

    def __init__(self) -> None:
        self.saw: list[str] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        """One request; then both sides' bytes pass as they are."""
        with sock, suppress(OSError, ValueError):
            data = b""
            while b"\r\n\r\n" not in data:
                piece = sock.recv(1 << 16)
                if not piece:
                    return
                data += piece
            head, _, rest = data.partition(b"\r\n\r\n")
            line, _, fields = head.partition(b"\r\n")
            self.saw.append(line.decode("latin-1"))
            method, target, version = line.split(b" ", 2)
            if method == b"CONNECT":
                host, _, port = target.decode().rpartition(":")
                begin = b""
                sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                parts = urlsplit(target.decode())
                host, port = parts.hostname or "", str(parts.port or 80)
                path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                begin = b"%b %b %b\r\n%b\r\n\r\n" % (method, path.encode(), version, fields)
            with socket.create_connection((host, int(port)), 10) as up:
                up.sendall(begin + rest)
                back = threading.Thread(target=_pass, args=(up, sock), daemon=True)
                back.start()
                _pass(sock, up)
                back.join(60)

    def close(self) -> None:
        """Take no more."""
        self._server.close()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
