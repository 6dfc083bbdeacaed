"""What variants of reported cases are built of: requests, tools, answers and events of each format, in few words."""

from __future__ import annotations

import json
from typing import Any

CHAT, RESPONSES, CLAUDE, GEMINI = "openai.chat", "openai.responses", "anthropic.messages", "gemini.generateContent"
SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
ABSENT = {"absent": True}
Pairs = list[Any]


def case(
    name: str, client: str, provider: str, speaks: str, model: str, request: dict[str, Any], check: Pairs, on: str = "",
    answer: Any = None, events: Pairs | None = None, stream: bool | None = None, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """A case as the files beside the checkout have it; it looks at the provider's request unless that is answered."""
    made: dict[str, Any] = {
        "name": name, "client_format": client, "provider_format": speaks, "provider": provider, "model": model,
        "request": request, "stream": events is not None if stream is None else stream,
    }  # fmt: skip
    if answer is not None:
        made["upstream_response"] = answer
    if events is not None:
        made["upstream_events"] = events
    on = on or ("events" if events is not None else "answer" if answer is not None else "provider_request")
    ways = more.pop("any", None)
    made["expect"] = {"on": on, "assert": check, **({"any": ways} if ways else {})}
    return {**made, **more}


# --- requests ----------------------------------------------------------------------------------------


def tool(fmt: str, name: str = "look", schema: Any = None, description: str | None = "Look it up") -> dict[str, Any]:
    """A function tool as a format has it."""
    schema = SCHEMA if schema is None else schema
    said = {"description": description} if description else {}
    if fmt == CHAT:
        return {"type": "function", "function": {"name": name, **said, "parameters": schema}}
    if fmt == RESPONSES:
        return {"type": "function", "name": name, **said, "parameters": schema, "strict": False}
    if fmt == CLAUDE:
        return {"name": name, **said, "input_schema": schema}
    return {"name": name, **said, "parametersJsonSchema": schema}


def ask(fmt: str, text: Any = "Say hi", *, tools: Pairs | None = None, **more: Any) -> dict[str, Any]:
    """One user's turn; ``text`` may be the parts of its content."""
    made: dict[str, Any]
    if fmt == RESPONSES:
        made = {"input": text if isinstance(text, str) else [{"role": "user", "content": text}]}
    elif fmt == GEMINI:
        made = {"contents": [{"role": "user", "parts": [{"text": text}] if isinstance(text, str) else text}]}
    else:
        made = {"messages": [{"role": "user", "content": text}]}
    if fmt == CLAUDE:
        made["max_tokens"] = 4000
    if tools:
        made["tools"] = [{"functionDeclarations": tools}] if fmt == GEMINI else tools
    return {**made, **more}


def turn(fmt: str, *, thought: str = "", text: str = "", call: str = "t1") -> Pairs:
    """A question, the model's call of ``look`` with what stood before it, and the call's result."""
    if fmt == CHAT:
        said: dict[str, Any] = {"role": "assistant", "content": text or None}
        if thought:
            said["reasoning_content"] = thought
        calls = [{"id": call, "type": "function", "function": {"name": "look", "arguments": '{"q":"1"}'}}]
        result = {"role": "tool", "tool_call_id": call, "content": "r"}
        return [{"role": "user", "content": "q"}, {**said, "tool_calls": calls}, result]
    if fmt == RESPONSES:
        items: Pairs = [{"role": "user", "content": "q"}]
        if thought:
            items.append({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": thought}]})
        if text:
            items.append({"role": "assistant", "content": [{"type": "output_text", "text": text}]})
        called = {"type": "function_call", "call_id": call, "name": "look", "arguments": '{"q":"1"}'}
        return [*items, called, {"type": "function_call_output", "call_id": call, "output": "r"}]
    if fmt == CLAUDE:
        blocks: Pairs = [{"type": "thinking", "thinking": thought, "signature": ""}] if thought else []
        blocks += [{"type": "text", "text": text}] if text else []
        blocks.append({"type": "tool_use", "id": call, "name": "look", "input": {"q": "1"}})
        result = {"type": "tool_result", "tool_use_id": call, "content": "r"}
        return [
            {"role": "user", "content": "q"}, {"role": "assistant", "content": blocks},
            {"role": "user", "content": [result]},
        ]  # fmt: skip
    parts: Pairs = [{"text": thought, "thought": True}] if thought else []
    parts += [{"text": text}] if text else []
    parts.append({"functionCall": {"id": call, "name": "look", "args": {"q": "1"}}})
    result = {"functionResponse": {"id": call, "name": "look", "response": {"output": "r"}}}
    return [
        {"role": "user", "parts": [{"text": "q"}]}, {"role": "model", "parts": parts},
        {"role": "user", "parts": [result]},
    ]  # fmt: skip


def history(fmt: str, turns: Pairs, **more: Any) -> dict[str, Any]:
    """A request of several turns."""
    key = {RESPONSES: "input", GEMINI: "contents"}.get(fmt, "messages")
    tools: Pairs = [tool(fmt)]
    made = {key: turns, "tools": [{"functionDeclarations": tools}] if fmt == GEMINI else tools, **more}
    return {"max_tokens": 4000, **made} if fmt == CLAUDE else made


# --- answers -----------------------------------------------------------------------------------------


def chat_answer(message: dict[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    """A whole answer of Chat Completions."""
    said = {"role": "assistant", "content": None, **message}
    return {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": said, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, **more,
    }  # fmt: skip


def chunk(delta: Any = None, finish: Any = None, **more: Any) -> dict[str, Any]:
    """A chunk of Chat Completions."""
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}


USAGE = {
    "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}  # fmt: skip


def called(arguments: Any = '{"q":"1"}', name: str = "look", **more: Any) -> dict[str, Any]:
    """A call as Chat Completions writes it."""
    return {"id": "a1", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


_TOLD = {
    "input_tokens": 50, "input_tokens_details": {"cached_tokens": 40}, "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 59,
}  # fmt: skip


def response(output: Pairs, status: str = "completed", **more: Any) -> dict[str, Any]:
    """A whole answer of Responses."""
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "m", "output": output,
        "usage": _TOLD, **more,
    }  # fmt: skip


def streamed(*events: dict[str, Any], output: Pairs | None = None, end: str = "completed", **more: Any) -> Pairs:
    """Events of Responses between their beginning and their end."""
    begun = {**response([], "in_progress"), "usage": None}
    told = [{"type": "response.created", "response": begun}, *events]
    told.append({"type": f"response.{end}", "response": response(output or [], end, **more)})
    return [{**event, "sequence_number": number} for number, event in enumerate(told)]


def item(kind: str, index: int, **members: Any) -> Pairs:
    """An item that begins and ends."""
    whole = {"type": kind, "id": f"it_{index}", "status": "completed", **members}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": {**whole, "status": "in_progress"}},
        {"type": "response.output_item.done", "output_index": index, "item": whole},
    ]


def message(text: str, annotations: Pairs | None = None, **more: Any) -> dict[str, Any]:
    """A message of Responses."""
    said = {"type": "output_text", "text": text, "annotations": annotations or []}
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [said], **more}


def claude_answer(content: Pairs, stop: str = "end_turn", **more: Any) -> dict[str, Any]:
    """A whole answer of Messages."""
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": stop,
        "stop_sequence": None, "usage": {"input_tokens": 12, "output_tokens": 20}, **more,
    }  # fmt: skip


def claude_events(content: Pairs, stop: str = "end_turn", *, end: Pairs | None = None) -> Pairs:
    """The same as a stream."""
    started = {**claude_answer([]), "stop_reason": None}
    told: Pairs = [{"type": "message_start", "message": started}]
    for index, block in enumerate(content):
        told += _block(index, block)
    if end is not None:
        return [*told, *end]
    delta = {"stop_reason": stop, "stop_sequence": None}
    return [*told, {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 20}}, {"type": "message_stop"}]


def _block(index: int, block: dict[str, Any]) -> Pairs:
    empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
    deltas: Pairs = []
    if block["type"] == "text":
        deltas.append({"type": "text_delta", "text": block["text"]})
    elif block["type"] == "thinking":
        deltas.append({"type": "thinking_delta", "thinking": block["thinking"]})
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif block["type"] == "tool_use":
        deltas.append({"type": "input_json_delta", "partial_json": json.dumps(block["input"])})
    started = {
        "type": "content_block_start",
        "index": index,
        "content_block": {**block, **empty.get(block["type"], {})},
    }
    told = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    return [started, *told, {"type": "content_block_stop", "index": index}]


def gemini_answer(parts: Pairs, finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    """A whole answer of Gemini, or an event of its stream."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    counts = {"promptTokenCount": 4, "candidatesTokenCount": 3, "totalTokenCount": 7}
    candidate.update(more.pop("candidate", {}))
    return {"candidates": [candidate], "usageMetadata": counts, "modelVersion": "m", "responseId": "r-1", **more}


IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
