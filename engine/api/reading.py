"""The body of a call of the management API, checked against its route: types, bounds, members that nobody reads."""

from __future__ import annotations

from typing import Any

import orjson

from engine.api.route import NOBODY, RawCall, Route
from engine.errors import GatewrightError, Invalid
from engine.texts import refusal

ANONYMOUS = 512 * 1024
"""Bytes that somebody unknown may send."""
MOST = 8 * 1024 * 1024
_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


class BodyTooLargeError(GatewrightError):
    """A body above its bound."""


def body_of(route: Route, env: dict[str, Any]) -> dict[str, Any]:
    """The members of a body. Raises ``Invalid`` where it can't be read, ``BodyTooLargeError`` where it is too long."""
    raw = raw_of(route, env)
    if route.body is None or (not raw.strip() and not route.body):
        return {}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise refusal(Invalid, route.broken[1]) from None
    if not isinstance(body, dict):
        raise refusal(Invalid, route.broken[1])
    checked(body, route)
    return body


def raw_of(route: Route, env: dict[str, Any]) -> bytes:
    """A body as it came. Raises ``BodyTooLargeError``."""
    most = ANONYMOUS if route.role == NOBODY else MOST
    length = env.get("CONTENT_LENGTH") or ""
    if length.isdigit() and int(length) > most:
        raise _too_long(most)
    raw: bytes = env["wsgi.input"].read(most + 1)
    if len(raw) > most:
        raise _too_long(most)
    return raw


def _too_long(most: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"the body is too long: {most:,} bytes may be sent at once; send it in parts")


def call_of(route: Route, env: dict[str, Any]) -> RawCall:
    """A call as it came."""
    header = {name[5:].replace("_", "-").lower(): value for name, value in env.items() if name.startswith("HTTP_")}
    return RawCall(raw_of(route, env), env.get("QUERY_STRING", ""), header)


def checked(body: dict[str, Any], route: Route) -> None:
    """Check the members that the route reads."""
    for name, kind in (route.body or {}).items():
        value = body.get(name)
        if value is None or kind is object:
            continue
        if not fits(value, kind):
            if route.broken[1] == "invalid":
                error = refusal(Invalid, "invalid", field=name)
                error.values = {}
                raise error
            raise refusal(Invalid, "invalid.type", field=name, what=_WORDS.get(kind, "something else"))


def fits(value: Any, kind: Any) -> bool:
    """Whether a value has a type as JSON knows it; a number that is whole is a whole number."""
    if kind is int:
        return not isinstance(value, bool) and isinstance(value, int) and abs(value) < 2**63
    if kind is float:
        return not isinstance(value, bool) and isinstance(value, int | float)
    if kind is str:
        return isinstance(value, str) and "\0" not in value
    return isinstance(value, kind)


def unread(body: dict[str, Any], route: Route) -> list[str]:
    """Members that the route does not read."""
    return [name for name in body if name not in (route.body or {})][:20] if route.body else []
