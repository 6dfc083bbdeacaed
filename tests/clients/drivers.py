"""One way to hold a conversation through each official SDK, so that the same test runs over every pair of formats.

A driver keeps the conversation in its own SDK's shapes: what the answer held goes back as the SDK gave it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import types

PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 24).decode()
PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
TOOLS = {"get_weather": "The weather of a city", "get_time": "The time of a city"}


@dataclass
class Turn:
    """What an answer said, whatever the SDK. ``finish``: stop, tools or length."""

    text: str = ""
    thinking: str = ""
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    finish: str = ""
    used: tuple[int, int] = (0, 0)
    model: str = ""
    pieces: int = 0


class Chat:
    """openai, chat.completions."""

    name = "chat"
    error = openai.APIStatusError
    stream_error = openai.APIError

    def __init__(self, base: str, key: str) -> None:
        self.client = openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0)
        self.turns: list[Any] = []

    def say(self, text: str, picture: bool = False) -> None:
        content: Any = text
        if picture:
            url = {"url": f"data:image/png;base64,{PICTURE}"}
            content = [{"type": "text", "text": text}, {"type": "image_url", "image_url": url}]
        self.turns.append({"role": "user", "content": content})

    def results(self, found: list[tuple[str, str, str]]) -> None:
        self.turns += [{"role": "tool", "tool_call_id": call_id, "content": text} for call_id, _, text in found]

    def ask(self, model: str, *, stream=False, tools=False, thinking=False, limit: int | None = None) -> Turn:
        asked: dict[str, Any] = {"model": model, "messages": self.turns}
        if tools:
            asked["tools"] = [
                {"type": "function", "function": {"name": n, "description": d, "parameters": PLACE}}
                for n, d in TOOLS.items()
            ]
        if thinking:
            asked |= {"reasoning_effort": "low"}
        if limit:
            asked["max_completion_tokens"] = limit
        pieces = 0
        if stream:
            with self.client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as events:
                for event in events:
                    pieces += event.type == "content.delta"
                try:
                    made = events.get_final_completion()
                except openai.LengthFinishReasonError as ex:
                    made = ex.completion
        else:
            made = self.client.chat.completions.create(**asked)
        choice = made.choices[0]
        message = choice.message
        kept = message.model_dump(exclude_none=True, exclude={"parsed", "audio", "annotations"})
        for call in kept.get("tool_calls", []):
            call["function"].pop("parsed_arguments", None)
            call.pop("index", None)
        self.turns.append(kept)
        return Turn(
            text=message.content or "",
            thinking=getattr(message, "reasoning_content", None) or "",
            calls=[(c.id, c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or []],
            finish={"stop": "stop", "tool_calls": "tools", "length": "length"}.get(
                choice.finish_reason, choice.finish_reason
            ),
            used=(made.usage.prompt_tokens, made.usage.completion_tokens),
            model=made.model,
            pieces=pieces,
        )


class Responses:
    """openai, responses, with nothing stored."""

    name = "responses"
    error = openai.APIStatusError
    stream_error = (openai.APIError, RuntimeError)

    def __init__(self, base: str, key: str) -> None:
        self.client = openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0)
        self.turns: list[Any] = []

    def say(self, text: str, picture: bool = False) -> None:
        content: Any = [{"type": "input_text", "text": text}]
        if picture:
            content.append({"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}", "detail": "auto"})
        self.turns.append({"role": "user", "content": content})

    def results(self, found: list[tuple[str, str, str]]) -> None:
        self.turns += [
            {"type": "function_call_output", "call_id": call_id, "output": text} for call_id, _, text in found
        ]

    def ask(self, model: str, *, stream=False, tools=False, thinking=False, limit: int | None = None) -> Turn:
        asked: dict[str, Any] = {"model": model, "input": self.turns, "store": False}
        if tools:
            asked["tools"] = [
                {"type": "function", "name": n, "description": d, "parameters": PLACE, "strict": False}
                for n, d in TOOLS.items()
            ]
        if thinking:
            asked |= {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
        if limit:
            asked["max_output_tokens"] = limit
        pieces = 0
        if stream:
            final = None
            numbers = []
            for event in self.client.responses.create(**asked, stream=True):
                numbers.append(event.sequence_number)
                pieces += event.type == "response.output_text.delta"
                if event.type in ("response.completed", "response.incomplete"):
                    final = event.response
                if event.type == "response.failed":
                    raise RuntimeError(event.response.error.message)
            assert numbers == sorted(set(numbers))
            made = final
            assert made is not None
        else:
            made = self.client.responses.create(**asked)
        self.turns += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in made.output]
        calls = [(i.call_id, i.name, json.loads(i.arguments)) for i in made.output if i.type == "function_call"]
        thoughts = [
            part.text
            for item in made.output
            if item.type == "reasoning"
            for part in [*item.summary, *(item.content or [])]
        ]
        finish = "tools" if calls else "stop" if made.status == "completed" else "length"
        return Turn(
            made.output_text,
            "".join(thoughts),
            calls,
            finish,
            (made.usage.input_tokens, made.usage.output_tokens),
            made.model,
            pieces,
        )


class Claude:
    """anthropic, messages."""

    name = "claude"
    error = anthropic.APIStatusError
    stream_error = anthropic.APIError

    def __init__(self, base: str, key: str) -> None:
        self.client = anthropic.Anthropic(base_url=base, api_key=key, max_retries=0)
        self.turns: list[Any] = []

    def say(self, text: str, picture: bool = False) -> None:
        content: Any = text
        if picture:
            source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
            content = [{"type": "image", "source": source}, {"type": "text", "text": text}]
        self.turns.append({"role": "user", "content": content})

    def results(self, found: list[tuple[str, str, str]]) -> None:
        blocks = [{"type": "tool_result", "tool_use_id": call_id, "content": text} for call_id, _, text in found]
        self.turns.append({"role": "user", "content": blocks})

    def ask(self, model: str, *, stream=False, tools=False, thinking=False, limit: int | None = None) -> Turn:
        asked: dict[str, Any] = {"model": model, "messages": self.turns, "max_tokens": limit or 4000}
        if tools:
            asked["tools"] = [{"name": n, "description": d, "input_schema": PLACE} for n, d in TOOLS.items()]
        if thinking:
            asked["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        pieces = 0
        if stream:
            with self.client.messages.stream(**asked) as events:
                for event in events:
                    pieces += event.type == "text"
                made = events.get_final_message()
        else:
            made = self.client.messages.create(**asked)
        dumped = made.model_dump(exclude_none=True, exclude={"content": {"__all__": {"parsed_output", "caller"}}})
        self.turns.append({"role": "assistant", "content": dumped["content"]})
        usage = made.usage
        return Turn(
            text="".join(b.text for b in made.content if b.type == "text"),
            thinking="".join(b.thinking for b in made.content if b.type == "thinking"),
            calls=[(b.id, b.name, b.input) for b in made.content if b.type == "tool_use"],
            finish={"end_turn": "stop", "tool_use": "tools", "max_tokens": "length"}.get(
                made.stop_reason, made.stop_reason
            ),
            used=(usage.input_tokens + (usage.cache_read_input_tokens or 0), usage.output_tokens),
            model=made.model,
            pieces=pieces,
        )


class Gemini:
    """google-genai, models.generate_content."""

    name = "gemini"
    error = genai.errors.APIError
    stream_error = genai.errors.APIError

    def __init__(self, base: str, key: str) -> None:
        self.client = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=base))
        self.turns: list[Any] = []

    def say(self, text: str, picture: bool = False) -> None:
        parts = [types.Part.from_text(text=text)]
        if picture:
            parts.append(types.Part.from_bytes(data=base64.b64decode(PICTURE), mime_type="image/png"))
        self.turns.append(types.Content(role="user", parts=parts))

    def results(self, found: list[tuple[str, str, str]]) -> None:
        parts = [
            types.Part(
                function_response=types.FunctionResponse(id=call_id or None, name=name, response={"result": text})
            )
            for call_id, name, text in found
        ]
        self.turns.append(types.Content(role="user", parts=parts))

    def ask(self, model: str, *, stream=False, tools=False, thinking=False, limit: int | None = None) -> Turn:
        config: dict[str, Any] = {}
        if tools:
            declared = [
                types.FunctionDeclaration(name=n, description=d, parameters_json_schema=PLACE) for n, d in TOOLS.items()
            ]
            config["tools"] = [types.Tool(function_declarations=declared)]
            config["automatic_function_calling"] = types.AutomaticFunctionCallingConfig(disable=True)
        if thinking:
            config["thinking_config"] = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
        if limit:
            config["max_output_tokens"] = limit
        asked: dict[str, Any] = {
            "model": model,
            "contents": self.turns,
            "config": types.GenerateContentConfig(**config),
        }
        parts: list[Any] = []
        pieces = 0
        if stream:
            made = None
            reason = None
            for made in self.client.models.generate_content_stream(**asked):
                content = made.candidates[0].content if made.candidates else None
                parts += (content.parts if content else None) or []
                pieces += bool(content and content.parts)
                if made.candidates and made.candidates[0].finish_reason:
                    reason = made.candidates[0].finish_reason
            assert made is not None
        else:
            made = self.client.models.generate_content(**asked)
            parts = made.candidates[0].content.parts or []
            reason = made.candidates[0].finish_reason
        self.turns.append(types.Content(role="model", parts=parts))
        calls = [
            (p.function_call.id or "", p.function_call.name, dict(p.function_call.args or {}))
            for p in parts
            if p.function_call
        ]
        usage = made.usage_metadata
        return Turn(
            text="".join(p.text for p in parts if p.text and not p.thought),
            thinking="".join(p.text for p in parts if p.text and p.thought),
            calls=calls,
            finish="tools" if calls else {"STOP": "stop", "MAX_TOKENS": "length"}.get(reason.name, reason.name),
            used=(usage.prompt_token_count, (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)),
            model=made.model_version,
            pieces=pieces,
        )


DRIVERS = {driver.name: driver for driver in (Chat, Responses, Claude, Gemini)}
