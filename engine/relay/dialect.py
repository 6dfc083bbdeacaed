"""Errors in the caller's own dialect: a hub error becomes status, headers and the body its SDK parses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from engine.errors import CallError
from engine.jsonbytes import dumps
from engine.program.refused import body_of, status_of
from engine.relay.call import Reply

if TYPE_CHECKING:
    from engine.program import Format
    from engine.relay.call import Call

JSON = "application/json"
STREAM_HEADERS = (("cache-control", "no-cache"), ("x-accel-buffering", "no"))
_MESSAGE, _PARAM = 2_000, 200
"""Characters of an error's words, and of the name of the field at fault."""
FAILED: dict[str, Any] = {
    "meaning": "internal",
    "message": "the gateway failed; quote the request id to its operator",
    "status": 500,
}
"""The hub error for a fault of the gateway itself."""


def error_of(ex: CallError) -> dict[str, Any]:
    """Return the hub error that an exception of ours stands for."""
    return {
        "meaning": ex.meaning,
        "message": _short(ex.message, _MESSAGE),
        "code": ex.code,
        "param": _short(ex.param, _PARAM) if ex.param else ex.param,
        "status": ex.status,
        "wait": ex.wait,
    }


def _short(text: str, most: int) -> str:
    """A caller's own names stand in what is told, and may be of any length: the middle of a long text is left out."""
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"


def error_body(speaker: Format, error: dict[str, Any], ctx: dict[str, Any]) -> bytes:
    """Return the error's body in a format; ``status`` in it is the one that is sent."""
    return dumps(body_of(speaker.error, error, ctx))


def refuse(call: Call, ex: CallError) -> Reply:
    """Return the reply that tells the caller of ``ex``."""
    return error_reply(call.format, error_of(ex), call.ctx())


def own_reply(speaker: Format, error: dict[str, Any], ctx: dict[str, Any]) -> Reply:
    """Return the reply for an error of the operator's own: its code and type stand where the format has such."""
    reply = error_reply(speaker, error, ctx)
    body = orjson.loads(reply.body)
    body_error = body.get("error") if isinstance(body, dict) else None
    if isinstance(body_error, dict) and "type" in body_error:
        body_error["type"] = error["type"] if "code" in body_error else error["code"]
        if "code" in body_error:
            body_error["code"] = error["code"]
        reply.body = dumps(body)
    return reply


def error_reply(speaker: Format, error: dict[str, Any], ctx: dict[str, Any]) -> Reply:
    """Return the reply for a hub error, ``Retry-After`` included."""
    headers = [("content-type", JSON)]
    wait = error.get("wait")
    if wait is not None:
        headers.append(("retry-after", f"{max(0, round(wait))}"))
    return Reply(status_of(speaker.error, error), headers, error_body(speaker, error, ctx))
