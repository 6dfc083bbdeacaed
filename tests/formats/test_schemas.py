"""Schemas that a Gemini client writes in its own dialect reach every provider in JSON Schema's words."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.compiler.translation import WireMessage, translate
from tests.formats import recorded
from tests.formats.test_carried import FORMATS, GEMINI, PROVIDERS

DIALECT = {
    "type": "OBJECT",
    "required": ["places"],
    "properties": {
        "places": {
            "type": "ARRAY",
            "minItems": "2",
            "items": {
                "type": "OBJECT",
                "properties": {
                    "kind": {"type": "STRING", "format": "enum", "enum": ["CITY", "SEA"], "nullable": True},
                    "heights": {"anyOf": [{"type": "INTEGER"}, {"type": "NUMBER", "maximum": "9.5"}]},
                },
            },
        },
    },
}
SPOKEN = {
    "type": "object",
    "required": ["places"],
    "properties": {
        "places": {
            "type": "array",
            "minItems": 2,
            "items": {
                "type": "object",
                "properties": {
                    "kind": {"type": ["string", "null"], "enum": ["CITY", "SEA", None]},
                    "heights": {"anyOf": [{"type": "integer"}, {"type": "number", "maximum": 9.5}]},
                },
            },
        },
    },
}
TARGETS = (*PROVIDERS, "mistral.chat", "deepseek.chat", "openrouter.chat")


def found(value: Any, key: str) -> list[Any]:
    """Every map below a value that has a key."""
    if isinstance(value, list):
        return [one for item in value for one in found(item, key)]
    if isinstance(value, dict):
        own = [value] if key in value else []
        return own + [one for item in value.values() for one in found(item, key)]
    return found(orjson.loads(value), key) if isinstance(value, str) and value[:1] == "{" else []


def sent(target: str, **body: Any) -> Any:
    wire = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], **body}
    message = WireMessage(wire, path={"model": "m"}, ctx={"model": "m"})
    return translate(recorded.program(), GEMINI, target, "request", message).result


@pytest.mark.parametrize("member", ["parameters", "parametersJsonSchema"])
@pytest.mark.parametrize("target", TARGETS)
def test_schema_of_a_tool_is_said_in_the_words_of_the_target(target: str, member: str) -> None:
    tool = {"name": "look", "description": "Looks.", member: DIALECT}
    body = sent(target, tools=[{"functionDeclarations": [tool]}])
    assert [one for one in found(body, "required") if "places" in one["required"]] == [SPOKEN]


CLOSED = {
    "type": "object",
    "required": ["places"],
    "additionalProperties": False,
    "properties": {
        "places": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "kind": {"type": ["string", "null"], "enum": ["CITY", "SEA", None]},
                    "heights": {"anyOf": [{"type": "integer"}, {"type": "number"}]},
                },
            },
        },
    },
}
"""As it is said to who takes closed objects only, and no bounds."""


@pytest.mark.parametrize("member", ["responseSchema", "responseJsonSchema"])
@pytest.mark.parametrize("target", [name for name in TARGETS if name != "deepseek.chat"])
def test_schema_of_the_answer_is_said_in_the_words_of_the_target(target: str, member: str) -> None:
    body = sent(target, generationConfig={"responseMimeType": "application/json", member: DIALECT})
    expected = CLOSED if target == "anthropic.messages" else SPOKEN
    assert [one for one in found(body, "required") if one["required"] == ["places"]] == [expected]


def test_schema_of_the_answer_is_told_in_words_where_it_can_only_be_json() -> None:
    body = sent("deepseek.chat", generationConfig={"responseMimeType": "application/json", "responseSchema": DIALECT})
    assert body["response_format"] == {"type": "json_object"}
    assert orjson.dumps(SPOKEN["properties"]["places"]["items"]["properties"]["kind"]).decode() in str(body["messages"])


@pytest.mark.parametrize("target", [name for name in FORMATS if name != GEMINI])
def test_no_word_of_the_dialect_is_left(target: str) -> None:
    tool = {"name": "look", "parameters": DIALECT}
    text = orjson.dumps(sent(target, tools=[{"functionDeclarations": [tool]}])).decode()
    for word in ("STRING", "OBJECT", "ARRAY", "INTEGER", "nullable", '"format"', '"2"'):
        assert word not in text
