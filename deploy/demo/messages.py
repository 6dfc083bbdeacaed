"""The wire of Anthropic's Messages: https://docs.anthropic.com/en/api/messages"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import brain
import claude_checks as checks
import wire
from wire import Call, Reply

_STOP = {
    "tools": "tool_use",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
    "stop": "end_turn",
}


def handle(call: Call) -> Reply:
    """Answer a message."""
    checks.check_headers(call.headers)
    body = call.body
    checks.check_shape(body, checks.MESSAGES)
    checks.check_model(body["model"], call.options)
    checks.check(body, call.options)
    prompt = _prompt(body)
    try:
        made = brain.answer(prompt)
    except wire.AskedError as asked:
        raise checks.asked(asked.status) from None
    orders = prompt.orders
    delay = (orders.get("slow") or 0) / 1000
    if not body.get("stream"):
        return Reply(_whole(body, made), delay=delay, headers=checks.headers(body))
    wanted = orders.get("pace")
    return Reply(
        chunks=_stream(body, made),
        content_type="text/event-stream; charset=utf-8",
        cut_after=orders.get("cut"),
        pace=call.options.pace if wanted is None else wanted / 1000,
        delay=delay,
        headers=checks.headers(body),
    )


def count(call: Call) -> Reply:
    """Count the tokens of a message."""
    checks.check_headers(call.headers)
    checks.check_shape(call.body, checks.COUNT)
    checks.check_model(call.body["model"], call.options)
    checks.check(call.body, call.options)
    return Reply({"input_tokens": _input_tokens(call.body)}, headers=checks.headers(call.body))


def models(call: Call) -> Reply:
    """The list of models."""
    known = wire.MODELS["claude"]
    listed = [
        {"type": "model", "id": name, "display_name": name, "created_at": "2026-09-21T00:00:00Z"} for name in known
    ]
    return Reply({"data": listed, "has_more": False, "first_id": known[0], "last_id": known[-1]})


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


def _text(content: Any) -> str:
    return "\n".join(block["text"] for block in _blocks(content) if block["type"] == "text")


def _prompt(body: dict[str, Any]) -> brain.Prompt:
    prompt = brain.Prompt(body["model"], limit=body["max_tokens"], stops=body.get("stop_sequences") or [])
    names: dict[str, str] = {}
    for message in body["messages"]:
        blocks = _blocks(message["content"])
        names |= {block["id"]: block["name"] for block in blocks if block["type"] == "tool_use"}
        if message["role"] == "assistant":
            prompt.results = []
        elif message["role"] == "user":
            results = [block for block in blocks if block["type"] == "tool_result"]
            prompt.results = [(names.get(b["tool_use_id"], "tool"), _text(b.get("content"))) for b in results]
            prompt.text = _text(blocks) or ("" if not results else prompt.text)
            seen = [block["type"] for block in blocks if block["type"] in ("image", "document")]
            prompt.media = {kind: seen.count(kind) for kind in dict.fromkeys(seen)}
    prompt.tools = [(t["name"], t["input_schema"]) for t in body.get("tools") or [] if "input_schema" in t]
    choice = body.get("tool_choice") or {"type": "auto"}
    prompt.choice = f"={choice['name']}" if choice["type"] == "tool" else choice["type"]
    prompt.parallel = not choice.get("disable_parallel_tool_use")
    prompt.thinking = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    form = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    prompt.schema = form.get("schema")
    return prompt


def _input_tokens(body: dict[str, Any]) -> int:
    return sum(wire.tokens(body.get(name) or []) for name in ("messages", "system", "tools")) + 5


def _content(body: dict[str, Any], made: brain.Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if made.thinking and "redacted" in body["model"] + str(body["messages"][-1]["content"]):
        blocks.append({"type": "redacted_thinking", "data": wire.seal("redacted", made.thinking)})
    elif made.thinking:
        sealed = wire.seal("thinking", made.thinking)
        blocks.append({"type": "thinking", "thinking": made.thinking, "signature": sealed})
    if made.text or made.refusal:
        blocks.append({"type": "text", "text": made.text or made.refusal})
    for number, (name, arguments) in enumerate(made.calls):
        call_id = wire.stable_id("toolu_", body["messages"], number)
        blocks.append({"type": "tool_use", "id": call_id, "name": name, "input": arguments})
    return blocks


def _usage(body: dict[str, Any], made: brain.Answer) -> dict[str, Any]:
    return {
        "input_tokens": _input_tokens(body),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": made.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": made.visible_tokens + made.thinking_tokens,
        "service_tier": "standard",
    }


def _whole(body: dict[str, Any], made: brain.Answer) -> dict[str, Any]:
    return {
        "id": wire.stable_id("msg_", body),
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": _content(body, made),
        "stop_reason": _STOP[made.finish],
        "stop_sequence": made.stop_text,
        "usage": _usage(body, made),
    }


def _stream(body: dict[str, Any], made: brain.Answer) -> Iterator[bytes]:
    def event(kind: str, **data: Any) -> bytes:
        return wire.event({"type": kind, **data}, kind)

    whole = _whole(body, made)
    blocks = whole["content"]
    usage = whole["usage"] | {"output_tokens": 1}
    started = whole | {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield event("message_start", message=started)
    yield event("ping")
    for index, block in enumerate(blocks):
        yield event("content_block_start", index=index, content_block=_begun(block))
        for number, delta in enumerate(_deltas(block)):
            if made.fail and number == 3:
                yield event("error", error={"type": "overloaded_error", "message": "Overloaded"})
                return
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": made.stop_text}
    yield event("message_delta", delta=ended, usage={"output_tokens": whole["usage"]["output_tokens"]})
    yield event("message_stop")


def _begun(block: dict[str, Any]) -> dict[str, Any]:
    empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
    return block | empty.get(block["type"], {})


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if block["type"] == "text":
        for piece in wire.pieces(block["text"]):
            yield {"type": "text_delta", "text": piece}
    elif block["type"] == "thinking":
        for piece in wire.pieces(block["thinking"]):
            yield {"type": "thinking_delta", "thinking": piece}
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif block["type"] == "tool_use":
        yield {"type": "input_json_delta", "partial_json": ""}
        for piece in wire.pieces(json.dumps(block["input"], ensure_ascii=False)):
            yield {"type": "input_json_delta", "partial_json": piece}
