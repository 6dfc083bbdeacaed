"""Baidu's wenxinworkshop, version 1, as ai.baidu.com/ai-doc/WENXINWORKSHOP has it: errors come under status 200."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.relay.scripted import Arrived, Upstream
from tests.upstreams.strict import RefusedError, Streamed, serve

PROVIDERS = ("baidu-v1",)
ID, SECRET = "client-id-1", "client-secret-1"
_PATH = "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/"
_MODELS = {"completions_pro", "eb-instant"}
_KNOWN = {
    "messages",
    "system",
    "stream",
    "temperature",
    "top_p",
    "penalty_score",
    "max_output_tokens",
    "stop",
    "user_id",
}


def _refused(code: int, message: str) -> RefusedError:
    return RefusedError(200, {"error_code": code, "error_msg": message})


class Wenxin:
    """The service; ``tokens`` are those that it gave, of which those in ``ended`` are refused."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.ended: set[str] = set()
        self.upstream: Upstream = serve(self._handle)

    def _handle(self, arrived: Arrived) -> Any:
        url = urlsplit(arrived.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/oauth/2.0/token":
            return self._token(query)
        token = query.get("access_token", "")
        if token not in self.tokens:
            raise _refused(110, "Access token invalid or no longer valid")
        if token in self.ended:
            raise _refused(111, "Access token expired")
        if not url.path.startswith(_PATH) or url.path.removeprefix(_PATH) not in _MODELS:
            raise _refused(3, "Unsupported openapi method")
        return _answer(_checked(arrived))

    def _token(self, query: dict[str, str]) -> Any:
        if query.get("grant_type") != "client_credentials":
            raise RefusedError(400, {"error": "unsupported_grant_type", "error_description": "grant"})
        if (query.get("client_id"), query.get("client_secret")) != (ID, SECRET):
            raise RefusedError(401, {"error": "invalid_client", "error_description": "unknown client id"})
        self.tokens.append(f"24.token{len(self.tokens)}")
        return {"access_token": self.tokens[-1], "expires_in": 2592000}


def _checked(arrived: Arrived) -> dict[str, Any]:
    try:
        body: dict[str, Any] = arrived.json
    except ValueError:
        raise _refused(336002, "Invalid JSON") from None
    if not body.keys() <= _KNOWN:
        raise _refused(336003, f"unknown parameter {sorted(body.keys() - _KNOWN)}")
    messages = body.get("messages") or []
    if len(messages) % 2 == 0:
        raise _refused(336006, "the length of messages must be an odd number")
    for number, message in enumerate(messages):
        if message.get("role") != ("user", "assistant")[number % 2] or not message.get("content"):
            raise _refused(336006, "the role of message with even index in the messages must be user")
    if not 0 < body.get("temperature", 1) <= 1:
        raise _refused(336003, "temperature is out of range")
    if not 1 <= body.get("penalty_score", 1) <= 2:
        raise _refused(336003, "penalty_score is out of range")
    if body.get("max_output_tokens", 2) < 2:
        raise _refused(336003, "max_output_tokens is out of range")
    if any("long" in message["content"] for message in messages):
        raise _refused(336103, "Prompt tokens too long")
    return body


def _answer(body: dict[str, Any]) -> Any:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    known = {"id": "as-1", "object": "chat.completion", "created": 1693811110}
    if not body.get("stream"):
        return {**known, "result": "Hi!", "is_truncated": False, "finish_reason": "normal", "usage": usage}
    events = [
        {**known, "sentence_id": 0, "is_end": False, "result": "Hi", "usage": {**usage, "completion_tokens": 1}},
        {**known, "sentence_id": 1, "is_end": True, "result": "!", "finish_reason": "normal", "usage": usage},
    ]
    return Streamed("text/event-stream", [f"data: {json.dumps(one)}\n\n".encode() for one in events])
