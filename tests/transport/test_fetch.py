"""Files by address: bounded, checked on each hop, without credentials for other hosts."""

from __future__ import annotations

from typing import Any

import pytest

from engine.transport.faults import TransportError
from engine.transport.fetch import fetch


def reply(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def kind_of(call: Any) -> str:
    with pytest.raises(TransportError) as caught:
        call()
    return caught.value.kind


def test_a_file_and_its_type_are_given(pool: Any, upstream: Any) -> None:
    server = upstream(reply(200, b"\x89PNG", content_type="image/png"))
    assert fetch(pool, f"{server.url}/a.png", limit=10) == (b"\x89PNG", "image/png")


def test_a_redirect_is_followed_without_headers_for_another_host(pool: Any, upstream: Any) -> None:
    end = upstream(reply(200, b"ok"))
    start = upstream(reply(302, b"moved", location=f"{end.url}/b"))
    assert fetch(pool, start.url, limit=10, headers=[("X-Secret", "1")])[0] == b"ok"
    assert b"X-Secret" in start.requests[0]
    assert b"X-Secret" not in end.requests[0]


def test_a_redirect_to_a_private_address_is_refused(pool: Any, upstream: Any) -> None:
    server = upstream(reply(302, location="http://169.254.169.254/latest"))
    assert kind_of(lambda: fetch(pool, server.url, limit=10)) == "refused_address"


def test_a_redirect_to_another_scheme_is_refused(pool: Any, upstream: Any) -> None:
    server = upstream(reply(302, location="file:///etc/passwd"))
    assert kind_of(lambda: fetch(pool, server.url, limit=10)) == "invalid"


def test_a_circle_of_redirects_ends(pool: Any, upstream: Any) -> None:
    server = upstream(reply(307, location="/again"))
    assert kind_of(lambda: fetch(pool, server.url, limit=10)) == "protocol"
    assert len(server.requests) == 4


def test_a_file_over_the_limit_and_other_statuses_are_refused(pool: Any, upstream: Any) -> None:
    assert kind_of(lambda: fetch(pool, upstream(reply(200, b"x" * 11)).url, limit=10)) == "too_large"
    assert kind_of(lambda: fetch(pool, upstream(reply(404)).url, limit=10)) == "protocol"
