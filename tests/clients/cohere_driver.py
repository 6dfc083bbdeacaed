"""Cohere's chat, version 2, as its clients speak it: requests and events of docs.cohere.com/reference/chat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import requests

from tests.clients.drivers import PICTURE, PLACE, TOOLS, Turn
from tests.support import PATIENCE

FINISH = {"COMPLETE": "stop", "TOOL_CALL": "tools", "MAX_TOKENS": "length"}


class CohereError(Exception):
    """A call that was refused, or a stream that ended wrongly."""

    def __init__(self, response: requests.Response, message: str) -> None:
        super().__init__(message)
        self.response, self.status_code = response, response.status_code


class Cohere:
    """A client that is strict about the order of events, as the reference has it."""

    name = "cohere"
    error = stream_error = CohereError

    def __init__(self, base: str, key: str) -> None:
        self.client = requests.Session()
        self.client.headers["authorization"] = f"Bearer {key}"
        self.url = f"{base}/v2/chat"
        self.turns: list[Any] = []

    def say(self, text: str, picture: bool = False) -> None:
        content: Any = text
        if picture:
            url = {"url": f"data:image/png;base64,{PICTURE}"}
            content = [{"type": "text", "text": text}, {"type": "image_url", "image_url": url}]
        self.turns.append({"role": "user", "content": content})

    def results(self, found: list[tuple[str, str, str]]) -> None:
        for call_id, _, text in found:
            content = [{"type": "document", "document": {"data": text}}] if not self.turns else text
            self.turns.append({"role": "tool", "tool_call_id": call_id, "content": content})

    def ask(
        self, model: str, *, stream: bool = False, tools: bool = False, thinking: bool = False, limit: int | None = None
    ) -> Turn:
        asked: dict[str, Any] = {"model": model, "messages": self.turns, "stream": stream}
        if tools:
            asked["tools"] = [
                {"type": "function", "function": {"name": name, "description": text, "parameters": PLACE}}
                for name, text in TOOLS.items()
            ]
        if thinking:
            asked["thinking"] = {"type": "enabled", "token_budget": 2048}
        if limit:
            asked["max_tokens"] = limit
        answer = self.client.post(self.url, json=asked, stream=stream, timeout=PATIENCE)
        if answer.status_code != 200:
            told = answer.json()
            assert set(told) == {"id", "message"}, told
            raise CohereError(answer, told["message"])
        pieces = 0
        if stream:
            with answer:
                message, reason, usage, pieces = _read(answer)
        else:
            whole = answer.json()
            assert set(whole) == {"id", "message", "finish_reason", "usage"}, set(whole)
            message, reason, usage = whole["message"], whole["finish_reason"], whole["usage"]
        assert message["role"] == "assistant"
        self.turns.append({name: value for name, value in message.items() if value and name != "citations"})
        content = message.get("content") or []
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        calls = message.get("tool_calls") or []
        units = usage["billed_units"]
        return Turn(
            text="".join(one["text"] for one in content if one["type"] == "text"),
            thinking="".join(one["thinking"] for one in content if one["type"] == "thinking")
            or message.get("tool_plan")
            or "",
            calls=[(one["id"], one["function"]["name"], json.loads(one["function"]["arguments"])) for one in calls],
            finish=FINISH.get(reason, reason),
            used=(units["input_tokens"], units["output_tokens"]),
            model=model,  # an answer names none
            pieces=pieces,
        )


def _events(answer: requests.Response) -> Iterator[dict[str, Any]]:
    try:
        for line in answer.iter_lines():
            if line.startswith(b"data: "):
                yield json.loads(line[6:])
    except requests.RequestException as ex:
        raise CohereError(answer, str(ex)) from None


def _read(answer: requests.Response) -> tuple[dict[str, Any], str, dict[str, Any], int]:
    """Message, reason, usage and pieces of text of a stream; every index is one that was opened, and closed once."""
    message: dict[str, Any] = {}
    opened: dict[tuple[str, int], bool] = {}
    pieces = 0
    for event in _events(answer):
        kind, delta = event["type"], event.get("delta") or {}
        told, row = delta.get("message") or {}, kind.partition("-")[0]
        if kind == "message-start":
            message = {**told, "content": [], "tool_calls": []}
        elif kind == "message-end":
            if delta.get("error"):
                raise CohereError(answer, delta["error"])
            assert not any(opened.values()), "something was left open"
            return message, delta["finish_reason"], delta["usage"], pieces
        elif kind == "tool-plan-delta":
            message["tool_plan"] += told["tool_plan"]
        elif kind in ("content-start", "tool-call-start"):
            rows = message["content" if row == "content" else "tool_calls"]
            assert event["index"] == len(rows), event
            rows.append(told["content" if row == "content" else "tool_calls"])
            opened[row, event["index"]] = True
        elif kind == "content-delta":
            assert opened[row, event["index"]]
            ((name, text),) = told["content"].items()
            message["content"][event["index"]][name] += text
            pieces += name == "text"
        elif kind == "tool-call-delta":
            assert opened[row, event["index"]]
            message["tool_calls"][event["index"]]["function"]["arguments"] += told["tool_calls"]["function"][
                "arguments"
            ]
        elif kind in ("content-end", "tool-call-end"):
            assert opened[row, event["index"]]
            opened[row, event["index"]] = False
        else:
            assert kind in ("citation-start", "citation-end"), kind
    raise CohereError(answer, "the stream ended without message-end")
