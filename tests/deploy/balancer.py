"""A balancer of TCP connections as they are used in front of gateways: new ones go to servers that say that they live.

``Balancer(ports)`` listens and asks each server ``/healthz``; ``drain(port)`` sends it no new connection. A server that
can't be connected is passed over, as a proxy does; what was sent is never sent twice.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import urllib.request


class Balancer:
    """See the module; use it as a context."""

    def __init__(self, ports: list[int]) -> None:
        self.ports = list(ports)
        self.drained: set[int] = set()
        self._turns = itertools.count()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Balancer:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def drain(self, port: int) -> None:
        """No new connection goes there."""
        self.drained.add(port)

    def back(self, port: int) -> None:
        """New connections go there again."""
        self.drained.discard(port)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            server = self._connected()
            if server is None:
                return
            with server:
                up = threading.Thread(target=_pour, args=(client, server), daemon=True)
                up.start()
                _pour(server, client)
                up.join(10)

    def _connected(self) -> socket.socket | None:
        turn = next(self._turns)
        free = [port for port in self.ports if port not in self.drained]
        for number in range(len(free)):
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", free[(turn + number) % len(free)]), 5)
        return None


def _pour(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for one, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        with contextlib.suppress(OSError):
            one.shutdown(how)


def lives(port: int) -> bool:
    """Whether a gateway there says that it lives."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
