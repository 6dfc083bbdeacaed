"""Calls through proxies: the leg's interface and the leg's faults."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from engine.transport.egress import Guard
from engine.transport.faults import TransportError
from engine.transport.leg import Handle, Timeouts
from engine.transport.proxied import Sender
from tests.support import PATIENCE, until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nX-A: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
URL = "http://api.example.com/v1/x?a=b"


@pytest.fixture
def through() -> Iterator[Any]:
    """A sender through a scripted server as proxy."""
    made: list[Sender] = []

    def make(server: Any, scheme: str = "http") -> Sender:
        made.append(Sender(Guard(), f"{scheme}://127.0.0.1:{server.port}"))
        return made[-1]

    yield make
    for sender in made:
        sender.close()


def kind_of(call: Any) -> str:
    with pytest.raises(TransportError) as caught:
        call()
    assert "a=b" not in str(caught.value)
    return caught.value.kind


def once(*data: bytes, pause: float = 0.0) -> Any:
    def script(peer: Any) -> None:
        peer.request()
        for piece in data:
            peer.say(piece, pause)

    return script


def test_a_call_goes_through_an_http_proxy(through: Any, upstream: Any) -> None:
    server = upstream(OK)
    sender = through(server)
    for _ in range(2):
        answer = sender.send("POST", URL, [("X-One", "1"), ("Content-Type", "a/b")], b"{}")
        assert (answer.status, answer.headers["x-a"], answer.read()) == (200, "1, 2", b"ok")
        assert answer.complete
    head = server.requests[0].partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert head[0] == b"POST http://api.example.com/v1/x?a=b HTTP/1.1"
    assert {b"Host: api.example.com", b"X-One: 1", b"Accept-Encoding: identity", b"Content-Length: 2"} <= set(head)
    assert not any(line.lower().startswith(b"cookie") for line in head)
    assert server.connections == 1


def test_a_call_goes_through_a_socks_proxy_that_resolves_the_name(through: Any, upstream: Any) -> None:
    asked: list[bytes] = []

    def script(peer: Any) -> None:
        peer.sock.recv(100)
        peer.say(b"\x05\x00")
        asked.append(peer.sock.recv(300))
        peer.say(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")
        peer.request()
        peer.say(OK)

    assert through(upstream(script), "socks5h").send("GET", URL, []).read() == b"ok"
    assert b"api.example.com" in asked[0]


def test_the_environment_names_no_proxy(through: Any, upstream: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "*")
    server = upstream(OK)
    assert through(server).send("GET", URL, []).read() == b"ok"
    assert server.requests


def test_pieces_arrive_as_they_come(through: Any, upstream: Any) -> None:
    server = upstream(once(CHUNKED, b"3\r\none\r\n", b"3\r\ntwo\r\n", b"0\r\n\r\n", pause=0.05))
    assert list(through(server).send("GET", URL, []).pieces()) == [b"one", b"two"]


def test_silence_is_told_by_empty_pieces(through: Any, upstream: Any) -> None:
    server = upstream(once(CHUNKED, b"3\r\none\r\n", b"3\r\ntwo\r\n", b"0\r\n\r\n", pause=0.12))
    pieces = list(through(server).send("GET", URL, []).pieces(0.05))
    assert [piece for piece in pieces if piece] == [b"one", b"two"]
    assert pieces.count(b"") >= 3


@pytest.mark.parametrize("end", ["cut", "left"])
def test_a_ticking_body_ends_as_any_other(through: Any, upstream: Any, end: str) -> None:
    gone: list[bool] = []
    said = threading.Event()

    def script(peer: Any) -> None:
        peer.request()
        peer.say(CHUNKED + b"2\r\nok\r\n", 0.05)
        if end == "left":
            for _ in range(5):
                peer.say(b"2\r\nok\r\n", 0.01)
            said.set()
            gone.append(peer.gone_within(PATIENCE))

    pieces = through(upstream(script)).send("GET", URL, []).pieces(0.05)
    assert next(pieces) == b"ok"
    if end == "cut":
        assert kind_of(lambda: list(pieces)) == "cut"
        return
    assert said.wait(PATIENCE)
    pieces.close()
    assert until(lambda: gone) == [True]


def test_codings_are_undone(through: Any, upstream: Any) -> None:
    body = gzip.compress(b"text" * 1000)
    server = upstream(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert through(server).send("GET", URL, []).read() == b"text" * 1000


@pytest.mark.parametrize("reply", [CHUNKED + b"5\r\nab", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"])
def test_a_body_that_ends_too_early_is_a_cut(through: Any, upstream: Any, reply: bytes) -> None:
    answer = through(upstream(once(reply))).send("GET", URL, [])
    assert kind_of(answer.read) == "cut"
    assert not answer.complete


def test_the_limits_of_time_hold(through: Any, upstream: Any) -> None:
    def script(peer: Any) -> None:
        peer.request()
        if len(peer.server.requests) == 1:
            peer.say(CHUNKED + b"2\r\nok\r\n")
        peer.gone_within(PATIENCE)

    sender = through(upstream(script))
    answer = sender.send("GET", URL, [], b"", Timeouts(idle=0.1))
    assert kind_of(answer.read) == "idle_timeout"
    assert kind_of(lambda: sender.send("GET", URL, [], b"", Timeouts(first_byte=0.1))) == "first_byte_timeout"


def test_a_dead_proxy_is_a_connect_fault(through: Any, upstream: Any) -> None:
    server = upstream(OK)
    server.close()
    assert kind_of(lambda: through(server).send("GET", URL, [])) == "connect"
    assert kind_of(lambda: through(server, "socks5h").send("GET", URL, [])) == "connect"


def test_redirects_are_given_not_followed(through: Any, upstream: Any) -> None:
    server = upstream(b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n")
    assert through(server).send("GET", URL, []).status == 302
    assert len(server.requests) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.1.2.3", "0x7f.1", "localhost"])
def test_private_hosts_are_refused_before_the_proxy_hears_of_them(through: Any, upstream: Any, host: str) -> None:
    server = upstream(OK)
    assert kind_of(lambda: through(server).send("GET", f"http://{host}/", [])) == "refused_address"
    assert server.connections == 0


def test_headers_are_checked_as_on_the_leg(through: Any, upstream: Any) -> None:
    server = upstream(OK)
    assert kind_of(lambda: through(server).send("GET", URL, [("X", "1\r\nY: 2")])) == "invalid"
    assert server.connections == 0


def test_abort_ends_the_wait_for_the_body(through: Any, upstream: Any) -> None:
    gone: list[bool] = []

    def script(peer: Any) -> None:
        peer.request()
        peer.say(CHUNKED + b"2\r\nok\r\n")
        gone.append(peer.gone_within(PATIENCE))

    handle = Handle()
    pieces = through(upstream(script)).send("GET", URL, [], handle=handle).pieces()
    assert next(pieces) == b"ok"
    threading.Timer(0.1, handle.abort).start()
    assert kind_of(lambda: next(pieces)) == "aborted"
    assert until(lambda: gone) == [True]


def test_an_unknown_kind_of_proxy_is_told() -> None:
    assert kind_of(lambda: Sender(Guard(), "ftp://127.0.0.1:1")) == "invalid"
