"""Where a credential goes, and that no fault shows it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.transport.auth import apply
from engine.transport.faults import TransportError

URL = "https://h.test/v1"


@pytest.mark.parametrize(
    ("auth", "headers", "url"),
    [
        ({"scheme": "bearer"}, [("Authorization", "Bearer s+1")], URL),
        ({"scheme": "bearer", "name": "X-Auth", "prefix": "Token"}, [("X-Auth", "Token s+1")], URL),
        ({"scheme": "header", "name": "x-api-key"}, [("x-api-key", "s+1")], URL),
        ({"scheme": "header", "name": "x-key", "prefix": "Key "}, [("x-key", "Key s+1")], URL),
        ({"scheme": "query"}, [], f"{URL}?key=s%2B1"),
        ({"scheme": "query", "name": "api-version"}, [], f"{URL}?api-version=s%2B1"),
        ({"scheme": "none"}, [], URL),
        (None, [], URL),
    ],
)
def test_a_scheme_puts_the_secret_in_its_place(auth: Any, headers: Any, url: str) -> None:
    made: list[tuple[str, str]] = []
    assert apply(auth, "s+1\n", made, URL) == url
    assert made == headers


def test_a_second_query_parameter_is_joined() -> None:
    assert apply({"scheme": "query"}, "a&b=c", [], f"{URL}?x=1") == f"{URL}?x=1&key=a%26b%3Dc"


@pytest.mark.parametrize(
    ("auth", "secret"),
    [
        ({"scheme": "bearer"}, "sec\r\nret: 1"),
        ({"scheme": "bearer"}, "sec\0ret"),
        ({"scheme": "bearer"}, "secr\u00e9t"),
        ({"scheme": "bearer"}, ""),
        ({"scheme": "bearer"}, None),
        ({"scheme": "header"}, "secret"),
        ({"scheme": "magic"}, "secret"),
    ],
)
def test_a_fault_names_the_cause_and_never_the_secret(auth: Any, secret: Any) -> None:
    headers: list[tuple[str, str]] = []
    with pytest.raises(TransportError) as caught:
        apply(auth, secret, headers, URL)
    assert caught.value.kind == "invalid"
    assert "sec" not in str(caught.value).replace("second", "")
    assert headers == []
