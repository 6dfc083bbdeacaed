"""Answers as each vendor's own SDK sees them: parsed strictly, and reduced to what must be equal across formats.

Takes wire data of one format; gives `Facts`. Strict means that every required member is there, every literal is known,
and members that the SDK does not know are on the list of those that we add on purpose.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import anthropic.types.beta as claude
import openai.types.chat as chat
import openai.types.responses as responses
from google.genai import types as google
from pydantic import BaseModel, TypeAdapter


@dataclass(slots=True)
class Facts:
    """What an answer says, whatever format says it."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    finish: str = ""
    usage: tuple[int, int] = (0, 0)


# Members that the SDKs do not know: those that our formats add for clients that return what they got (signatures,
# thinking where there is no word for it), and those that the vendor's own service sends as well.
ADDED = {
    "openai.chat": {"reasoning_content", "reasoning_details", "extra_content", "annotations"},
    "openai.responses": {"signature", "store"},
    "anthropic.messages": {"cache_creation"},
    "gemini.generateContent": set(),
}

CLASSES = {
    "stop": "stop",
    "stop_sequence": "stop",
    "pause": "stop",
    "length": "length",
    "context": "length",
    "tool_calls": "calls",
    "content_filter": "filter",
    "refusal": "filter",
}


def of_hub(message: dict[str, Any], target: str) -> Facts:
    """The facts of a hub message, as the target can tell them: freeform calls are functions of one text elsewhere."""
    parts = message["parts"]
    freeform = target in ("openai.chat", "openai.responses")
    usage = message.get("usage") or {}
    return Facts(
        "".join(part.get("text") or "" for part in parts if part["type"] == "text"),
        [_told(part, freeform) for part in parts if part["type"] == "tool_call"],
        CLASSES.get(message["finish"]["reason"], "any"),
        (usage.get("input_total", 0), usage.get("output_total", 0)),
    )


def _told(part: dict[str, Any], freeform: bool) -> tuple[str, Any]:
    if part.get("custom") and not freeform:
        return part["name"], {"input": part.get("arguments") or ""}
    return _call(part["name"], part.get("arguments"), custom=part.get("custom"))


def _call(name: str, arguments: str | None, *, custom: Any = False) -> tuple[str, Any]:
    if custom:
        return name, arguments or ""
    try:
        return name, json.loads(arguments or "{}")
    except ValueError:
        return name, arguments


_known: ContextVar[frozenset[str]] = ContextVar("_known", default=frozenset())


def read(name: str, body: Any, *, streamed: bool, known: frozenset[str] = frozenset()) -> Facts:
    """An answer of a format, whole or as the list of its events' data; ``known``: what the vendor itself sent."""
    token = _known.set(known)
    try:
        return (_READ_STREAM if streamed else _READ)[name](body)
    finally:
        _known.reset(token)


def members(data: Any) -> Iterator[str]:
    """The names of all members, at any depth."""
    if isinstance(data, dict):
        yield from data
    for inner in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from members(inner)


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def parsed(name: str, kind: Any, data: Any) -> Any:
    """The SDK's object; unknown members that aren't ours are an error."""
    found = _adapter(kind).validate_python(data)
    expected = ADDED[name] | _known.get()
    strange = {path for path in _extras(found) if path.rsplit(".", 1)[-1] not in expected}
    assert not strange, f"{name}: the SDK does not know {sorted(strange)}"
    return found


def _extras(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, BaseModel):
        for key in value.model_extra or ():
            yield f"{path}.{key}"
        for key in type(value).model_fields:
            yield from _extras(getattr(value, key), f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _extras(item, path)


# --- OpenAI chat -----------------------------------------------------------------------------------


def _chat_finish(word: str | None) -> str:
    return {"stop": "stop", "length": "length", "tool_calls": "calls", "content_filter": "filter"}.get(
        word or "", "any"
    )


# Chat has no pictures in answers; they stand in the text, as Markdown.
_PICTURE = re.compile(r"!\[[^\]]*\]\(data:[^)]*\)")


def _read_chat(body: Any) -> Facts:
    found = parsed("openai.chat", chat.ChatCompletion, body)
    choice = found.choices[0]
    facts = Facts(_PICTURE.sub("", choice.message.content or ""), finish=_chat_finish(choice.finish_reason))
    for call in choice.message.tool_calls or ():
        custom = call.type == "custom"
        facts.calls.append(
            _call(call.custom.name, call.custom.input, custom=True)
            if custom
            else _call(call.function.name, call.function.arguments)
        )
    if found.usage:
        facts.usage = found.usage.prompt_tokens, found.usage.completion_tokens
    return facts


def _read_chat_stream(events: list[Any]) -> Facts:
    facts = Facts()
    calls: dict[int, list[Any]] = {}
    for data in events:
        if data == "[DONE]":
            continue
        chunk = parsed("openai.chat", chat.ChatCompletionChunk, data)
        if chunk.usage:
            facts.usage = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
        for choice in chunk.choices:
            facts.text += choice.delta.content or ""
            facts.finish = _chat_finish(choice.finish_reason) if choice.finish_reason else facts.finish
            for piece in choice.delta.tool_calls or ():
                assert piece.index in calls or piece.index == len(calls), "call indices have a gap"
                _gather(calls.setdefault(piece.index, ["", "", False]), piece)
    facts.text = _PICTURE.sub("", facts.text)
    facts.calls = [_call(name, arguments, custom=custom) for name, arguments, custom in calls.values()]
    return facts


def _gather(call: list[Any], piece: Any) -> None:
    custom = (piece.model_extra or {}).get("custom")
    if custom:
        call[0] += custom.get("name") or ""
        call[1] += custom.get("input") or ""
        call[2] = True
    if piece.function:
        call[0] += piece.function.name or ""
        call[1] += piece.function.arguments or ""


# --- OpenAI Responses ------------------------------------------------------------------------------


def _read_response(body: Any) -> Facts:
    return _response_facts(parsed("openai.responses", responses.Response, body))


def _response_facts(found: Any) -> Facts:
    facts = Facts(usage=(found.usage.input_tokens, found.usage.output_tokens) if found.usage else (0, 0))
    for item in found.output:
        if item.type == "message":
            facts.text += "".join(part.text for part in item.content if part.type == "output_text")
        elif item.type == "function_call":
            name = f"{item.namespace}__{item.name}" if item.namespace else item.name
            facts.calls.append(_call(name, item.arguments))
        elif item.type == "custom_tool_call":
            facts.calls.append(_call(item.name, item.input, custom=True))
    if found.status == "completed":
        facts.finish = "calls" if facts.calls else "stop"
    elif found.status == "incomplete":
        facts.finish = {"max_output_tokens": "length", "content_filter": "filter"}.get(
            found.incomplete_details.reason, "any"
        )
    else:
        facts.finish = "any"
    return facts


def _read_response_stream(events: list[Any]) -> Facts:
    told = ""
    added: list[str] = []
    last: Any = None
    for number, data in enumerate(events):
        event = parsed("openai.responses", responses.ResponseStreamEvent, {"sequence_number": number, **data})
        if event.type == "response.output_text.delta":
            told += event.delta
        elif event.type == "response.output_item.added":
            assert event.output_index == len(added), "items are not numbered in order"
            added.append(event.item.type)
        last = event
    assert last is not None, "an empty stream"
    assert last.type in ("response.completed", "response.incomplete"), f"ends with {last.type}"
    facts = _response_facts(last.response)
    assert told == facts.text, "the deltas and the whole response differ"
    assert added == [item.type for item in last.response.output], "items opened and items told at the end differ"
    return facts


# --- Anthropic Messages ----------------------------------------------------------------------------


def _claude_finish(word: str | None) -> str:
    words = {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "pause_turn": "stop",
        "max_tokens": "length",
        "tool_use": "calls",
        "refusal": "filter",
    }
    return words.get(word or "", "length" if word == "model_context_window_exceeded" else "any")


def _claude_usage(usage: Any) -> tuple[int, int]:
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return (usage.input_tokens or 0) + cached, usage.output_tokens


def _read_claude(body: Any) -> Facts:
    found = parsed("anthropic.messages", claude.BetaMessage, body)
    return Facts(
        "".join(block.text for block in found.content if block.type == "text"),
        [(block.name, block.input) for block in found.content if block.type == "tool_use"],
        _claude_finish(found.stop_reason),
        _claude_usage(found.usage),
    )


def _read_claude_stream(events: list[Any]) -> Facts:
    facts = Facts()
    blocks: list[Any] = []
    for data in events:
        event = parsed("anthropic.messages", claude.BetaRawMessageStreamEvent, data)
        if event.type == "content_block_start":
            assert event.index == len(blocks), "blocks are not numbered in order"
            blocks.append([event.content_block, ""])
        elif event.type == "content_block_delta":
            delta = event.delta
            blocks[event.index][1] += getattr(delta, "text", None) or getattr(delta, "partial_json", None) or ""
        elif event.type == "message_delta":
            facts.finish = _claude_finish(event.delta.stop_reason)
            facts.usage = _claude_usage(event.usage)
    facts.text = "".join(block.text + text for block, text in blocks if block.type == "text")
    facts.calls = [(block.name, json.loads(text or "{}")) for block, text in blocks if block.type == "tool_use"]
    return facts


# --- Google Gemini ---------------------------------------------------------------------------------


def _google_finish(word: Any) -> str:
    words = {
        "STOP": "stop",
        "MAX_TOKENS": "length",
        "SAFETY": "filter",
        "PROHIBITED_CONTENT": "filter",
        "BLOCKLIST": "filter",
    }
    return words.get(getattr(word, "value", word) or "", "any")


def _read_google(body: Any) -> Facts:
    return _read_google_stream([body])


def _read_google_stream(events: list[Any]) -> Facts:
    facts = Facts()
    for data in events:
        chunk = parsed("gemini.generateContent", google.GenerateContentResponse, data)
        for candidate in (chunk.candidates or ())[:1]:
            for part in (candidate.content.parts if candidate.content else None) or ():
                if part.text is not None and not part.thought:
                    facts.text += part.text
                if part.function_call:
                    facts.calls.append((part.function_call.name, part.function_call.args or {}))
            facts.finish = _google_finish(candidate.finish_reason) if candidate.finish_reason else facts.finish
        if chunk.prompt_feedback and chunk.prompt_feedback.block_reason:
            facts.finish = "filter"
        usage = chunk.usage_metadata
        if usage:
            asked = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
            facts.usage = asked, (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    if facts.finish == "stop" and facts.calls:
        facts.finish = "calls"
    return facts


_READ: dict[str, Callable[[Any], Facts]] = {
    "openai.chat": _read_chat,
    "openai.responses": _read_response,
    "anthropic.messages": _read_claude,
    "gemini.generateContent": _read_google,
}
_READ_STREAM: dict[str, Callable[[list[Any]], Facts]] = {
    "openai.chat": _read_chat_stream,
    "openai.responses": _read_response_stream,
    "anthropic.messages": _read_claude_stream,
    "gemini.generateContent": _read_google_stream,
}
