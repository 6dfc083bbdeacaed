"""Spoilt calls of a route of the management API, made from its record: the same for the same random numbers.

``spoilt(route, count, choose)`` gives stories with address and body. What must not be harmed is not named: variables of
paths are never the number of something that is there.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from engine.api.operation import Operation
from engine.api.route import Route

_MEGABYTE = "x" * 1_048_576
_WORDS = (
    *("' OR 1=1 --", "1; DROP TABLE users", "%' UNION SELECT key FROM tokens --", "%", "_", "\\", "{{ 7*7 }}"),
    *("${jndi:ldap://127.0.0.1/a}", "<script>alert(1)</script>", "{{ ''.__class__ }}", "../../etc/passwd", "%s%n"),
    *("a\x00b", "\x01\x02\x1f\x7f", "\r\nset-cookie: a=b", "\u202e\ufeff", "é" * 500, "\ud83d", "", " ", "null"),
    *("http://127.0.0.1:1/", "file:///etc/passwd", "-1", "9" * 40, "1e999", "2026-13-45", "😀" * 300),
)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 10**9, -(2**63), 2**63 - 1, 2**63, 10**40, 1.5, -0.0, 1e308, [], {}, [[]], [{}]),
    *([None], ["a", 1], {"a": {"b": []}}, [-1] * 50, {"": ""}, [_WORDS[0]], list(range(300))),
)
_IDS = (
    *("0", "-1", "1000000000", "9223372036854775807", "9223372036854775808", "x", "1e3", "1.5", "a\x00b"),
    # with a slash it would be another path, and what is no path at all is told as the relay tells
    *(word for word in _WORDS if "/" not in word and word.strip(".")),
)
_QUERIES: tuple[dict[str, Any], ...] = (
    {"p": -1, "page_size": -1, "size": -1},
    {"p": 10**9, "page_size": 10**9, "ps": 10**9},
    {"p": "x", "page_size": "1e3"},
    {"limit": -1},
    {"limit": 10**9},
    {"cursor": "AAAA"},
    {"sort": "-id,id"},
    {"since": 2**40, "until": 0, "start": 2**40, "end": 0},
    {"start_timestamp": 2_000_000_000, "end_timestamp": 1},
    {"start_timestamp": -1, "end_timestamp": 2**63},
    {"keyword": _WORDS[0], "username": _WORDS[2], "model_name": "%", "token_name": "'"},
    {"keyword": "a\x00b", "group": "\x01", "type": "x", "tag": "\x7f"},
    {"keyword": "x" * 4000},
    {"id": "x", "user_id": 2**63, "channel": -1, "status": "99", "type": 10**9},
)
_TEXTS = (
    b"",
    b"{",
    b'{"a":',
    b"[1]",
    b'"x"',
    b"null",
    b"7",
    b"\xff\xfe{}",
    b"{" * 5000,
    b"[" * 100_000,
    b'{"a":1}x',
    b'{"a":NaN}',
)


@dataclass(frozen=True, slots=True)
class Spoilt:
    """A call: what was done to it, the address, and the body as bytes (nothing: none is sent)."""

    story: str
    target: str
    body: bytes | None = None


def spoilt(route: Route, count: int, choose: random.Random) -> Iterator[Spoilt]:
    """So many calls, and before them each kind of broken body or odd page once."""
    if route.method in ("GET", "DELETE"):
        queries = [choose.choice(_QUERIES) for _ in range(count)] if count < len(_QUERIES) else _QUERIES
        for query in queries:
            yield Spoilt(f"query {query}"[:200], f"{_path(route, choose)}?{urlencode(query, errors='replace')}")
        if isinstance(route, Operation) and route.gives is not None:
            for name in list(route.gives.fields)[:count]:
                odd = urlencode(
                    {f"{name}.{choose.choice(('eq', 'has', 'gt', 'zz'))}": choose.choice(_WORDS)}, errors="replace"
                )
                yield Spoilt(f"filter {odd}"[:200], f"{_path(route, choose)}?{odd}")
        return
    for text in choose.sample(_TEXTS, count) if count < len(_TEXTS) else _TEXTS:
        yield Spoilt(f"text {text[:20]!r}", _path(route, choose), text)
    members = _members(route)
    for _ in range(count):
        body = {name: _sample(kind, choose) for name, kind in members.items()}
        story = _spoil(body, members, choose)
        yield Spoilt(story, _path(route, choose), json.dumps(body).encode())


def _path(route: Route, choose: random.Random) -> str:
    parts = (
        quote(choose.choice(_IDS), safe="", errors="replace") or "x" if part[:1] == ":" else part
        for part in route.parts
    )
    return "/" + "/".join(parts)


def _members(route: Route) -> dict[str, str]:
    """The members that a route reads, by the types of JSON."""
    if isinstance(route, Operation):
        return {n: one.kind for n, one in route.takes.fields.items() if one.sent} if route.takes is not None else {}
    kinds = {int: "integer", float: "number", str: "string", bool: "boolean", list: "array", dict: "object"}
    return {name: kinds.get(kind, "any") for name, kind in (route.body or {}).items()}


def _sample(kind: str, choose: random.Random) -> Any:
    """A value of a type."""
    return {
        "integer": choose.choice((0, 1, 7, -1, 10**9)),
        "number": choose.choice((0, 0.5, -3.2, 1e9)),
        "string": choose.choice(("a", "word", *_WORDS)),
        "boolean": choose.random() < 0.5,
        "array": choose.choice(([], [1], ["a"], [{}])),
        "object": choose.choice(({}, {"a": 1})),
    }.get(kind, "a")


def _spoil(body: dict[str, Any], members: dict[str, str], choose: random.Random) -> str:
    """Change one to three members; what was done."""
    story = []
    for _ in range(choose.randint(1, 3)):
        name = choose.choice([*members, "unknown_field"]) if members else "unknown_field"
        kind = choose.randrange(5)
        if kind == 0 and members.get(name) == "string":
            body[name], what = _MEGABYTE, "a megabyte"
        elif kind == 1:
            body.pop(name, None)
            what = "left out"
        elif kind == 2:
            body[name] = what = choose.choice(_WORDS)
        else:
            body[name] = choose.choice(_VALUES)
            what = repr(body[name])[:40]
        story.append(f"{name}: {what!r}")
    return "; ".join(story)[:300]
