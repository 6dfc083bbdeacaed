"""What can't be carried on is refused by its path in the caller's own body, in the caller's own spelling."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import Refusal
from tests.formats.test_carried import CHAT, CLAUDE, GEMINI, RESPONSES, convey

BAD = "data:image/png;base64,!!!"
SAYS = {"role": "user", "content": "hi"}
ASKS = {"parts": [{"text": "hi"}]}
WRONG = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "string", "enum": 5}}}
MEDIA = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "!!!"}}


def chat(*turns: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(turns), **more}


def claude(*turns: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": list(turns), **more}


def gemini(*turns: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"contents": list(turns), **more}


def responses(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "input": list(items), **more}


def calls(*names: str) -> dict[str, Any]:
    made = [{"id": f"c_{name}", "type": "function", "function": {"name": name, "arguments": "{}"}} for name in names]
    return {"role": "assistant", "content": None, "tool_calls": made}


def nested(depth: int) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": "x"}
    for _ in range(depth):
        block = {"type": "tool_result", "tool_use_id": "t1", "content": [block]}
    return block


CASES: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "base64 of a data URL in chat": (
        CHAT,
        CLAUDE,
        chat(
            {"role": "system", "content": "be"},
            SAYS,
            {
                "role": "user",
                "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": BAD}}],
            },
        ),
        "messages[2].content[1].image_url.url",
    ),
    "base64 in Claude": (
        CLAUDE,
        CHAT,
        claude({"role": "assistant", "content": "hm"}, {"role": "user", "content": [MEDIA]}, system="be"),
        "messages[1].content[0].source.data",
    ),
    "base64 behind thinking that is dropped": (
        CHAT,
        CLAUDE,
        chat(
            {"role": "assistant", "content": "so", "reasoning_content": "hm"},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": BAD}}]},
        ),
        "messages[1].content[0].image_url.url",
    ),
    "base64 in a result in Claude": (
        CLAUDE,
        CHAT,
        claude(
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "see", "input": {}}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "well?"},
                    {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "here"}, MEDIA]},
                ],
            },
        ),
        "messages[1].content[1].content[1].source.data",
    ),
    "base64 in Gemini": (
        GEMINI,
        CHAT,
        gemini(ASKS, {"parts": [{"inlineData": {"mimeType": "image/png", "data": "!!!"}}]}),
        "contents[1].parts[0].inlineData.data",
    ),
    "base64 in Gemini, spelled the other way": (
        GEMINI,
        CHAT,
        gemini(
            {"parts": [{"text": "hi"}, {"inline_data": {"mime_type": "image/png", "data": "!!!"}}]},
            system_instruction={"parts": [{"text": "be"}]},
        ),
        "contents[0].parts[1].inline_data.data",
    ),
    "base64 of a data URL in Responses": (
        RESPONSES,
        CHAT,
        responses(SAYS, {"role": "user", "content": [{"type": "input_image", "image_url": BAD}]}),
        "input[1].content[0].image_url",
    ),
    "result without a call in chat": (
        CHAT,
        CLAUDE,
        chat(SAYS, {"role": "tool", "tool_call_id": "c_1", "content": "sunny"}),
        "messages[1]",
    ),
    "result without a call in Claude, which is moved to the front": (
        CLAUDE,
        CHAT,
        claude(
            SAYS,
            {"role": "user", "content": [{"type": "text", "text": "so"}, nested(1)]},
        ),
        "messages[1].content[1]",
    ),
    "result without a call in Gemini": (
        GEMINI,
        CLAUDE,
        gemini(ASKS, {"parts": [{"functionResponse": {"name": "weather", "response": {}}}]}),
        "contents[1].parts[0].functionResponse",
    ),
    "result without a call in Responses": (
        RESPONSES,
        CLAUDE,
        responses(SAYS, {"type": "function_call_output", "call_id": "c_1", "output": "sunny"}, instructions="be"),
        "input[1]",
    ),
    "call without a result": (CHAT, CLAUDE, chat(SAYS, calls("see", "hear")), "messages[1].tool_calls[0]"),
    "medium that the target lacks": (
        CHAT,
        CLAUDE,
        chat({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}]}),
        "messages[0].content[0]",
    ),
    "file id of another vendor": (
        RESPONSES,
        GEMINI,
        responses({"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}),
        "input[0].content[0].file_id",
    ),
    "schema in chat": (
        CHAT,
        GEMINI,
        chat(SAYS, tools=[{"type": "function", "function": {"name": "see", "parameters": WRONG}}]),
        "tools[0].function.parameters.properties.a.enum",
    ),
    "schema in Claude": (
        CLAUDE,
        CHAT,
        claude(SAYS, tools=[{"name": "see", "input_schema": WRONG}]),
        "tools[0].input_schema.properties.a.enum",
    ),
    "schema in Gemini, which is rewritten": (
        GEMINI,
        CHAT,
        gemini(ASKS, tools=[{"function_declarations": [{"name": "see"}, {"name": "hear", "parameters": WRONG}]}]),
        "tools[0].function_declarations[1].parameters.properties.a.enum",
    ),
    "schema in Responses": (
        RESPONSES,
        CLAUDE,
        responses(SAYS, tools=[{"type": "function", "name": "see", "parameters": WRONG}]),
        "tools[0].parameters.properties.a.enum",
    ),
    "choice of no tool in Gemini": (
        GEMINI,
        CLAUDE,
        gemini(
            ASKS,
            tools=[{"functionDeclarations": [{"name": "see"}]}],
            toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["hear"]}},
        ),
        "toolConfig.functionCallingConfig.allowedFunctionNames",
    ),
    "number that is none in Gemini": (
        GEMINI,
        CHAT,
        gemini(ASKS, generationConfig={"seed": 1e30}),
        "generationConfig.seed",
    ),
    "too many stops in Gemini": (
        GEMINI,
        CHAT,
        gemini(ASKS, generation_config={"stop_sequences": list("12345")}),
        "generation_config.stop_sequences",
    ),
    "nothing said": (GEMINI, CHAT, gemini({"parts": [{"text": ""}]}), "contents[0].parts[0]"),
    "results within results": (
        CLAUDE,
        CHAT,
        claude({"role": "user", "content": [nested(12)]}),
        "messages[0]" + ".content[0]" * 9,
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_refusal_names_the_place_in_the_callers_body(what: str) -> None:
    source, target, body, path = CASES[what]
    with pytest.raises(Refusal) as told:
        convey(source, target, body)
    assert told.value.param == path
    assert str(told.value).startswith(f"{path}: ")


@pytest.mark.parametrize("field", ["images", "annotations"])
@pytest.mark.parametrize("value", [7, "no list"])
def test_data_that_a_mapping_can_not_use_is_named_by_its_place(field: str, value: Any) -> None:
    """The words of an expression mean nothing to a caller; what it read does."""
    with pytest.raises(Refusal) as told:
        convey(CHAT, CLAUDE, chat(SAYS, {"role": "assistant", "content": "so", field: value}, SAYS))
    assert told.value.param == f"messages[1].{field}"
