"""What a pair of formats carries in a request, or tells as lost: nothing vanishes in silence."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.compiler.translation import Message, Translation, translate
from tests.formats import recorded

CHAT, CLAUDE, GEMINI, RESPONSES = FORMATS = (
    "openai.chat",
    "anthropic.messages",
    "gemini.generateContent",
    "openai.responses",
)
PROVIDERS = (*FORMATS, "ollama.chat", "cohere.chat", "bedrock.converse")


def convey(source: str, target: str, body: dict[str, Any], model: str = "m") -> Translation:
    message = Message(body, path={"model": model}, ctx={"model": model})
    return translate(recorded.program(), source, target, "request", message)


def hub_of(done: Translation) -> dict[str, Any]:
    hub: dict[str, Any] = dict(done.steps)["hub request"]
    return hub


def test_failed_call_is_known_to_have_failed_by_every_provider() -> None:
    claude = {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "read it"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no such file", "is_error": True}
                ],
            },
        ],
    }
    said = {
        CHAT: '"content":"Error: no such file"',
        CLAUDE: '"is_error":true',
        GEMINI: '{"error":"no such file"}',
        RESPONSES: '"output":"Error: no such file"',
        "ollama.chat": '"content":"Error: no such file"',
        "cohere.chat": '"content":"Error: no such file"',
        "bedrock.converse": '"status":"error"',
    }
    for target in PROVIDERS:
        done = convey(CLAUDE, target, claude)
        assert said[target] in orjson.dumps(done.result).decode(), target
        told = [why for _, why in done.report if "failed" in why]
        assert bool(told) == ("Error: " in said[target]), (target, done.report)


@pytest.mark.parametrize("target", [CHAT, RESPONSES])
def test_failed_call_without_words_or_with_a_picture_has_failed_all_the_same(target: str) -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}
    for content in ([], [picture]):
        result = {"type": "tool_result", "tool_use_id": "t", "content": content, "is_error": True}
        call = {"type": "tool_use", "id": "t", "name": "read", "input": {}}
        turns = [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        done = convey(CLAUDE, target, {"model": "m", "max_tokens": 9, "messages": turns})
        assert '"Error: "' in orjson.dumps(done.result).decode()


@pytest.mark.parametrize("value", [{"error": "gone", "code": 5}, {"error": {"code": 5}}])
def test_failure_told_by_gemini_comes_back_to_it(value: dict[str, Any]) -> None:
    turns = [
        {"role": "model", "parts": [{"functionCall": {"name": "read", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "read", "response": value}}]},
    ]
    done = convey(GEMINI, GEMINI, {"contents": turns})
    assert hub_of(done)["messages"][1]["parts"][0]["error"] is True
    assert done.result["contents"][-1]["parts"][0]["functionResponse"]["response"] == value
    claude = convey(GEMINI, CLAUDE, {"contents": turns}).result["messages"][-1]["content"][0]
    assert claude["is_error"] is True


def test_gateways_own_word_for_a_missing_result_is_told_as_a_failure() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    turns = [{"role": "assistant", "content": None, "tool_calls": calls}, {"role": "user", "content": "go on"}]
    done = convey(CHAT, "cohere.chat", {"model": "m", "messages": turns})
    assert "Error: no result was given for this call" in orjson.dumps(done.result).decode()
