"""Plain answers of the four formats, whole and as events of a stream: words, a finish and a usage, nothing else.

``whole(fmt, ...)`` gives a body, ``events(fmt, ...)`` a stream's events as they stand on the wire. Usage is given as
tokens in and out, whatever the format calls them.
"""

from __future__ import annotations

import json
from typing import Any

INPUT, OUTPUT = 10, 5
FORMATS = ("openai.chat", "openai.responses", "anthropic.messages", "gemini.generateContent")
_GOOGLE = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
Event = tuple[str, Any]
"""The event's name (empty: none) and its data."""


def usage(fmt: str, used: tuple[int, int]) -> dict[str, Any]:
    """Tokens in and out in the words of a format."""
    sent, told = used
    if fmt == "openai.chat":
        return {"prompt_tokens": sent, "completion_tokens": told, "total_tokens": sent + told}
    if fmt == "gemini.generateContent":
        return {"promptTokenCount": sent, "candidatesTokenCount": told, "totalTokenCount": sent + told}
    counts = {"input_tokens": sent, "output_tokens": told}
    return {**counts, "total_tokens": sent + told} if fmt == "openai.responses" else counts


def whole(fmt: str, words: str = "ok", used: tuple[int, int] = (INPUT, OUTPUT), ident: str = "1") -> dict[str, Any]:
    """An answer that comes as one body."""
    counts = usage(fmt, used)
    if fmt == "openai.chat":
        message = {"role": "assistant", "content": words}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": f"chatcmpl-{ident}", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [choice], "usage": counts}  # fmt: skip
    if fmt == "openai.responses":
        return _response(ident, "completed", [_message(ident, words)], counts)
    if fmt == "anthropic.messages":
        return {"id": f"msg_{ident}", "type": "message", "role": "assistant", "model": "m",
                "content": [{"type": "text", "text": words}], "stop_reason": "end_turn", "stop_sequence": None,
                "usage": counts}  # fmt: skip
    return _candidate(words, "STOP", counts)


def events(
    fmt: str, words: tuple[str, ...] = ("o", "k"), used: tuple[int, int] = (INPUT, OUTPUT), ident: str = "1"
) -> list[Event]:
    """An answer as events, one for each word; the ones before the first word are its ``opening``."""
    return [*opening(fmt, used, ident), *speech(fmt, words, ident), *closing(fmt, words, used, ident)]


def opening(fmt: str, used: tuple[int, int] = (INPUT, OUTPUT), ident: str = "1") -> list[Event]:
    """What comes before the first word."""
    if fmt == "openai.chat":
        return [("", _chunk(ident, {"role": "assistant", "content": ""}))]
    if fmt == "openai.responses":
        begun = _response(ident, "in_progress", [], None)
        item = {**_message(ident, ""), "status": "in_progress", "content": []}
        part = {"type": "output_text", "text": "", "annotations": []}
        at = {"item_id": f"msg_{ident}", "output_index": 0, "content_index": 0}
        return _numbered(0, [
            {"type": "response.created", "response": begun},
            {"type": "response.in_progress", "response": begun},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.content_part.added", **at, "part": part},
        ])  # fmt: skip
    if fmt == "anthropic.messages":
        message = {**whole(fmt, "", used, ident), "content": [], "stop_reason": None,
                   "usage": {"input_tokens": used[0], "output_tokens": min(1, used[1])}}  # fmt: skip
        block = {"type": "text", "text": ""}
        return _named([{"type": "message_start", "message": message},
                       {"type": "content_block_start", "index": 0, "content_block": block}])  # fmt: skip
    return []


def speech(fmt: str, words: tuple[str, ...], ident: str = "1") -> list[Event]:
    """The words, an event for each."""
    if fmt == "openai.chat":
        return [("", _chunk(ident, {"content": word})) for word in words]
    if fmt == "openai.responses":
        at = {"item_id": f"msg_{ident}", "output_index": 0, "content_index": 0}
        return _numbered(4, [{"type": "response.output_text.delta", **at, "delta": word} for word in words])
    if fmt == "anthropic.messages":
        deltas = [{"type": "text_delta", "text": word} for word in words]
        return _named([{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas])
    return [("", _candidate(word, None, None)) for word in words]


def closing(
    fmt: str, words: tuple[str, ...], used: tuple[int, int] = (INPUT, OUTPUT), ident: str = "1", mark: bool = True
) -> list[Event]:
    """The finish with its usage; without ``mark`` a chat stream lacks its last line."""
    counts = usage(fmt, used)
    if fmt == "openai.chat":
        finish = _chunk(ident, {}, "stop")
        end = [("", "[DONE]")] if mark else []
        return [("", finish), ("", {**finish, "choices": [], "usage": counts}), *end]
    if fmt == "openai.responses":
        text, at = "".join(words), {"item_id": f"msg_{ident}", "output_index": 0, "content_index": 0}
        item = _message(ident, text)
        return _numbered(4 + len(words), [
            {"type": "response.output_text.done", **at, "text": text},
            {"type": "response.content_part.done", **at, "part": item["content"][0]},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": _response(ident, "completed", [item], counts)},
        ])  # fmt: skip
    if fmt == "anthropic.messages":
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        return _named([{"type": "content_block_stop", "index": 0},
                       {"type": "message_delta", "delta": delta, "usage": {"output_tokens": used[1]}},
                       {"type": "message_stop"}])  # fmt: skip
    return [("", _candidate("", "STOP", counts))]


def error(fmt: str, message: str = "All servers are busy", status: int = 503) -> dict[str, Any]:
    """A failure in a provider's own words: the body of an answer that has a status of its own."""
    if fmt == "anthropic.messages":
        kind = {529: "overloaded_error", 429: "rate_limit_error", 401: "authentication_error"}.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}}
    if fmt == "gemini.generateContent":
        word = _GOOGLE.get(status, "UNKNOWN")
        return {"error": {"code": status, "message": message, "status": word}}
    return {"error": {"message": message, "type": "server_error", "param": None, "code": None}}


def error_event(fmt: str, message: str = "All servers are busy") -> Event:
    """A failure told within a stream, as each vendor tells it."""
    if fmt == "anthropic.messages":
        return "error", {"type": "error", "error": {"type": "overloaded_error", "message": message}}
    if fmt == "openai.responses":
        return "error", {"type": "error", "code": "server_error", "message": message, "param": None}
    if fmt == "gemini.generateContent":
        return "", {"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}}
    return "", {"error": {"message": message, "type": "server_error", "code": 503}}


def wire(event: Any) -> bytes:
    """An event's bytes: a pair of name and data, or data alone; data is a text as it stands, or JSON."""
    name, data = event if isinstance(event, list | tuple) else ("", event)
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + b"data: " + text.encode() + b"\n\n"


def format_of(path: str) -> str:
    """The format that a path of an upstream speaks, by its end."""
    bare = path.partition("?")[0]
    if ":generateContent" in bare or ":streamGenerateContent" in bare:
        return "gemini.generateContent"
    if bare.endswith("/messages"):
        return "anthropic.messages"
    if "/responses" in bare:
        return "openai.responses"
    return "openai.chat" if bare.endswith("/chat/completions") else ""


def _chunk(ident: str, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": f"chatcmpl-{ident}", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [choice]}  # fmt: skip


def _candidate(words: str, finish: str | None, counts: dict[str, Any] | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": [{"text": words}]}}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], **({"usageMetadata": counts} if counts else {}), "modelVersion": "m"}


def _message(ident: str, words: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": words, "annotations": []}
    return {"type": "message", "id": f"msg_{ident}", "status": "completed", "role": "assistant", "content": [part]}


def _response(ident: str, status: str, output: list[Any], counts: dict[str, Any] | None) -> dict[str, Any]:
    return {"id": f"resp_{ident}", "object": "response", "created_at": 1, "status": status, "model": "m",
            "output": output, "error": None, "incomplete_details": None, "usage": counts}  # fmt: skip


def _numbered(first: int, listed: list[dict[str, Any]]) -> list[Event]:
    return _named([{**data, "sequence_number": first + number} for number, data in enumerate(listed)])


def _named(listed: list[dict[str, Any]]) -> list[Event]:
    return [(data["type"], data) for data in listed]
