"""Bodies that come slowly, not at all, or in no sound chunks; and callers who open more than their share."""

from __future__ import annotations

import socket
import time

import pytest
import requests

from tests.relay.conftest import provider
from tests.support import PATIENCE, Gateway

BODY = b'{"model": "m", "messages": [{"role": "user", "content": "words-of-the-caller"}]}'
CHUNKS = {
    "a size in C's spelling": b"0x44\r\n%b\r\n0\r\n\r\n",
    "a size that is no number": b"zz\r\n%b\r\n0\r\n\r\n",
    "a signed size": b"+44\r\n%b\r\n0\r\n\r\n",
    "a negative size": b"-1\r\n%b\r\n0\r\n\r\n",
    "an underscore in the size": b"4_4\r\n%b\r\n0\r\n\r\n",
    "a blank before the size": b" 50\r\n%b\r\n0\r\n\r\n",
    "no size": b"\r\n%b\r\n0\r\n\r\n",
    "a line that ends with LF": b"50\n%b\r\n0\r\n\r\n",
    "a chunk longer than its size": b"4\r\n%b\r\n0\r\n\r\n",
    "a bad extension": b"50;=\x00\r\n%b\r\n0\r\n\r\n",
    "a line without end": b"5" * 20_000 + b"%b",
    "a faulty trailer": b"50\r\n%b\r\n0\r\nwords-of-the-caller\r\n\r\n",
    "a folded trailer": b"50\r\n%b\r\n0\r\nA: b\r\n words-of-the-caller\r\n\r\n",
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    made = Gateway(
        tmp_path_factory.mktemp("bodies"),
        specs={"p.yaml": provider("p", "http://127.0.0.1:1", "openai.chat", "m")},
        env={
            "GATEWRIGHT_BODY_TIMEOUT": "2",
            "GATEWRIGHT_MAX_CONNECTIONS": "20",
            "GATEWRIGHT_CONNECTIONS_PER_ADDRESS": "8",
            "TRUSTED_PROXIES": "127.0.0.1",
            "GATEWRIGHT_ACCESS_LOG": "true",
            "DEBUG": "true",
        },
    )
    try:
        yield made.ready()
    finally:
        made.stop()


def head(gateway, *headers, key=None):
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: x", f"Authorization: Bearer {key or gateway.key}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def ask(gateway, data, seconds=PATIENCE, source="127.0.0.1"):
    """All that is answered to these bytes until the connection is closed, and how long that took."""
    began, pieces = time.monotonic(), []
    with socket.create_connection(("127.0.0.1", gateway.port), seconds, (source, 0)) as sock:
        sock.sendall(data)
        try:
            while piece := sock.recv(65536):
                pieces.append(piece)
        except ConnectionResetError:
            pass
    return b"".join(pieces), time.monotonic() - began


@pytest.mark.parametrize("name", CHUNKS)
def test_malformed_chunks_are_the_callers_fault_and_stay_out_of_the_log(gateway, name):
    data = head(gateway, "Connection: close", "Transfer-Encoding: chunked") + CHUNKS[name].replace(b"%b", BODY)
    answer, _ = ask(gateway, data)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"the request body is malformed: " in answer
    assert b'"error"' in answer, "told in the caller's dialect"
    time.sleep(0.1)
    assert "Traceback" not in gateway.output
    assert "words-of-the-caller" not in gateway.output


def test_chunks_that_end_early_are_told_so(gateway):
    with socket.create_connection(("127.0.0.1", gateway.port), PATIENCE) as sock:
        sock.sendall(head(gateway, "Transfer-Encoding: chunked") + b"50\r\n" + BODY[:20])
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(65536).startswith(b"HTTP/1.1 400 ")
    time.sleep(0.1)
    assert "Traceback" not in gateway.output


@pytest.mark.parametrize("coding", ["gzip, chunked", "chunked, chunked", "identity, chunked", "deflate,chunked"])
def test_a_coding_beside_chunked_is_not_served(gateway, coding):
    for more in ((), ("Expect: 100-continue",)):  # the short path, and gunicorn's own
        data = head(gateway, f"Transfer-Encoding: {coding}", *more) + b"0\r\n\r\n"
        answer, _ = ask(gateway, data)
        assert answer.split(b" ")[1] in (b"400", b"501")
    assert "Traceback" not in gateway.output


@pytest.mark.parametrize("length", ["200000", "50", "30000000"])
def test_a_body_behind_no_good_key_is_not_awaited(gateway, length):
    answer, took = ask(gateway, head(gateway, f"Content-Length: {length}", key="sk-nobody") + b"{")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert took < 60


def test_a_chunked_body_behind_no_good_key_is_not_awaited(gateway):
    answer, took = ask(gateway, head(gateway, "Transfer-Encoding: chunked", key="sk-nobody") + b"50\r\n{")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert took < 60


@pytest.mark.parametrize("framing", ["Content-Length: 200000", "Transfer-Encoding: chunked"])
def test_a_body_that_trickles_has_an_end_time(gateway, framing):
    first = b"30000\r\n{" if "chunked" in framing else b"{"
    with socket.create_connection(("127.0.0.1", gateway.port), PATIENCE) as sock:
        sock.sendall(head(gateway, framing) + first)
        sent = 0
        try:
            for sent in range(60):  # noqa: B007 - how many went out is looked at below
                time.sleep(0.25)
                sock.sendall(b" ")
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert sent < 40
    assert requests.get(f"{gateway.base}/healthz", timeout=PATIENCE).status_code == 200


def test_a_large_body_may_take_longer_if_it_comes_at_the_least_rate(gateway):
    body = BODY[:-2] + b" " * 400_000 + b"]}"
    with socket.create_connection(("127.0.0.1", gateway.port), PATIENCE) as sock:
        sock.sendall(head(gateway, f"Content-Length: {len(body)}", "Connection: close"))
        for start in range(0, len(body), 40_000):
            sock.sendall(body[start : start + 40_000])
            time.sleep(0.4)
        answer = sock.recv(65536)
    assert not answer.startswith((b"HTTP/1.1 408", b"HTTP/1.1 400"))


def test_one_address_has_its_share_of_connections_and_a_proxy_all(gateway):
    held = [socket.create_connection(("127.0.0.1", gateway.port), PATIENCE, ("127.0.0.2", 0)) for _ in range(8)]
    try:
        for sock in held:
            sock.sendall(b"GET /healthz HTTP/1.1\r\n")
        time.sleep(0.3)
        answer, _ = ask(gateway, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", source="127.0.0.2")
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"too many connections" in answer
        assert requests.get(f"{gateway.base}/healthz", timeout=PATIENCE).status_code == 200
    finally:
        for sock in held:
            sock.close()
    beside = [socket.create_connection(("127.0.0.1", gateway.port), PATIENCE) for _ in range(10)]
    answer, _ = ask(gateway, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    for sock in beside:
        sock.close()
