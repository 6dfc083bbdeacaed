"""What no answer of the gateway may be, whatever came in: a verdict on one exchange, in words, or nothing.

An answer is a body or a stream that a client of the dialect can read: JSON throughout, errors where its SDK looks for
them, and a stream that ends as its dialect ends one or with an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_ERRORS = {
    "openai.chat": {"message", "type", "param", "code"},
    "openai.responses": {"message", "type", "param", "code"},
    "anthropic.messages": {"type", "message"},
    "gemini.generateContent": {"code", "message", "status"},
}
_ENDS = {
    "openai.responses": {"response.completed", "response.incomplete", "response.failed", "error"},
    "anthropic.messages": {"message_stop", "error"},
}


def on(fmt: str, same: bool, status: int, kind: str, body: bytes, upstream: int = 200) -> str | None:
    """Nothing, or what is wrong. ``same``: the provider speaks the caller's format, and its words may pass as they are;
    ``upstream`` is the status that it answered with, if it did."""
    if status == 500 and upstream < 500:
        return f"status 500: {body[:300]!r}"
    if b"Traceback" in body:
        return f"a trace: {body[:300]!r}"
    if kind.startswith("text/event-stream"):
        return _stream(fmt, body)
    try:
        told = json.loads(body)
    except ValueError:
        return f"status {status}, no JSON: {body[:300]!r}"
    if status < 400:
        return None if isinstance(told, dict) else f"status {status}, no object: {body[:300]!r}"
    if same and upstream >= 400:
        return None
    error = told.get("error") if isinstance(told, dict) else None
    if not isinstance(error, dict) or not _ERRORS[fmt] <= error.keys() or not isinstance(error["message"], str):
        return f"status {status}, no error of the dialect: {body[:300]!r}"
    return None


def _stream(fmt: str, body: bytes) -> str | None:
    last: Any = None
    ended = False
    for data in _events(body):
        if data == "[DONE]":
            ended = True
            continue
        try:
            last = json.loads(data)
        except ValueError:
            return f"an event that is no JSON: {data[:300]!r}"
        ended = ended or _ends(fmt, last)
    return None if ended else f"no end and no error; last: {json.dumps(last)[:300]}"


def _ends(fmt: str, data: Any) -> bool:
    if not isinstance(data, dict):
        return False
    if fmt in _ENDS:
        return str(data.get("type")) in _ENDS[fmt]
    if data.get("error"):
        return True
    candidates = data.get("candidates") if fmt == "gemini.generateContent" else None
    listed = candidates if isinstance(candidates, list) else []
    return any(isinstance(candidate, dict) and bool(candidate.get("finishReason")) for candidate in listed)


def _events(body: bytes) -> Iterator[str]:
    for block in body.decode("utf-8", "replace").replace("\r\n", "\n").split("\n\n"):
        lines = [line.removeprefix("data:").removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
        if lines:
            yield "\n".join(lines)
