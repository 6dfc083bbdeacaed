"""One answer in the words of each of the four formats: whole, streamed in steps, and as an error.

"Hello" and "there", 100 tokens in and 40 out: ``PRICED`` units by a price of 2 and 8 dollars a million.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

PRICED = 260


def sse(*events: Any, named: bool = False) -> list[bytes]:
    """Server-sent events, with their names where the format has them."""
    return [
        (f"event: {one['type']}\n" if named else "").encode() + b"data: " + json.dumps(one).encode() + b"\n\n"
        for one in events
    ]


@dataclass(frozen=True)
class Wire:
    """What an upstream of one format says. ``opening`` says nothing yet; ``ending`` tells the usage."""

    whole: dict[str, Any]
    empty: dict[str, Any]
    opening: list[bytes]
    words: list[bytes]
    ending: list[bytes]
    hush: list[bytes]
    """A stream in which nothing is said: 100 tokens in, none out."""
    error: dict[str, Any]
    """As a body."""
    event: dict[str, Any] | None = None
    """As an event, where that is another."""

    @property
    def stream(self) -> list[bytes]:
        """The whole stream."""
        return [*self.opening, *self.words, *self.ending]

    @property
    def failing(self) -> bytes:
        """The error as an event."""
        event = self.event or self.error
        return sse(event, named="type" in event)[0]


def _chat(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


_CHAT_USED = {"prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140}
_CHAT = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m"}
CHAT = Wire(
    whole={
        **_CHAT,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello there"}, "finish_reason": "stop"}],
        "usage": _CHAT_USED,
    },
    empty={
        **_CHAT,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 0, "total_tokens": 100},
    },
    opening=sse(_chat({"role": "assistant", "content": ""})),
    words=sse(_chat({"content": "Hello"}), _chat({"content": " there"})),
    ending=[
        *sse(_chat({}, "stop"), {**_chat({}), "choices": [], "usage": _CHAT_USED}),
        b"data: [DONE]\n\n",
    ],
    hush=[
        *sse(_chat({"role": "assistant", "content": ""}), _chat({}, "stop")),
        *sse(
            {**_chat({}), "choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 0, "total_tokens": 100}}
        ),
        b"data: [DONE]\n\n",
    ],
    error={"error": {"message": "all servers are busy", "type": "server_error", "code": 503}},
)


def _response(status: str, text: str, used: dict[str, int] | None) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "m",
        "output": [item] if text else [],
        "usage": used,
    }


_ITEM = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
_RESPONSES_USED = {"input_tokens": 100, "output_tokens": 40, "total_tokens": 140}
_PART = {"type": "output_text", "text": "", "annotations": []}
RESPONSES = Wire(
    whole=_response("completed", "Hello there", _RESPONSES_USED),
    empty=_response("completed", "", {"input_tokens": 100, "output_tokens": 0, "total_tokens": 100}),
    opening=sse(
        {"type": "response.created", "response": _response("in_progress", "", None)},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {"type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": []},
        },
        {"type": "response.content_part.added", **_ITEM, "part": _PART},
        named=True,
    ),
    words=sse(
        {"type": "response.output_text.delta", **_ITEM, "delta": "Hello"},
        {"type": "response.output_text.delta", **_ITEM, "delta": " there"},
        named=True,
    ),
    ending=sse(
        {"type": "response.output_text.done", **_ITEM, "text": "Hello there"},
        {"type": "response.content_part.done", **_ITEM, "part": {**_PART, "text": "Hello there"}},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": _response("completed", "Hello there", None)["output"][0],
        },
        {"type": "response.completed", "response": _response("completed", "Hello there", _RESPONSES_USED)},
        named=True,
    ),
    hush=sse(
        {"type": "response.created", "response": _response("in_progress", "", None)},
        {
            "type": "response.completed",
            "response": _response("completed", "", {"input_tokens": 100, "output_tokens": 0, "total_tokens": 100}),
        },
        named=True,
    ),
    error={"error": {"message": "all servers are busy", "type": "server_error", "code": None, "param": None}},
    event={"type": "error", "code": "server_error", "message": "all servers are busy", "param": None},
)


def _message(content: list[Any], output: int, stop: str | None) -> dict[str, Any]:
    used = {"input_tokens": 100, "output_tokens": output}
    return {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": used,
    }


def _delta(text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


CLAUDE = Wire(
    whole=_message([{"type": "text", "text": "Hello there"}], 40, "end_turn"),
    empty=_message([], 0, "end_turn"),
    opening=sse(
        {"type": "message_start", "message": _message([], 0, None)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        named=True,
    ),
    words=sse(_delta("Hello"), _delta(" there"), named=True),
    ending=sse(
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 40},
        },
        {"type": "message_stop"},
        named=True,
    ),
    hush=sse(
        {"type": "message_start", "message": _message([], 0, None)},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 0},
        },
        {"type": "message_stop"},
        named=True,
    ),
    error={"type": "error", "error": {"type": "overloaded_error", "message": "all servers are busy"}},
)


def _candidate(text: str, **more: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **more}
    return {"candidates": [candidate], "responseId": "r1", "modelVersion": "m"}


def _counted(output: int) -> dict[str, Any]:
    return {"promptTokenCount": 100, "candidatesTokenCount": output, "totalTokenCount": 100 + output}


GEMINI = Wire(
    whole={**_candidate("Hello there", finishReason="STOP"), "usageMetadata": _counted(40)},
    empty={**_candidate("", finishReason="STOP"), "usageMetadata": _counted(0)},
    opening=sse({**_candidate(""), "usageMetadata": _counted(0)}),
    words=sse(_candidate("Hello"), _candidate(" there")),
    ending=sse({**_candidate("", finishReason="STOP"), "usageMetadata": _counted(40)}),
    hush=sse({**_candidate("", finishReason="STOP"), "usageMetadata": _counted(0)}),
    error={"error": {"code": 503, "message": "all servers are busy", "status": "UNAVAILABLE"}},
)
WIRES = {
    "openai.chat": CHAT,
    "openai.responses": RESPONSES,
    "anthropic.messages": CLAUDE,
    "gemini.generateContent": GEMINI,
}
DIALECTS = {
    "chat": "openai.chat",
    "responses": "openai.responses",
    "claude": "anthropic.messages",
    "gemini": "gemini.generateContent",
}
