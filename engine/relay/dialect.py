"""Errors in the caller's own dialect: a hub error becomes status, headers and the body its SDK parses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import MEANINGS, CallError
from engine.relay.call import Reply
from engine.relay.translate import dumps

if TYPE_CHECKING:
    from engine.program import Format
    from engine.relay.call import Call

JSON = "application/json"


def error_of(ex: CallError) -> dict[str, Any]:
    """Return the hub error that an exception of ours stands for."""
    return {
        "meaning": ex.meaning,
        "message": ex.message,
        "code": ex.code,
        "param": ex.param,
        "status": ex.status,
        "wait": ex.wait,
    }


def status_of(speaker: Format, error: dict[str, Any]) -> int:
    """Return the HTTP status of a hub error in a format: the format's own for the meaning, else the usual one."""
    meaning = error["meaning"]
    declared = speaker.error.status.get(meaning)
    if declared is not None:
        return int(declared)
    status = error.get("status")
    if meaning == "unknown" and isinstance(status, int) and status >= 400:
        return status
    return MEANINGS[meaning].status


def error_body(speaker: Format, error: dict[str, Any], ctx: dict[str, Any]) -> bytes:
    """Return the error's body in a format; ``status`` in it is the one that is sent."""
    error = {**error, "status": status_of(speaker, error)}
    if speaker.error.encode is None:
        return dumps({"error": {"message": error["message"], "type": error["meaning"], "code": error.get("code")}})
    return dumps(speaker.error.encode([], error, ctx))


def refuse(call: Call, ex: CallError) -> Reply:
    """Return the reply that tells the caller of ``ex``."""
    return error_reply(call.format, error_of(ex), call.ctx())


def error_reply(speaker: Format, error: dict[str, Any], ctx: dict[str, Any]) -> Reply:
    """Return the reply for a hub error, ``Retry-After`` included."""
    headers = [("content-type", JSON)]
    wait = error.get("wait")
    if wait is not None:
        headers.append(("retry-after", f"{max(0, round(wait))}"))
    return Reply(status_of(speaker, error), headers, error_body(speaker, error, ctx))
