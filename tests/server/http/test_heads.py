"""What an attacker could send: each head gets the same verdict on the short path and on gunicorn's own."""

from __future__ import annotations

import pytest

from engine.relay.app import lower_headers

BODY = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def post(*headers: bytes, body: bytes = b"hello", line: bytes = b"POST /x HTTP/1.1") -> bytes:
    return b"\r\n".join([line, *headers, b"", b""]) + body


REFUSED = {
    "both lengths": post(b"Host: a", b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "both lengths turned round": post(
        b"Host: a", b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"
    ),
    "two lengths that differ": post(b"Host: a", b"Content-Length: 5", b"Content-Length: 6"),
    "two lengths that agree": post(b"Host: a", b"Content-Length: 5", b"Content-Length: 5"),
    "a list of lengths": post(b"Host: a", b"Content-Length: 5, 5"),
    "a signed length": post(b"Host: a", b"Content-Length: +5"),
    "a negative length": post(b"Host: a", b"Content-Length: -5"),
    "a hexadecimal length": post(b"Host: a", b"Content-Length: 0x5"),
    "an empty length": post(b"Host: a", b"Content-Length:"),
    "a length with an underscore": post(b"Host: a", b"Content-Length: 1_0"),
    "a length in other digits": post(b"Host: a", b"Content-Length: \xb2"),
    "a length beyond reason": post(b"Host: a", b"Content-Length: 99999999999999999999999"),
    "a length with a blank within": post(b"Host: a", b"Content-Length: 5 5"),
    "Content_Length": post(b"Host: a", b"Content_Length: 5"),
    "Transfer_Encoding": post(b"Host: a", b"Transfer_Encoding: chunked", body=b"0\r\n\r\n"),
    "X_Forwarded_For": post(b"Host: a", b"X_Forwarded_For: 1.1.1.1", b"Content-Length: 5"),
    "a blank before the colon": post(b"Host: a", b"Content-Length : 5"),
    "a name with a blank": post(b"Host: a", b"Content Length: 5"),
    "a header without a colon": post(b"Host: a", b"Nonsense", b"Content-Length: 5"),
    "a header without a name": post(b"Host: a", b": value", b"Content-Length: 5"),
    "folding": post(b"Host: a", b"X-Long: one", b" two", b"Content-Length: 5"),
    "folding by a tab": post(b"Host: a", b"X-Long: one", b"\ttwo", b"Content-Length: 5"),
    "folding of the first header": post(b" Host: a", b"Content-Length: 5"),
    "a bare LF in the head": b"POST /x HTTP/1.1\r\nHost: a\nContent-Length: 5\r\n\r\nhello",
    "a bare LF at the end": b"GET /x HTTP/1.1\r\nHost: a\n\n",
    "bare LFs only": b"GET /x HTTP/1.1\nHost: a\n\n",
    "a bare LF in the request line": b"GET /x HTTP/1.1\nX: y\r\nHost: a\r\n\r\n",
    "a bare CR in a value": post(b"Host: a", b"X: a\rContent-Length: 9", b"Content-Length: 5"),
    "a bare CR in the request line": b"GET /x\r HTTP/1.1\r\nHost: a\r\n\r\n",
    "a null in a value": post(b"Host: a", b"X: a\0b", b"Content-Length: 5"),
    "a null in a name": post(b"Host: a", b"X\0: b", b"Content-Length: 5"),
    "a control character in a value": post(b"Host: a", b"X: a\x0bb", b"Content-Length: 5"),
    "a DEL in a value": post(b"Host: a", b"X: a\x7fb", b"Content-Length: 5"),
    "a name beyond ASCII": post(b"Host: a", b"X\xe4: b", b"Content-Length: 5"),
    "no Host": b"GET /x HTTP/1.1\r\nAccept: */*\r\n\r\n",
    "no header at all": b"GET /x HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two equal Hosts": b"GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "a Host with a path": b"GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a Host with user info": b"GET /x HTTP/1.1\r\nHost: b@a\r\n\r\n",
    "a Host with a blank": b"GET /x HTTP/1.1\r\nHost: a b\r\n\r\n",
    "two Content-Types": post(b"Host: a", b"Content-Type: a/b", b"Content-Type: c/d", b"Content-Length: 5"),
    "two Authorizations": post(b"Host: a", b"Authorization: a", b"Authorization: b", b"Content-Length: 5"),
    "Transfer-Encoding in HTTP/1.0": post(b"Host: a", b"Transfer-Encoding: chunked", line=b"POST /x HTTP/1.0"),
    "a coding after chunked": post(b"Host: a", b"Transfer-Encoding: chunked, gzip"),
    "chunked twice": post(b"Host: a", b"Transfer-Encoding: chunked, chunked"),
    "chunked in two headers": post(b"Host: a", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "an unknown coding": post(b"Host: a", b"Transfer-Encoding: cow"),
    "identity only": post(b"Host: a", b"Transfer-Encoding: identity"),
    "a coding with a prefix": post(b"Host: a", b"Transfer-Encoding: xchunked"),
    "chunked in quotes": post(b"Host: a", b'Transfer-Encoding: "chunked"'),
    "an absolute URI of another host": b"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "an absolute URI with user info": b"GET http://a@b/x HTTP/1.1\r\nHost: b\r\n\r\n",
    "an absolute URI without a host": b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
    "a URI of another scheme": b"GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "a relative target": b"GET x HTTP/1.1\r\nHost: a\r\n\r\n",
    "an asterisk for GET": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment": b"GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT": b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
    "TRACE": b"TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "an unknown method": b"FROB /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method in lower case": b"get /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "a blank in the target": b"GET /x y HTTP/1.1\r\nHost: a\r\n\r\n",
    "two blanks": b"GET  /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "a tab as blank": b"GET\t/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "a blank at the line's end": b"GET /x HTTP/1.1 \r\nHost: a\r\n\r\n",
    "a blank before the method": b" GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "bytes beyond ASCII in the target": b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n",
    "no version": b"GET /x\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET /x HTTP/0.9\r\nHost: a\r\n\r\n",
    "HTTP/1.2": b"GET /x HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/2.0": b"GET /x HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/1.10": b"GET /x HTTP/1.10\r\nHost: a\r\n\r\n",
    "another protocol": b"GET /x ICAP/1.0\r\nHost: a\r\n\r\n",
    "the HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a PROXY line that nobody asked for": b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS on the plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\n" * 20 + b"\r\n\r\n",
    "an empty line too many": b"\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "an expectation nobody knows": post(b"Host: a", b"Expect: wonders", b"Content-Length: 5"),
    "a long request line": b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a long header": b"GET /x HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    "many headers": b"GET /x HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 150 + b"\r\n",
    "a head of a megabyte": b"GET /x HTTP/1.1\r\nHost: a\r\n" + b"X: yyyyyyyyyyyyy\r\n" * 60_000 + b"\r\n",
}

TAKEN = {
    "a plain GET": b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "one empty line before": b"\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "a Host with a port": b"GET /x HTTP/1.1\r\nHost: a:80\r\n\r\n",
    "a Host in brackets": b"GET /x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    "an empty Host": b"GET /x HTTP/1.1\r\nHost:\r\n\r\n",
    "blanks round a value": post(b"Host: a", b"Content-Length: \t 5 \t", b"X: \t y \t"),
    "a value beyond ASCII": post(b"Host: a", b"Content-Length: 5", b"X: \xc3\xa4"),
    "a repeated header": post(b"Host: a", b"Content-Length: 5", b"X: 1", b"x: 2", b"X: 3"),
    "odd letters in names": post(b"hOST: a", b"cONTENT-lENGTH: 5", b"X-!#$: 1"),
    "a length with zeros before it": post(b"Host: a", b"Content-Length: 005"),
    "an encoded target": b"GET /a%20b%2Fc%00?x=%20&y HTTP/1.1\r\nHost: a\r\n\r\n",
    "two slashes": b"GET //a/b HTTP/1.1\r\nHost: a\r\n\r\n",
    "an absolute URI of this host": b"GET http://A/x?y=1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "an absolute URI without a path": b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n",
    "an asterisk for OPTIONS": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/1.0": b"GET /x HTTP/1.0\r\n\r\n",
    "HTTP/1.0 with a body": post(b"Content-Length: 5", line=b"POST /x HTTP/1.0"),
    "chunks": post(b"Host: a", b"Transfer-Encoding: chunked", body=b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n"),
    "an upgrade that we don't know": post(b"Host: a", b"Connection: upgrade", b"Upgrade: a/1", b"Content-Length: 5"),
    "DELETE with a body": post(b"Host: a", b"Content-Length: 5", line=b"DELETE /x HTTP/1.1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_ambiguous_or_oversized_head_is_refused_and_ends_the_connection(site, name):
    client = site.client()
    try:
        client.send(REFUSED[name] + BODY)
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before all of it was sent
    reply = client.reply()
    assert 400 <= reply.status <= 505
    assert reply.headers["connection"].lower() == "close"
    assert len(reply.headers["x-request-id"]) == 32
    assert client.ended()
    client.close()


@pytest.mark.parametrize("name", TAKEN)
def test_both_paths_give_the_app_the_same_environ(short_site, whole_site, name):
    seen = []
    for site in (short_site, whole_site):
        reply = site.ask(TAKEN[name])
        assert reply.status == 200
        env = reply.env
        for key in ("SERVER_PORT", "REMOTE_PORT"):
            assert env.pop(key).isdigit()
        seen.append((env, reply.text))
    assert seen[0] == seen[1]


def test_environ_says_what_was_sent(short_site):
    env = short_site.ask(
        b"POST /a%20b%2fc?key=1&x=2 HTTP/1.1\r\nHost: a:1\r\n"
        b"X-Two-Words: y\r\nContent-Type: t/u\r\nContent-Length: 0\r\n\r\n"
    ).env
    assert env["PATH_INFO"] == "/a b/c"
    assert env["QUERY_STRING"] == "key=1&x=2"
    assert env["RAW_URI"] == "/a%20b%2fc?key=1&x=2"
    assert env["HTTP_X_TWO_WORDS"] == "y"
    assert env["CONTENT_TYPE"] == "t/u"
    assert env["CONTENT_LENGTH"] == "0"
    assert env["REMOTE_ADDR"] == "127.0.0.1"
    assert env["socket"] is True
    assert not [key for key in env if key.startswith("HTTP_CONTENT")]


def test_a_name_with_an_underscore_is_not_taken_for_the_one_with_a_dash(short_site):
    env = short_site.ask(
        b"GET / HTTP/1.1\r\nHost: a:1\r\nSession_Id: u\r\nSession-Id: d\r\nX_Api_Key: no\r\nAuthorization_: no\r\n\r\n"
    ).env
    assert env["HTTP_SESSION_ID"] == "d"
    assert "HTTP_X_API_KEY" not in env
    assert "HTTP_AUTHORIZATION" not in env
    headers = lower_headers(env)
    assert (headers["session_id"], headers["session-id"], headers.get("x-api-key")) == ("u", "d", None)


def test_a_head_may_come_byte_by_byte(site):
    client = site.client()
    client.send(*[bytes([byte]) for byte in TAKEN["blanks round a value"]], pause=0.002)
    assert client.reply().text == "hello"
    client.close()


def test_a_slow_head_is_timed_out(short_site):
    client = short_site.client()
    client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n")
    assert client.reply().status == 408
    assert client.ended()
    client.close()


def test_an_idle_connection_is_closed_without_a_word(short_site):
    client = short_site.client()
    assert client.ended()
    client.close()
