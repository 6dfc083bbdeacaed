"""A client of each format that goes on: its first request, and the one after an answer, with what it holds of it.

``again(case, answer)`` gives the second body: the conversation so far, the answer as the client keeps it (``keeps``),
and the results of its calls, each ``r``; without a call the message ``then``. ``answer`` is what came: a body, or the
events of a stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

Events = list[tuple[str, Any]]
_RESULT = "r"
_THEN = "and now?"


def again(case: Mapping[str, Any], body: Any, events: Events) -> dict[str, Any]:
    """The body of the second request, without its model."""
    request = deepcopy(case["request"])
    if case.get("keeps") == "thread":
        kept: dict[str, Any] = {**request, "thread": {"type": "continue", "id": (body.get("thread") or {}).get("id")}}
        calls = [block for block in body.get("content", ()) if block.get("type") == "tool_use"]
        kept["messages"] = [_results_of_blocks(calls)]
        return kept
    return _GO_ON[case["client_format"]](request, case, body, events)


def path(fmt: str, model: str, *, stream: bool) -> str:
    """The path of a format's main call."""
    if fmt == "gemini.generateContent":
        return f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")
    return {"openai.chat": "/v1/chat/completions", "openai.responses": "/v1/responses"}.get(fmt, "/v1/messages")


def first(fmt: str, request: Mapping[str, Any], model: str, *, stream: bool) -> dict[str, Any]:
    """The body of a request with what the path does not say."""
    if fmt == "gemini.generateContent":
        return dict(request)
    return {"model": model, **request, **({"stream": True} if stream else {})}


# --- chat ------------------------------------------------------------------------------------------


def _chat(request: dict[str, Any], case: Mapping[str, Any], body: Any, events: Events) -> dict[str, Any]:
    message = _chat_message(events) if events else body["choices"][0]["message"]
    keeps = case.get("keeps")
    held = {name: value for name, value in message.items() if keeps is None or name in keeps}
    calls = held.get("tool_calls") or []
    after = [{"role": "tool", "tool_call_id": call["id"], "content": _RESULT} for call in calls]
    after = after or [{"role": "user", "content": case.get("then", _THEN)}]
    return {**request, "messages": [*request["messages"], {"role": "assistant", **held}, *after]}


def _chat_message(events: Events) -> dict[str, Any]:
    """The deltas added up, as SDKs do: texts joined, lists by their indices."""
    message: dict[str, Any] = {}
    for _, data in events:
        if isinstance(data, dict) and data.get("choices"):
            _add(message, data["choices"][0].get("delta") or {})
    return message


def _add(held: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name, value in delta.items():
        before = held.get(name)
        if value is None or name in ("role", "type", "id", "index"):
            if before is None:
                held[name] = value
        elif before is None:
            held[name] = deepcopy(value)
        elif isinstance(value, str):
            held[name] = before + value
        elif isinstance(value, dict):
            _add(before, value)
        elif isinstance(value, list):
            for item in value:
                same = next(
                    (one for one in before if item.get("index") is not None and one.get("index") == item["index"]), None
                )
                _add(same, item) if same is not None else before.append(deepcopy(item))


# --- Responses ---------------------------------------------------------------------------------------


def _responses(request: dict[str, Any], case: Mapping[str, Any], body: Any, events: Events) -> dict[str, Any]:
    last = next((data for _, data in reversed(events) if isinstance(data, dict) and "response" in data), None)
    output = (last["response"] if last else body)["output"]
    keeps = case.get("keeps")
    held = [item for item in output if keeps is None or item["type"] in keeps]
    results = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
    after: list[dict[str, Any]] = [
        {"type": results[item["type"]], "call_id": item["call_id"], "output": _RESULT}
        for item in held
        if item["type"] in results
    ]
    after = after or [{"role": "user", "content": case.get("then", _THEN)}]
    before = request["input"]
    before = [{"role": "user", "content": before}] if isinstance(before, str) else before
    return {**request, "input": [*before, *held, *after]}


# --- Messages ----------------------------------------------------------------------------------------


def _messages(request: dict[str, Any], case: Mapping[str, Any], body: Any, events: Events) -> dict[str, Any]:
    content = _blocks(events) if events else body["content"]
    keeps = case.get("keeps")
    content = [block for block in content if keeps is None or block["type"] in keeps]
    calls = [block for block in content if block["type"] == "tool_use"]
    after = _results_of_blocks(calls) if calls else {"role": "user", "content": case.get("then", _THEN)}
    return {**request, "messages": [*request["messages"], {"role": "assistant", "content": content}, after]}


def _results_of_blocks(calls: list[dict[str, Any]]) -> dict[str, Any]:
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": _RESULT} for call in calls]
    return {"role": "user", "content": results}


def _blocks(events: Events) -> list[dict[str, Any]]:
    import json

    blocks: dict[int, dict[str, Any]] = {}
    inputs: dict[int, str] = {}
    for _, data in events:
        kind = data.get("type") if isinstance(data, dict) else None
        if kind == "content_block_start":
            blocks[data["index"]] = deepcopy(data["content_block"])
        elif kind == "content_block_delta":
            delta, block = data["delta"], blocks[data["index"]]
            if delta["type"] == "input_json_delta":
                inputs[data["index"]] = inputs.get(data["index"], "") + delta["partial_json"]
                block["input"] = {}
            else:
                for name, value in delta.items():
                    if name != "type" and isinstance(value, str):
                        block[name] = block.get(name, "") + value
    for index, text in inputs.items():
        blocks[index]["input"] = json.loads(text or "{}")
    return [blocks[index] for index in sorted(blocks)]


# --- Gemini ------------------------------------------------------------------------------------------


def _contents(request: dict[str, Any], case: Mapping[str, Any], body: Any, events: Events) -> dict[str, Any]:
    chunks = [data for _, data in events] or [body]
    contents = [chunk["candidates"][0]["content"] for chunk in chunks if chunk.get("candidates")]
    contents = [content for content in contents if content.get("parts")]
    keeps = case.get("keeps") or ""
    if "each chunk" not in keeps:
        parts = [part for content in contents for part in content["parts"]]
        contents = [{"role": "model", "parts": _kept(parts, keeps)}]
    calls = [part["functionCall"] for content in contents for part in content["parts"] if "functionCall" in part]
    results = [
        {"functionResponse": {**({"id": call["id"]} if "id" in call else {}), "name": call["name"],
                              "response": {"output": _RESULT}}}
        for call in calls
    ]  # fmt: skip
    after = {"role": "user", "parts": results or [{"text": case.get("then", _THEN)}]}
    return {**request, "contents": [*request["contents"], *contents, after]}


def _kept(parts: list[dict[str, Any]], keeps: str) -> list[dict[str, Any]]:
    """Parts as a client has them that holds the words alone; all of them, if nothing is said."""
    parts = deepcopy(parts)
    if "without id" in keeps:
        for part in parts:
            part.get("functionCall", {}).pop("id", None)
    if "joined" in keeps:
        joined: list[dict[str, Any]] = []
        for part in parts:
            if part.get("thought") and joined and joined[-1].get("thought") and part.get("text"):
                joined[-1] = {**joined[-1], **part, "text": joined[-1]["text"] + part["text"]}
            else:
                joined.append(part)
        parts = joined
    if "no part without text" in keeps:
        parts = [part for part in parts if part.get("text") or "functionCall" in part]
    return parts


_GO_ON: dict[str, Callable[[dict[str, Any], Mapping[str, Any], Any, Events], dict[str, Any]]] = {
    "openai.chat": _chat,
    "openai.responses": _responses,
    "anthropic.messages": _messages,
    "gemini.generateContent": _contents,
}
