"""iFlytek Spark over HTTP (www.xfyun.cn/doc/spark/HTTP调用文档.html): errors come by code, some under status 200."""

from __future__ import annotations

import json
from typing import Any

from tests.relay.scripted import Arrived, Upstream
from tests.upstreams.strict import RefusedError, Streamed, serve

PROVIDERS = ("xunfei", "xunfei-password")
PASSWORD, APP, SECRET, KEY = "spark-password", "a1b2c3d4", "NjQ4secret", "893a54c8key"
_MODELS = {"lite", "generalv3", "pro-128k", "generalv3.5", "max-32k", "4.0Ultra"}
_KNOWN = {
    "model", "user", "messages", "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "stream",
    "max_tokens", "response_format", "tools", "tool_choice", "tool_calls_switch", "stream_options",
}  # fmt: skip


def spark() -> Upstream:
    """The service."""
    return serve(_handle)


def _refused(status: int, code: str, message: str) -> RefusedError:
    return RefusedError(status, {"error": {"message": message, "type": "api_error", "param": None, "code": code}})


def _handle(arrived: Arrived) -> Any:
    if arrived.headers.get("authorization") not in (f"Bearer {PASSWORD}", f"Bearer {KEY}:{SECRET}"):
        raise _refused(401, "11200", "AppIdNoAuthError")
    if arrived.method != "POST" or arrived.path != "/v1/chat/completions":
        raise RefusedError(404, {"message": "Not Found"})
    try:
        body = arrived.json
    except ValueError:
        raise _refused(400, "10163", "invalid JSON") from None
    if unknown := sorted(body.keys() - _KNOWN):
        raise _refused(400, "10163", f"unknown parameter {unknown[0]}")
    if body.get("model") not in _MODELS:
        raise _refused(400, "10404", "invalid param model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _refused(400, "10163", "messages are required")
    if any(one.get("role") not in ("system", "user", "assistant", "tool") for one in messages):
        raise _refused(400, "10163", "unknown role")
    if not 0 <= body.get("temperature", 1) <= 2:
        raise _refused(400, "10163", "temperature must be between 0 and 2")
    if not 1 <= body.get("max_tokens", 1) <= 32768:
        raise _refused(400, "10163", "max_tokens is out of range")
    said = " ".join(str(one.get("content")) for one in messages)
    if "forbidden" in said:
        raise RefusedError(200, {"code": 10013, "message": "input was refused", "sid": "cha1"})
    if "long" in said:
        raise RefusedError(200, {"code": 10907, "message": "too many tokens", "sid": "cha2"})
    return _answer(body)


def _answer(body: dict[str, Any]) -> Any:
    usage = {"prompt_tokens": 6, "completion_tokens": 2, "total_tokens": 8}
    known = {"code": 0, "message": "Success", "sid": "cha000c"}
    if not body.get("stream"):
        message = {"role": "assistant", "content": "Hi!"}
        return {**known, "choices": [{"message": message, "index": 0}], "usage": usage}
    events: list[dict[str, Any]] = [
        {
            **known,
            "id": "cha000c",
            "created": 1,
            "choices": [{"delta": {"role": "assistant", "content": text}, "index": 0}],
        }
        for text in ("Hi", "!")
    ]
    events[-1]["usage"] = usage
    return Streamed(
        "text/event-stream", [f"data: {json.dumps(one)}\n\n".encode() for one in events] + [b"data: [DONE]\n\n"]
    )
