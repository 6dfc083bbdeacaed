"""What may not get into a request's head, and addresses."""

from __future__ import annotations

import pytest

from engine.transport.faults import TransportError
from engine.transport.url import parse_url
from engine.transport.wire import request_bytes

URL = parse_url("https://api.example.com/v1/chat")


@pytest.mark.parametrize(
    "header",
    [
        ("X-A", "one\r\nX-B: two"),
        ("X-A", "one\nX-B: two"),
        ("X-A", "one\rX-B: two"),
        ("X-A", "one\0two"),
        ("X-A", "snow \u2603"),
        ("X-A\r\nX-B", "1"),
        ("X A", "1"),
        ("X-A:", "1"),
        ("X-\xe9", "1"),
        ("", "1"),
        ("Host", "other"),
        ("content-length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
    ],
)
def test_a_header_that_could_split_or_mislead_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(TransportError) as caught:
        request_bytes("GET", URL, [header], b"")
    assert caught.value.kind == "invalid"
    assert "two" not in str(caught.value)


@pytest.mark.parametrize("method", ["GET /x HTTP/1.1\r\nA:", "G T", "", "GET\n"])
def test_a_method_that_is_no_token_is_refused(method: str) -> None:
    with pytest.raises(TransportError):
        request_bytes(method, URL, [], b"")


def test_latin_1_goes_out_as_one_byte_a_letter() -> None:
    assert b"X-A: caf\xe9\r\n" in request_bytes("GET", URL, [("X-A", "café")], b"")


def test_an_own_accept_encoding_replaces_identity() -> None:
    data = request_bytes("GET", URL, [("accept-encoding", "gzip")], b"")
    assert data.lower().count(b"accept-encoding") == 1


@pytest.mark.parametrize(
    ("text", "host", "port", "target", "authority"),
    [
        ("https://api.example.com", "api.example.com", 443, "/", "api.example.com"),
        ("http://API.Example.com:80/a?b=c#frag", "api.example.com", 80, "/a?b=c", "api.example.com"),
        ("https://h.test:8443/a%2Fb:x", "h.test", 8443, "/a%2Fb:x", "h.test:8443"),
        ("http://[::1]:9000/x", "::1", 9000, "/x", "[::1]:9000"),
        ("http://h.test/a b/é", "h.test", 80, "/a%20b/%C3%A9", "h.test"),
        ("http://h.test?q=1", "h.test", 80, "/?q=1", "h.test"),
        ("http://bücher.test/", "xn--bcher-kva.test", 80, "/", "xn--bcher-kva.test"),
    ],
)
def test_an_address_is_taken_apart(text: str, host: str, port: int, target: str, authority: str) -> None:
    url = parse_url(text)
    assert (url.host, url.port, url.target, url.authority) == (host, port, target, authority)


@pytest.mark.parametrize(
    "text",
    [
        "ftp://h.test/",
        "file:///etc/passwd",
        "//h.test/",
        "h.test/x",
        "http://",
        "http:///x",
        "http://user@h.test/",
        "http://user:secret@h.test/",
        "http://a@h.test@evil.test/",
        "http://h.test:99999/",
        "http://h.test:0/",
        "http://h.test:x/",
        "http://h.test\r\nX: 1/",
        "http://h.test/a\r\nX: 1",
        "http://h.test/a\0",
        "http://h.test\\@evil.test/",
        "http://h te.st/",
        "http://h%00.test/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://-h.test/",
    ],
)
def test_a_misleading_address_is_refused(text: str) -> None:
    with pytest.raises(TransportError) as caught:
        parse_url(text)
    assert caught.value.kind == "invalid"
    assert "secret" not in str(caught.value)


def test_the_shown_address_has_no_query() -> None:
    assert parse_url("https://h.test/a?key=secret").without_query() == "https://h.test/a"
