"""What providers of the smaller formats say, as a scripted upstream says it, and what they must have been asked.

``VENDORS`` has one answer of each, whole and streamed, that means the same; ``SECOND`` the request of the second turn
of a tool loop in each vendor's own words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from engine.transport.framing import encode_message

WAX = "d2F4"


def lines(*events: Any) -> bytes:
    """Lines of JSON."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def sse(*events: Any) -> bytes:
    """Server-sent events without names."""
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def frames(*events: tuple[str, Any]) -> bytes:
    """Amazon's binary messages; a name that ends in Exception is sent as one."""
    out = []
    for name, data in events:
        kind = "exception" if name.endswith("Exception") else "event"
        headers = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
        out.append(encode_message(headers, json.dumps(data).encode()))
    return b"".join(out)


@dataclass(frozen=True)
class Vendor:
    """What one vendor says, and how the gateway must have asked."""

    model: str
    path: str
    stream_path: str
    key: tuple[str, str]
    kind: str
    whole: Any
    """An answer with thought, the text "Hello there" and a call of ``look`` with {"at": "sea"}; 6 tokens in, 5 out."""
    stream: bytes
    """The same as a stream."""
    broken: tuple[bytes, bytes]
    """The text "Hel", then an error that says "tired of it"."""
    refusal: tuple[int, Any]
    """An error before anything else that says "slower" and means that the account asked too often."""
    thinks: bool = True


OLLAMA_CALL = {"id": "c1", "function": {"index": 0, "name": "look", "arguments": {"at": "sea"}}}


def ollama(done: bool = False, **said: Any) -> dict[str, Any]:
    """A line of Ollama's stream."""
    line = {
        "model": "q",
        "created_at": "2026-01-01T00:00:00.123Z",
        "message": {"role": "assistant", "content": "", **said},
    }
    counts = {"done_reason": "stop", "prompt_eval_count": 6, "eval_count": 5, "total_duration": 12}
    return {**line, "done": done, **(counts if done else {})}


def bedrock_delta(index: int, **delta: Any) -> tuple[str, Any]:
    """A contentBlockDelta event."""
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}


COHERE_USAGE = {
    "billed_units": {"input_tokens": 6, "output_tokens": 5},
    "tokens": {"input_tokens": 506, "output_tokens": 9},
}
COHERE_CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "sea"}'}}
BEDROCK_USAGE = {"inputTokens": 4, "cacheReadInputTokens": 2, "outputTokens": 5, "totalTokens": 11}
TOLL = {"heard": 6, "remembered": 2, "spoke": 3, "mused": 2}

VENDORS = {
    "ollama": Vendor(
        model="qwen-test",
        path="/api/chat",
        stream_path="/api/chat",
        key=("authorization", "Bearer upstream-key"),
        kind="application/x-ndjson",
        whole=ollama(True, thinking="so far", content="Hello there", tool_calls=[OLLAMA_CALL]),
        stream=lines(
            ollama(thinking="so "),
            ollama(thinking="far"),
            ollama(content="Hello"),
            ollama(content=" there"),
            ollama(tool_calls=[OLLAMA_CALL]),
            ollama(True),
        ),
        broken=(lines(ollama(content="Hel")), lines({"error": "tired of it"})),
        refusal=(429, {"error": "slower"}),
    ),
    "cohere": Vendor(
        model="command-test",
        path="/v2/chat",
        stream_path="/v2/chat",
        key=("authorization", "Bearer upstream-key"),
        kind="text/event-stream",
        whole={
            "id": "r1",
            "message": {
                "role": "assistant",
                "tool_plan": "so far",
                "content": [{"type": "text", "text": "Hello there"}],
                "tool_calls": [COHERE_CALL],
            },
            "finish_reason": "TOOL_CALL",
            "usage": COHERE_USAGE,
        },
        stream=sse(
            {"type": "message-start", "id": "r1", "delta": {"message": {"role": "assistant", "content": []}}},
            {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "so "}}},
            {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "far"}}},
            {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hello"}}}},
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": " there"}}}},
            {"type": "content-end", "index": 0},
            {
                "type": "tool-call-start",
                "index": 0,
                "delta": {"message": {"tool_calls": {**COHERE_CALL, "function": {"name": "look", "arguments": ""}}}},
            },
            {
                "type": "tool-call-delta",
                "index": 0,
                "delta": {"message": {"tool_calls": {"function": {"arguments": '{"at": '}}}},
            },
            {
                "type": "tool-call-delta",
                "index": 0,
                "delta": {"message": {"tool_calls": {"function": {"arguments": '"sea"}'}}}},
            },
            {"type": "tool-call-end", "index": 0},
            {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": COHERE_USAGE}},
        ),
        broken=(
            sse(
                {"type": "message-start", "id": "r1", "delta": {"message": {"role": "assistant"}}},
                {
                    "type": "content-start",
                    "index": 0,
                    "delta": {"message": {"content": {"type": "text", "text": "Hel"}}},
                },
            ),
            sse({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "tired of it"}}),
        ),
        refusal=(429, {"id": "e1", "message": "slower"}),
    ),
    "bedrock": Vendor(
        model="us.maker.test-v1:0",
        path="/model/us.maker.test-v1%3A0/converse",
        stream_path="/model/us.maker.test-v1%3A0/converse-stream",
        key=("authorization", "Bearer upstream-key"),
        kind="application/vnd.amazon.eventstream",
        whole={
            "output": {
                "message": {
                    "role": "assistant",
                    "content": [
                        {"reasoningContent": {"reasoningText": {"text": "so far", "signature": WAX}}},
                        {"text": "Hello there"},
                        {"toolUse": {"toolUseId": "c1", "name": "look", "input": {"at": "sea"}}},
                    ],
                }
            },
            "stopReason": "tool_use",
            "usage": BEDROCK_USAGE,
            "metrics": {"latencyMs": 5},
        },
        stream=frames(
            ("messageStart", {"role": "assistant"}),
            bedrock_delta(0, reasoningContent={"text": "so "}),
            bedrock_delta(0, reasoningContent={"text": "far"}),
            bedrock_delta(0, reasoningContent={"signature": WAX}),
            ("contentBlockStop", {"contentBlockIndex": 0}),
            bedrock_delta(1, text="Hello"),
            bedrock_delta(1, text=" there"),
            ("contentBlockStop", {"contentBlockIndex": 1}),
            ("contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "c1", "name": "look"}}}),
            bedrock_delta(2, toolUse={"input": '{"at": '}),
            bedrock_delta(2, toolUse={"input": '"sea"}'}),
            ("contentBlockStop", {"contentBlockIndex": 2}),
            ("messageStop", {"stopReason": "tool_use"}),
            ("metadata", {"usage": BEDROCK_USAGE, "metrics": {"latencyMs": 5}}),
        ),
        broken=(
            frames(("messageStart", {"role": "assistant"}), bedrock_delta(0, text="Hel")),
            frames(("modelStreamErrorException", {"message": "tired of it", "originalStatusCode": 500})),
        ),
        refusal=(429, {"message": "slower"}),
    ),
    "oddity": Vendor(
        model="odd-1",
        path="/talk/odd-1",
        stream_path="/talk/odd-1/drip",
        key=("x-oddity-pass", "upstream-key"),
        kind="application/x-ndjson",
        whole={
            "ok": True,
            "ticket": "t1",
            "says": [
                {"musing": "so far", "seal": WAX},
                {"words": "Hello there"},
                {"errand": {"no": "c1", "what": "look", "with": {"at": "sea"}}},
            ],
            "because": "errand",
            "toll": TOLL,
        },
        stream=lines(
            {"t": "open", "ticket": "t1"},
            {"t": "muse", "s": "so "},
            {"t": "muse", "s": "far"},
            {"t": "seal", "s": WAX},
            {"t": "words", "s": "Hello"},
            {"t": "words", "s": " there"},
            {"t": "send", "lane": "a", "no": "c1", "what": "look"},
            {"t": "with", "lane": "a", "s": '{"at": '},
            {"t": "with", "lane": "a", "s": '"sea"}'},
            {"t": "shut", "because": "errand", "toll": TOLL},
        ),
        broken=(
            lines({"t": "open", "ticket": "t1"}, {"t": "words", "s": "Hel"}),
            lines({"t": "oops", "code": "tired", "say": "tired of it"}),
        ),
        refusal=(200, {"ok": False, "oops": {"code": "haste", "say": "slower"}}),
    ),
}

SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": SCHEMA}}
CLAUDE_TOOL: Any = {"name": "look", "description": "Looks.", "input_schema": SCHEMA}

SECOND: dict[str, Any] = {
    "ollama": {
        "model": "qwen-test",
        "messages": [
            {"role": "system", "content": "Be odd."},
            {"role": "user", "content": "Well?"},
            {
                "role": "assistant",
                "content": "Hello there",
                "thinking": "so far",
                "tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": {"at": "sea"}}}],
            },
            {"role": "tool", "tool_name": "look", "tool_call_id": "c1", "content": "waves"},
        ],
        "tools": [CHAT_TOOL],
        "stream": False,
        "options": {"num_predict": 99, "temperature": 0.5},
    },
    "cohere": {
        "model": "command-test",
        "messages": [
            {"role": "system", "content": "Be odd."},
            {"role": "user", "content": "Well?"},
            {
                "role": "assistant",
                "tool_plan": "so far",
                "content": [{"type": "text", "text": "Hello there"}],
                "tool_calls": [{**COHERE_CALL, "function": {"name": "look", "arguments": '{"at":"sea"}'}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "waves"},
        ],
        "tools": [CHAT_TOOL],
        "stream": False,
        "max_tokens": 99,
        "temperature": 0.5,
    },
    "bedrock": {
        "messages": [
            {"role": "user", "content": [{"text": "Well?"}]},
            {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "so far", "signature": WAX}}},
                    {"text": "Hello there"},
                    {"toolUse": {"toolUseId": "c1", "name": "look", "input": {"at": "sea"}}},
                ],
            },
            {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "waves"}]}}]},
        ],
        "system": [{"text": "Be odd."}],
        "inferenceConfig": {"maxTokens": 99, "temperature": 0.5},
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "look", "description": "Looks.", "inputSchema": {"json": SCHEMA}}}]
        },
    },
    "oddity": {
        "turns": [
            {"who": "scribe", "says": [{"words": "Be odd."}]},
            {"who": "asker", "says": [{"words": "Well?"}]},
            {
                "who": "oracle",
                "says": [
                    {"musing": "so far", "seal": WAX},
                    {"words": "Hello there"},
                    {"errand": {"no": "c1", "what": "look", "with": {"at": "sea"}}},
                ],
            },
            {"who": "runner", "says": [{"brought": {"no": "c1", "words": "waves"}}]},
        ],
        "heat": 25,
        "room": 99,
        "runners": [{"what": "look", "about": "Looks.", "form": SCHEMA}],
        "send": "may",
    },
}
