"""Connections whose peer does wrong, frame by frame: each ends, with the code that says why, and holds nobody up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from websockets.frames import Close, Frame, Opcode

from engine.transport import websocket

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
