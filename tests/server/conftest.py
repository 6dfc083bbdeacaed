"""Starts the small site of ``site.py`` under gunicorn, and talks to it byte by byte."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import PATIENCE, free_port, until

SITE = Path(__file__).with_name("site.py")


@pytest.fixture(name="free_port", scope="session")
def free_port_fixture() -> Callable[[], int]:
    """How to find a free port."""
    return free_port


@dataclass
class Reply:
    """One answer: status, headers in lower case, body without framing, whether the bytes were all there."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool = True

    @property
    def env(self) -> dict[str, Any]:
        return dict(json.loads(self.body)["env"])

    @property
    def text(self) -> str:
        return str(json.loads(self.body)["body"])


class Client:
    """A raw connection that reads answers strictly."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.held = b""

    def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        for piece in pieces:
            self.sock.sendall(piece)
            time.sleep(pause)

    def more(self) -> bool:
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        self.held += data
        return bool(data)

    def line(self) -> bytes:
        while b"\r\n" not in self.held:
            if not self.more():
                raise EOFError(self.held)
        line, self.held = self.held.split(b"\r\n", 1)
        return line

    def exactly(self, count: int) -> bytes:
        while len(self.held) < count:
            if not self.more():
                raise EOFError(self.held)
        data, self.held = self.held[:count], self.held[count:]
        return data

    def reply(self, head_only: bool = False) -> Reply:
        version, status, *_ = self.line().split(b" ")
        assert version in (b"HTTP/1.1", b"HTTP/1.0")
        headers: dict[str, str] = {}
        while line := self.line():
            name, value = line.decode("latin-1").split(": ", 1)
            assert name.lower() not in headers
            headers[name.lower()] = value
        reply = Reply(int(status), headers, b"")
        if not head_only and reply.status not in (204, 304) and reply.status >= 200:
            try:
                self._body(reply)
            except EOFError:
                reply.whole = False
        return reply

    def _body(self, reply: Reply) -> None:
        if reply.headers.get("transfer-encoding") == "chunked":
            while size := int(self.line(), 16):
                reply.body += self.exactly(size)
                assert self.line() == b""
            assert self.line() == b""
        elif "content-length" in reply.headers:
            reply.body = self.exactly(int(reply.headers["content-length"]))
        else:
            while self.more():
                pass
            reply.body, self.held = self.held, b""

    def ended(self) -> bool:
        """Whether the server closed the connection without another byte."""
        return not self.held and not self.more()

    def close(self) -> None:
        self.sock.close()

    def __del__(self) -> None:
        self.close()


@dataclass
class Site:
    """A running site."""

    port: int
    kind: str
    process: subprocess.Popen[bytes]

    def client(self) -> Client:
        return Client(self.port)

    def ask(self, data: bytes, head_only: bool = False) -> Reply:
        client = Client(self.port)
        try:
            client.send(data)
            return client.reply(head_only)
        finally:
            client.close()


def start_site(kind: str) -> Site:
    """Start a site of the kind ``short``, ``whole`` or ``stock``."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(SITE), str(port), kind], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def listens() -> bool:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), PATIENCE).close()
            return True
        return False

    until(listens)
    return Site(port, kind, process)


def stop_site(site: Site) -> float:
    """Stop a site; how long it took."""
    began = time.monotonic()
    site.process.terminate()
    try:
        site.process.wait(PATIENCE)
    finally:
        site.process.kill()
        site.process.wait()
    return time.monotonic() - began


@pytest.fixture(scope="session")
def short_site() -> Iterator[Site]:
    """The short worker."""
    site = start_site("short")
    yield site
    stop_site(site)


@pytest.fixture(scope="session")
def whole_site() -> Iterator[Site]:
    """The short worker with everything on gunicorn's own path."""
    site = start_site("whole")
    yield site
    stop_site(site)


@pytest.fixture(params=["short", "whole"])
def site(request: pytest.FixtureRequest) -> Site:
    """Both paths in turn."""
    chosen: Site = request.getfixturevalue(f"{request.param}_site")
    return chosen
