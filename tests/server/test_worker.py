"""The short worker's answers and bodies, byte by byte on real sockets; most of it on gunicorn's own path too."""

from __future__ import annotations

import re
import socket
import struct
import time

import pytest

from tests.server.conftest import start_site, stop_site
from tests.support import until


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *headers, "", ""]).encode()


def post(path: str, body: bytes, *headers: str) -> bytes:
    return get(path, f"Content-Length: {len(body)}", *headers, method="POST") + body


def test_requests_in_one_packet_are_answered_in_order(site):
    client = site.client()
    client.send(get("/one") + post("/two", b"second") + get("/three") + post("/four", b""))
    replies = [client.reply() for _ in range(4)]
    assert [reply.env["PATH_INFO"] for reply in replies] == ["/one", "/two", "/three", "/four"]
    assert replies[1].text == "second"
    client.close()


def test_short_and_own_path_alternate_on_one_connection(short_site):
    client = short_site.client()
    chunked = get("/chunks", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n0\r\n\r\n"
    client.send(get("/a") + chunked + post("/b", b"plain") + chunked + get("/c"))
    assert [client.reply().text for _ in range(5)] == ["", "hello", "plain", "hello", ""]
    client.close()


def test_chunked_body_may_come_in_any_pieces(site):
    client = site.client()
    data = get("/x", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n6\r\n world\r\n0\r\nX-T: x\r\n\r\n"
    client.send(*[data[at : at + 7] for at in range(0, len(data), 7)], pause=0.002)
    assert client.reply().text == "hello world"
    client.send(get("/next"))
    assert client.reply().status == 200
    client.close()


@pytest.mark.parametrize("size", [1, 5_000, 262_144, 262_145, 3_000_000])
def test_bodies_of_any_length_arrive_whole(site, size):
    body = bytes(number % 251 for number in range(size))
    client = site.client()
    client.send(post("/x", body) + get("/next"))
    assert client.reply().text.encode("latin-1") == body
    assert client.reply().env["PATH_INFO"] == "/next"
    client.close()


def test_lines_of_a_long_body_can_be_iterated(short_site):
    body = b"".join(b"line %d\n" % number for number in range(60_000)) + b"end"
    reply = short_site.ask(post("/lines", body))
    assert reply.body == b"|".join(body.splitlines(keepends=True))


def test_body_that_the_app_did_not_read_does_not_become_a_request(site):
    client = site.client()
    client.send(post("/part", get("/smuggled") * 8_000))
    assert client.reply().body == b"GET"
    client.send(get("/next"))
    assert client.reply().env["PATH_INFO"] == "/next"
    client.close()


def test_answer_to_a_body_that_is_too_long_arrives_while_the_client_still_sends(short_site):
    client = short_site.client()
    client.send(get("/unread", "Content-Length: 40000000", method="POST"))
    try:
        for _ in range(40):
            client.send(b"x" * 1_000_000)
    except (BrokenPipeError, ConnectionResetError):
        pytest.fail("the connection was reset while the body was sent")
    reply = client.reply()
    assert (reply.status, reply.body, reply.headers["connection"]) == (413, b"much", "close")
    client.close()


def test_expect_is_answered_by_continue(site):
    client = site.client()
    client.send(get("/x", "Expect: 100-continue", "Content-Length: 5", method="POST"))
    assert client.reply().status == 100
    client.send(b"hello")
    assert client.reply().text == "hello"
    client.send(get("/next"))
    assert client.reply().status == 200
    client.close()


@pytest.mark.parametrize("headers", [("Connection: close",), ("Connection: TE, Close", "TE: trailers")])
def test_connection_close_is_kept(site, headers):
    client = site.client()
    client.send(get("/x", *headers))
    assert client.reply().headers["connection"] == "close"
    assert client.ended()
    client.close()


def test_app_may_close_the_connection(short_site):
    client = short_site.client()
    client.send(get("/goodbye"))
    reply = client.reply()
    assert (reply.body, reply.headers["connection"]) == (b"bye", "close")
    assert client.ended()
    client.close()


def test_http_1_0_is_answered_without_chunks_and_closed(site):
    client = site.client()
    client.send(b"GET /stream HTTP/1.0\r\n\r\n")
    reply = client.reply()
    assert "transfer-encoding" not in reply.headers
    assert reply.body == b"".join(b"tick %d\n" % number for number in range(5))
    assert client.ended()
    client.close()


@pytest.mark.parametrize(("path", "status"), [("/x", 200), ("/stream", 200), ("/nothing", 204)])
def test_head_has_no_body(site, path, status):
    client = site.client()
    client.send(get(path, method="HEAD") + get("/next"))
    reply = client.reply(head_only=True)
    assert reply.status == status
    assert "transfer-encoding" not in reply.headers
    assert client.reply().env["PATH_INFO"] == "/next"
    client.close()


def test_head_tells_the_length_that_get_would_have(site):
    reply = site.ask(get("/x", method="HEAD"), head_only=True)
    assert int(reply.headers["content-length"]) > 100


@pytest.mark.parametrize(("path", "length"), [("/nothing", None), ("/unchanged", "5")])
def test_answers_without_a_body_carry_none(site, path, length):
    client = site.client()
    client.send(get(path) + get("/next"))
    assert client.reply().headers.get("content-length") == length
    assert client.reply().env["PATH_INFO"] == "/next"
    client.close()


def test_stream_leaves_item_by_item(site):
    client = site.client()
    client.send(get("/stream"))
    assert client.line() == b"HTTP/1.1 200 OK"
    while client.line():
        pass
    items = []
    while size := int(client.line(), 16):
        items.append(client.exactly(size))
        client.line()
    assert items == [b"tick %d\n" % number for number in range(5)]
    client.line()
    client.send(get("/next"))
    assert client.reply().status == 200
    client.send(get("/endless"))
    while client.line():
        pass
    assert client.exactly(int(client.line(), 16)) == b"tick 0\n", "long before the end"
    client.close()


def test_head_and_first_item_leave_in_one_packet(short_site):
    client = short_site.client()
    client.send(get("/stream"))
    client.more()
    assert re.fullmatch(rb"HTTP/1\.1 200 OK\r\n.*\r\n\r\n7\r\ntick 0\n\r\n", client.held, re.DOTALL)
    client.close()


def test_one_item_without_a_length_gets_one(short_site):
    reply = short_site.ask(post("/part", b"abcdef"))
    assert reply.headers["content-length"] == "3"


def test_write_callable_works(site):
    assert site.ask(get("/write")).body == b"by write"


def test_body_beyond_its_length_is_cut_and_the_next_answer_is_sound(site):
    client = site.client()
    client.send(get("/long") + get("/next"))
    assert client.reply().body == b"abc"
    assert client.reply().env["PATH_INFO"] == "/next"
    client.close()


def test_body_short_of_its_length_ends_the_connection(short_site):
    client = short_site.client()
    client.send(get("/short"))
    reply = client.reply()
    assert not reply.whole
    assert client.held == b"abc"
    client.close()


@pytest.mark.parametrize("path", ["/raise", "/split"])
def test_error_in_the_app_is_a_500_that_closes(site, path):
    client = site.client()
    client.send(get(path))
    reply = client.reply()
    assert (reply.status, reply.headers["connection"]) == (500, "close")
    assert b"Injected" not in reply.body
    assert client.ended()
    client.close()


def test_error_in_the_middle_is_a_cut_and_never_a_clean_end(site):
    client = site.client()
    client.send(get("/broken"))
    reply = client.reply()
    assert not reply.whole
    assert reply.body == b"half"
    client.close()


def test_stop_iteration_from_the_app_closes_without_a_byte(site):
    client = site.client()
    client.send(get("/vanish"))
    assert client.ended()
    client.close()


def test_stream_of_a_client_that_left_is_closed(site):
    before, last = int(site.ask(get("/closed")).body), -1
    while before != last:  # what other tests left may still be closing
        time.sleep(0.3)
        before, last = int(site.ask(get("/closed")).body), before
    client = site.client()
    client.send(get("/endless"))
    assert client.more()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    until(lambda: int(site.ask(get("/closed")).body) > before)
    assert int(site.ask(get("/closed")).body) == before + 1


def test_body_that_stops_coming_ends_the_connection(site):
    client = site.client()
    client.send(get("/x", "Content-Length: 500", method="POST") + b"part")
    began = time.monotonic()
    while client.more():
        pass
    assert time.monotonic() - began < 60
    assert not client.held.startswith(b"HTTP/1.1 200")
    client.close()


def test_body_of_a_client_that_left_ends_the_connection(short_site):
    client = short_site.client()
    client.send(get("/x", "Content-Length: 500000", method="POST") + b"part")
    client.sock.shutdown(socket.SHUT_WR)
    assert client.ended() or b" 200 " not in client.held
    client.close()


def test_date_is_there_and_no_header_is_doubled(short_site):
    reply = short_site.ask(get("/x"))
    assert reply.headers["date"].endswith("GMT")
    assert reply.headers["content-type"] == "application/json"


def test_many_connections_are_served_at_once(short_site):
    clients = [short_site.client() for _ in range(100)]
    for client in clients:
        client.send(get("/stream"))
    assert all(client.reply().body.endswith(b"tick 4\n") for client in clients)
    for client in clients:
        client.close()


@pytest.mark.parametrize("kind", ["short", "whole"])
def test_first_request_of_a_connection_is_answered_while_the_worker_stops(kind):
    site = start_site(kind)
    used, fresh = site.client(), site.client()
    used.send(get("/x"))
    assert used.reply().status == 200
    site.process.terminate()
    time.sleep(1.2)  # its clock has beaten once since
    fresh.send(get("/x"))
    reply = fresh.reply()
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert fresh.ended()
    assert kind == "whole" or used.ended()
    assert stop_site(site) < 60
    fresh.close()
    used.close()
