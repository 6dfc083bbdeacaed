"""Connections whose peer does wrong, frame by frame: each ends, with the code that says why, and holds nobody up."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from websockets.frames import Close, Frame, Opcode
from websockets.sync.server import ServerConnection, serve

from engine.transport import websocket
from engine.transport.connection import Handle
from engine.transport.egress import Guard
from engine.transport.faults import TransportError
from engine.transport.limits import Timeouts
from tests.support import deaf_port

PING = 0.3
Pair = tuple[websocket.WebSocket, socket.socket]


def sent(opcode: Opcode, data: bytes, *, fin: bool = True, mask: bool = True) -> bytes:
    """A frame as a client writes it."""
    return Frame(opcode, data, fin).serialize(mask=mask)


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """A connection that was just upgraded, and its peer's socket."""
    monkeypatch.setattr(websocket, "PING_EVERY", PING)
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
    connection = websocket.accept(ours, "dGhlIHNhbXBsZSBub25jZQ==", None)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += peer.recv(1)
    assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head  # RFC 6455, section 1.3
    yield connection, peer
    connection.drop()
    peer.close()


def told(peer: socket.socket) -> int:
    """The code with which the other side closed; what comes before is passed over."""
    peer.settimeout(20)
    raw = b""
    while True:
        raw += (piece := peer.recv(65_536))
        while len(raw) >= 2 and len(raw) >= 2 + raw[1]:  # nothing here is long
            opcode, data, raw = raw[0] & 15, raw[2 : 2 + raw[1]], raw[2 + raw[1] :]
            if opcode == Opcode.CLOSE:
                return int(Close.parse(data).code)
        assert piece, "it hung up and told no code"


def heard(connection: websocket.WebSocket) -> list[bytes]:
    return [message.data for message in connection.messages()]


def endless(peer: socket.socket) -> None:
    peer.sendall(sent(Opcode.TEXT, b"", fin=False))
    for _ in range(11):
        peer.sendall(sent(Opcode.CONT, b"", fin=False) * 1000)


def long(peer: socket.socket) -> None:
    peer.sendall(sent(Opcode.TEXT, b"x" * 1_000_000, fin=False))
    for _ in range(17):
        peer.sendall(sent(Opcode.CONT, b"x" * 1_000_000, fin=False))


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (endless, 1009),
        (long, 1009),
        (lambda peer: peer.sendall(b"\x81\xff" + (100 * 2**20).to_bytes(8, "big") + b"mask" + b"x" * 1000), 1009),
        (lambda peer: peer.sendall(sent(Opcode.TEXT, b"x", mask=False)), 1002),
        (lambda peer: peer.sendall(sent(Opcode.CONT, b"x")), 1002),
        (lambda peer: peer.sendall(sent(Opcode.TEXT, b"x", fin=False) + sent(Opcode.TEXT, b"y")), 1002),
        (lambda peer: peer.sendall(b"\xf1\x80mask"), 1002),
    ],
    ids=[
        "fragments without end",
        "long",
        "a frame of 100 MB",
        "no mask",
        "no beginning",
        "in between",
        "reserved bits",
    ],
)
def test_what_breaks_the_protocol_ends_with_its_code(
    pair: Pair, wrong: Callable[[socket.socket], None], code: int
) -> None:
    connection, peer = pair
    codes: list[int] = []
    listening = threading.Thread(target=lambda: codes.append(told(peer)))
    listening.start()

    def write() -> None:
        try:
            wrong(peer)
        except OSError:
            """It was closed meanwhile."""

    writing = threading.Thread(target=write)
    writing.start()
    assert heard(connection) == []
    listening.join()
    writing.join()
    assert codes == [code]


def test_a_peer_that_answers_no_ping_is_given_up_and_one_that_does_is_not(pair: Pair) -> None:
    connection, peer = pair
    peer.sendall(sent(Opcode.TEXT, b"hello"))
    messages = connection.messages()
    assert next(messages).data == b"hello"
    peer.settimeout(20)

    def answer() -> None:
        for _ in range(3):
            assert peer.recv(2) == b"\x89\x00"  # a ping
            peer.sendall(sent(Opcode.PONG, b""))

    answering = threading.Thread(target=answer)
    began = time.monotonic()
    answering.start()
    assert list(messages) == []
    answering.join()
    assert time.monotonic() - began > 4 * PING  # three answered, one not
    assert connection.code == 1006


def test_a_peer_that_takes_nothing_is_given_up(pair: Pair) -> None:
    connection, _ = pair
    assert any(not connection.send(b"x" * 1_000_000, text=False) for _ in range(100))
    assert not connection.send(b"more")
    assert heard(connection) == []


def test_what_ends_in_the_midst_of_a_message_is_none(pair: Pair) -> None:
    connection, peer = pair
    peer.sendall(sent(Opcode.TEXT, b"half", fin=False))
    peer.shutdown(socket.SHUT_WR)
    assert heard(connection) == []
    assert connection.code == 1006


class Proxy:
    """HTTP CONNECT or SOCKS5 on loopback, one connection after the other; ``asked`` is what they were opened for."""

    def __init__(self, answers: Callable[[socket.socket], str]) -> None:
        self._answers, self.asked = answers, list[str]()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.server.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self.server.accept()
                self.asked.append(place := self._answers(caller))
                host, _, port = place.rpartition(":")
                there = socket.create_connection((host, int(port)))
                for one, other in ((caller, there), (there, caller)):
                    threading.Thread(target=_carry, args=(one, other), daemon=True).start()


def _carry(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)


def connects(caller: socket.socket) -> str:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += caller.recv(1)
    caller.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    return head.split()[1].decode()


def socks5(caller: socket.socket) -> str:
    caller.recv(100)
    caller.sendall(b"\x05\x00")
    asked = caller.recv(300)
    caller.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")
    host = asked[5:-2].decode() if asked[3] == 3 else socket.inet_ntoa(asked[4:8])
    return f"{host}:{int.from_bytes(asked[-2:])}"


@pytest.mark.parametrize(("scheme", "answers"), [("http", connects), ("socks5", socks5)])
def test_an_upstream_is_reached_through_a_channels_proxy(scheme: str, answers: Callable[[socket.socket], str]) -> None:
    def echo(ws: ServerConnection) -> None:
        for message in ws:
            ws.send(message)

    proxy = Proxy(answers)
    with serve(echo, "127.0.0.1", 0) as upstream:
        port = upstream.socket.getsockname()[1]
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        place = f"127.0.0.1:{port}"
        more: Any = {"timeouts": Timeouts(), "handle": Handle(), "tls": ssl.create_default_context()}
        through = {"proxy": f"{scheme}://127.0.0.1:{proxy.port}", **more}
        connection = websocket.connect(Guard((place,)), f"http://{place}/live", [("x-a", "b")], [], **through)
        assert connection.send(b"hello")
        assert next(connection.messages()).data == b"hello"
        connection.drop()
        assert proxy.asked == [place]
        with pytest.raises(TransportError, match="did not upgrade"):  # it speaks no TLS
            websocket.connect(Guard((place,)), f"https://{place}/live", [], [], **through)
        upstream.shutdown()
    with pytest.raises(TransportError):  # nobody opened that address
        websocket.connect(Guard(), f"http://{place}/live", [], [], **through)
    with deaf_port() as nobody:
        through["proxy"] = f"{scheme}://127.0.0.1:{nobody}"
        with pytest.raises(TransportError, match="the proxy gave no connection"):
            websocket.connect(Guard((place,)), f"http://{place}/live", [], [], **through)
