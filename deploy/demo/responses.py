"""The wire of OpenAI's Responses: https://platform.openai.com/docs/api-reference/responses"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import brain
import openai_errors as errors
import responses_checks as checks
import wire
from wire import Call, Reply

_KEPT: OrderedDict[str, list[dict[str, Any]]] = OrderedDict()
_LOCK = threading.Lock()
_MOST_KEPT = 500


def handle(call: Call) -> Reply:
    """Answer a response request."""
    body = call.body
    checks.check(body, call.options)
    before = _before(body, call.options)
    items = (before or []) + _items(body["input"])
    if before is not None:
        checks.check_items(items, call.options)
    prompt = _prompt(body, items)
    try:
        made = brain.answer(prompt)
    except wire.AskedError as asked:
        raise errors.asked(asked.status) from None
    orders = prompt.orders
    whole = _whole(body, items, made)
    if body.get("store") is not False:
        with _LOCK:
            _KEPT[whole["id"]] = items + whole["output"]
            while len(_KEPT) > _MOST_KEPT:
                _KEPT.popitem(last=False)
    delay = (orders.get("slow") or 0) / 1000
    if not body.get("stream"):
        return Reply(whole, delay=delay)
    return Reply(
        chunks=_stream(whole, made),
        content_type="text/event-stream; charset=utf-8",
        cut_after=orders.get("cut"),
        pace=errors.pace(orders, call.options),
        delay=delay,
    )


def _items(given: Any) -> list[dict[str, Any]]:
    return [{"type": "message", "role": "user", "content": given}] if isinstance(given, str) else list(given)


def _before(body: dict[str, Any], options: wire.Options) -> list[dict[str, Any]] | None:
    """The items that went before; nothing if they were said elsewhere and that is to be believed."""
    previous = body.get("previous_response_id")
    if previous is None:
        return []
    with _LOCK:
        found = _KEPT.get(previous)
    if found is None:
        if options.any_model:
            return None
        message = f"Previous response with id '{previous}' not found."
        raise errors.invalid(message, "previous_response_id", "previous_response_not_found")
    return list(found)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if "text" in part)


def _prompt(body: dict[str, Any], items: list[dict[str, Any]]) -> brain.Prompt:
    prompt = brain.Prompt(body["model"], limit=body.get("max_output_tokens"))
    names = {
        item["call_id"]: item["name"] for item in items if item.get("type") in ("function_call", "custom_tool_call")
    }
    for item in items:
        kind = item.get("type", "message")
        if kind in ("function_call_output", "custom_tool_call_output"):
            prompt.results.append((names.get(item["call_id"], "tool"), _text(item["output"])))
        elif kind in ("function_call", "custom_tool_call"):
            if prompt.results:
                prompt.results = []
        elif kind == "message" and item["role"] == "user":
            prompt.text, prompt.results = _text(item["content"]), []
            seen = [_kind(part) for part in item["content"] if not isinstance(item["content"], str)]
            prompt.media = {name: seen.count(name) for name in dict.fromkeys(seen) if name}
    for tool in body.get("tools") or []:
        if tool["type"] in ("function", "custom"):
            prompt.tools.append((tool["name"], tool.get("parameters") or {}))
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        prompt.choice = f"={choice['name']}" if "name" in choice else "auto"
    else:
        prompt.choice = {"required": "any", None: "auto"}.get(choice, choice)
    prompt.parallel = body.get("parallel_tool_calls") is not False
    effort = (body.get("reasoning") or {}).get("effort")
    prompt.thinking = effort != "none" if effort else "thinking" in body["model"]
    form = (body.get("text") or {}).get("format") or {}
    prompt.json = form.get("type") == "json_object"
    prompt.schema = form.get("schema")
    return prompt


def _kind(part: dict[str, Any]) -> str:
    return {"input_image": "image", "input_file": "file", "input_audio": "recording"}.get(part["type"], "")


def _output(body: dict[str, Any], items: list[dict[str, Any]], made: brain.Answer) -> list[dict[str, Any]]:
    output: list[dict[str, Any]] = []
    if made.thinking:
        summary = (body.get("reasoning") or {}).get("summary") or (body.get("reasoning") or {}).get("generate_summary")
        item = {"id": wire.stable_id("rs_", items), "type": "reasoning", "summary": []}
        if summary:
            item["summary"] = [{"type": "summary_text", "text": made.thinking}]
        if "reasoning.encrypted_content" in (body.get("include") or []):
            item["encrypted_content"] = wire.seal("reasoning", made.thinking)
        output.append(item)
    if made.text or made.refusal:
        part = {"type": "output_text", "text": made.text, "annotations": [], "logprobs": []}
        if made.refusal:
            part = {"type": "refusal", "refusal": made.refusal}
        item = {"id": wire.stable_id("msg_", items), "type": "message", "role": "assistant", "content": [part]}
        output.append(item | {"status": "incomplete" if made.finish == "length" else "completed"})
    for number, (name, arguments) in enumerate(made.calls):
        output.append(
            {
                "id": wire.stable_id("fc_", items, number),
                "type": "function_call",
                "status": "completed",
                "call_id": wire.stable_id("call_", items, number),
                "name": name,
                "arguments": json.dumps(arguments, ensure_ascii=False),
            }
        )
    return output


def _whole(body: dict[str, Any], items: list[dict[str, Any]], made: brain.Answer) -> dict[str, Any]:
    used = wire.tokens(items) + wire.tokens(body.get("tools") or []) + wire.tokens(body.get("instructions")) + 3
    out = made.visible_tokens + made.thinking_tokens
    reasoning = body.get("reasoning") or {}
    return {
        "id": wire.stable_id("resp_", body, items),
        "object": "response",
        "created_at": wire.CREATED,
        "status": "incomplete" if made.finish == "length" else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if made.finish == "length" else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": body["model"],
        "output": _output(body, items, made),
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "service_tier": "default",
        "store": body.get("store") is not False,
        "temperature": body.get("temperature", 1),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1),
        "truncation": body.get("truncation") or "disabled",
        "usage": {
            "input_tokens": used + made.cached,
            "input_tokens_details": {"cached_tokens": made.cached},
            "output_tokens": out,
            "output_tokens_details": {"reasoning_tokens": made.thinking_tokens},
            "total_tokens": used + made.cached + out,
        },
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


def _stream(whole: dict[str, Any], made: brain.Answer) -> Iterator[bytes]:
    number = -1

    def event(kind: str, **data: Any) -> bytes:
        nonlocal number
        number += 1
        return wire.event({"type": kind, "sequence_number": number, **data}, kind)

    begun = whole | {"status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    for index, item in enumerate(whole["output"]):
        yield event("response.output_item.added", output_index=index, item=_begun(item))
        for step, (kind, data) in enumerate(_steps(item)):
            if made.fail and step == 4:
                error = {"code": "server_error", "message": "The server had an error while processing your request."}
                yield event("response.failed", response=begun | {"status": "failed", "error": error})
                return
            yield event(f"response.{kind}", item_id=item["id"], output_index=index, **data)
        yield event("response.output_item.done", output_index=index, item=item)
    yield event("response.incomplete" if whole["status"] == "incomplete" else "response.completed", response=whole)


def _begun(item: dict[str, Any]) -> dict[str, Any]:
    empty: dict[str, dict[str, Any]] = {
        "message": {"content": [], "status": "in_progress"},
        "function_call": {"arguments": "", "status": "in_progress"},
        "reasoning": {"summary": []},
    }
    return item | empty[item["type"]]


def _steps(item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if item["type"] == "function_call":
        for piece in wire.pieces(item["arguments"]):
            yield "function_call_arguments.delta", {"delta": piece}
        yield "function_call_arguments.done", {"arguments": item["arguments"], "name": item["name"]}
    elif item["type"] == "reasoning":
        for index, part in enumerate(item["summary"]):
            at = {"summary_index": index}
            yield "reasoning_summary_part.added", at | {"part": {"type": "summary_text", "text": ""}}
            for piece in wire.pieces(part["text"]):
                yield "reasoning_summary_text.delta", at | {"delta": piece}
            yield "reasoning_summary_text.done", at | {"text": part["text"]}
            yield "reasoning_summary_part.done", at | {"part": part}
    else:
        for index, part in enumerate(item["content"]):
            yield from _part_steps(index, part)


def _part_steps(index: int, part: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    key = "text" if part["type"] == "output_text" else "refusal"
    at: dict[str, Any] = {"content_index": index}
    more: dict[str, Any] = {"logprobs": []} if key == "text" else {}
    yield "content_part.added", at | {"part": part | {key: ""}}
    for piece in wire.pieces(part[key]):
        yield f"{part['type']}.delta", at | {"delta": piece} | more
    yield f"{part['type']}.done", at | {key: part[key]} | more
    yield "content_part.done", at | {"part": part}
