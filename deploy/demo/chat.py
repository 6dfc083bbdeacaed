"""The wire of OpenAI's chat completions: https://platform.openai.com/docs/api-reference/chat"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import brain
import openai_errors as errors
import wire
from shape import OneOf, Tagged
from wire import Call, Reply

_NAME = re.compile(r"^[a-zA-Z0-9_-]+$")
_TEXT = {"text!": "str", "prompt_cache_breakpoint": "any"}
_PARTS = Tagged(
    "type",
    {
        "text": _TEXT,
        "image_url": {"image_url!": {"url!": "str", "detail": ("auto", "low", "high", "original")}},
        "input_audio": {"input_audio!": {"data!": "str", "format!": ("wav", "mp3")}},
        "file": {"file!": {"file_data": "str", "filename": "str", "file_id": "str"}},
    },
)
_TEXTS = OneOf("str", [Tagged("type", {"text": _TEXT})])
_CALLS = Tagged(
    "type",
    {
        "function": {"id!": "str", "function!": {"name!": "str", "arguments!": "str"}},
        "custom": {"id!": "str", "custom!": {"name!": "str", "input!": "str"}},
    },
)
_MESSAGES = Tagged(
    "role",
    {
        "system": {"content!": _TEXTS, "name": "str"},
        "developer": {"content!": _TEXTS, "name": "str"},
        "user": {"content!": OneOf("str", [_PARTS]), "name": "str"},
        "assistant": {
            "content": OneOf("str", [Tagged("type", {"text": _TEXT, "refusal": {"refusal!": "str"}})]),
            "refusal": "str",
            "name": "str",
            "audio": {"id!": "str"},
            "tool_calls": [_CALLS],
            "function_call": "any",
            "annotations": "any",
        },
        "tool": {"content!": _TEXTS, "tool_call_id!": "str"},
        "function": {"content": "str", "name!": "str"},
    },
)
_FUNCTION = {"name!": "str", "description": "str", "parameters": {"*": "any"}, "strict": "bool"}
_TOOLS = Tagged("type", {"function": {"function!": _FUNCTION}, "custom": {"custom!": {"name!": "str", "*": "any"}}})
_FORMAT = Tagged(
    "type",
    {
        "text": {},
        "json_object": {},
        "json_schema": {
            "json_schema!": {"name!": "str", "schema": {"*": "any"}, "strict": "bool", "description": "str"}
        },
    },
)
_CHOICE = OneOf(
    ("none", "auto", "required"),
    Tagged(
        "type",
        {
            "function": {"function!": {"name!": "str"}},
            "custom": {"custom!": {"name!": "str"}},
            "allowed_tools": {"allowed_tools!": {"mode!": ("auto", "required"), "tools!": ["any"]}},
        },
    ),
)
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
TABLE: dict[str, Any] = {
    "model!": "str",
    "messages!": [_MESSAGES],
    "stream": "bool",
    "stream_options": {"include_usage": "bool", "include_obfuscation": "bool"},
    "tools": [_TOOLS],
    "tool_choice": _CHOICE,
    "parallel_tool_calls": "bool",
    "max_tokens": "int",
    "max_completion_tokens": "int",
    "temperature": "number",
    "top_p": "number",
    "n": "int",
    "stop": OneOf("str", ["str"]),
    "seed": "int",
    "presence_penalty": "number",
    "frequency_penalty": "number",
    "logprobs": "bool",
    "top_logprobs": "int",
    "response_format": _FORMAT,
    "reasoning_effort": _EFFORTS,
    "verbosity": ("low", "medium", "high"),
    "modalities": ["str"],
    "audio": {"voice": "any", "format": "str"},
    "user": "str",
    "store": "bool",
    "metadata": {"*": "str"},
    "service_tier": ("auto", "default", "flex", "priority", "scale"),
    "prompt_cache_retention": "str",
    **dict.fromkeys(("safety_identifier", "prompt_cache_key"), "str"),
    **dict.fromkeys(
        ("logit_bias", "prediction", "web_search_options", "moderation", "prompt_cache_options", "functions",
         "function_call"),
        "any",
    ),
}  # fmt: skip
_BOUNDS = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "n": (1, 128),
    "top_logprobs": (0, 20),
    "max_tokens": (1, None),
    "max_completion_tokens": (1, None),
}


def handle(call: Call) -> Reply:
    """Answer a chat completion."""
    body = call.body
    errors.check_shape(body, TABLE)
    errors.check_model(body["model"], call.options)
    _check(body, thinks="thinking" in body["model"])
    prompt = _prompt(body)
    try:
        made = brain.answer(prompt)
    except wire.AskedError as asked:
        raise errors.asked(asked.status) from None
    orders = prompt.orders
    timing = {"pace": errors.pace(orders, call.options), "delay": (orders.get("slow") or 0) / 1000}
    if not body.get("stream"):
        return Reply(_whole(body, made), delay=timing["delay"])
    return Reply(
        chunks=_stream(body, made),
        content_type="text/event-stream; charset=utf-8",
        cut_after=orders.get("cut"),
        **timing,
    )


def _check(body: dict[str, Any], *, thinks: bool) -> None:
    if not body["messages"]:
        raise errors.invalid(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "messages",
            "empty_array",
        )
    errors.check_bounds(body, _BOUNDS)
    stops = body.get("stop")
    if isinstance(stops, list) and len(stops) > 4:
        raise errors.invalid(
            f"Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length"
            f" {len(stops)} instead.",
            "stop",
            "array_above_max_length",
        )
    if body.get("stream_options") and not body.get("stream"):
        raise errors.invalid(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options"
        )
    if body.get("tool_choice") not in (None, "none", "auto") and not body.get("tools"):
        raise errors.invalid(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.", "tool_choice"
        )
    for index, tool in enumerate(body.get("tools") or []):
        errors.check_name(tool[tool["type"]]["name"], f"tools[{index}].{tool['type']}.name")
    if thinks:
        errors.check_thinking_model(body, "max_tokens", "max_completion_tokens")
    if (body.get("response_format") or {}).get("type") == "json_object" and "json" not in str(body["messages"]).lower():
        raise errors.invalid(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            "messages",
        )
    _check_turns(body["messages"])
    _check_media(body["messages"])


def _check_turns(messages: list[dict[str, Any]]) -> None:
    open_ids: list[str] = []
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_ids:
                raise errors.invalid(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with"
                    " 'tool_calls'.",
                    f"messages.[{index}].role",
                )
            open_ids.remove(message["tool_call_id"])
            continue
        _check_answered(open_ids, index)
        open_ids = [call["id"] for call in message.get("tool_calls") or []]
        said = any(message.get(name) for name in ("content", "refusal", "audio", "tool_calls"))
        if message["role"] == "assistant" and not said and message.get("content") != "":
            raise errors.invalid(
                "Invalid value for 'content': expected a string, got null.", f"messages.[{index}].content"
            )
    _check_answered(open_ids, len(messages))


def _check_answered(open_ids: list[str], index: int) -> None:
    if open_ids:
        raise errors.invalid(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each"
            f" 'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(open_ids)}",
            f"messages.[{index}].role" if index else "messages",
        )


def _check_media(messages: list[dict[str, Any]]) -> None:
    for index, message in enumerate(messages):
        for place, part in enumerate(_parts(message.get("content"))):
            if part["type"] == "image_url":
                errors.check_image(part["image_url"]["url"], f"messages[{index}].content[{place}].image_url.url")


def _parts(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


def _text(content: Any) -> str:
    return "\n".join(part["text"] for part in _parts(content) if part["type"] == "text")


def _prompt(body: dict[str, Any]) -> brain.Prompt:
    messages = body["messages"]
    names = {c["id"]: c[c["type"]]["name"] for m in messages for c in m.get("tool_calls") or []}
    prompt = brain.Prompt(body["model"], limit=body.get("max_completion_tokens") or body.get("max_tokens"))
    for message in messages:
        if message["role"] == "user":
            prompt.text, prompt.results, prompt.media = _text(message["content"]), [], {}
            for part in _parts(message["content"]):
                if part["type"] != "text":
                    kind = {"image_url": "image", "input_audio": "recording"}.get(part["type"], "file")
                    prompt.media[kind] = prompt.media.get(kind, 0) + 1
        elif message["role"] == "tool":
            prompt.results.append((names[message["tool_call_id"]], _text(message["content"])))
        elif message["role"] == "assistant":
            prompt.results = []
    for tool in body.get("tools") or []:
        own = tool[tool["type"]]
        prompt.tools.append((own["name"], own.get("parameters") or {}))
    prompt.choice = _choice(body.get("tool_choice"))
    prompt.parallel = body.get("parallel_tool_calls") is not False
    prompt.thinking = "thinking" in body["model"] or body.get("reasoning_effort") not in (None, "none")
    form = body.get("response_format") or {}
    prompt.json = form.get("type") == "json_object"
    prompt.schema = (form.get("json_schema") or {}).get("schema")
    stops = body.get("stop") or []
    prompt.stops = [stops] if isinstance(stops, str) else stops
    return prompt


def _choice(choice: Any) -> str:
    if isinstance(choice, dict):
        kind = choice["type"]
        if kind == "allowed_tools":
            return {"auto": "auto", "required": "any"}[choice[kind]["mode"]]
        return f"={choice[kind]['name']}"
    return {"required": "any", None: "auto"}.get(choice, choice)


def _usage(body: dict[str, Any], made: brain.Answer) -> dict[str, Any]:
    used = wire.tokens(body["messages"]) + wire.tokens(body.get("tools") or []) + 3
    out = made.visible_tokens + made.thinking_tokens
    return {
        "prompt_tokens": used + made.cached,
        "completion_tokens": out,
        "total_tokens": used + made.cached + out,
        "prompt_tokens_details": {"cached_tokens": made.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": made.thinking_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


_FINISH = {"tools": "tool_calls", "length": "length"}


def _calls(body: dict[str, Any], made: brain.Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": wire.stable_id("call_", body["messages"], number),
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)},
        }
        for number, (name, arguments) in enumerate(made.calls)
    ]


def _whole(body: dict[str, Any], made: brain.Answer) -> dict[str, Any]:
    calls = _calls(body, made)
    message = {"role": "assistant", "content": made.text if made.text or not (calls or made.refusal) else None}
    message |= {"refusal": made.refusal or None, "annotations": []} | ({"tool_calls": calls} if calls else {})
    choice = {"message": message, "logprobs": None, "finish_reason": _FINISH.get(made.finish, "stop")}
    return {
        "id": wire.stable_id("chatcmpl-", body),
        "object": "chat.completion",
        "created": wire.CREATED,
        "model": body["model"],
        "choices": [{"index": number, **choice} for number in range(body.get("n") or 1)],
        "usage": _usage(body, made),
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _stream(body: dict[str, Any], made: brain.Answer) -> Iterator[bytes]:
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    head = {
        "id": wire.stable_id("chatcmpl-", body),
        "object": "chat.completion.chunk",
        "created": wire.CREATED,
        "model": body["model"],
        "service_tier": "default",
        "system_fingerprint": None,
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return wire.event(head | {"choices": [choice]} | ({"usage": None} if with_usage else {}))

    yield chunk({"role": "assistant", "content": None if made.calls else "", "refusal": None})
    for number, piece in enumerate(wire.pieces(made.text)):
        if made.fail and number == 3:
            yield wire.event(errors.body("The server had an error while processing your request.", "server_error"))
            return
        yield chunk({"content": piece})
    for piece in wire.pieces(made.refusal):
        yield chunk({"refusal": piece})
    for index, call in enumerate(_calls(body, made)):
        function = {"name": call["function"]["name"], "arguments": ""}
        yield chunk({"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": function}]})
        for piece in wire.pieces(call["function"]["arguments"]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, _FINISH.get(made.finish, "stop"))
    if with_usage:
        yield wire.event(head | {"choices": [], "usage": _usage(body, made)})
    yield b"data: [DONE]\n\n"
