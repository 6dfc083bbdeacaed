"""The demo upstream, spoken to directly by the vendors' own SDKs: they must take it for the real thing."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as gemini_errors
from google.genai import types

from tests.support import PATIENCE, missing, until

ROOT = Path(__file__).parents[2]
PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 24).decode()
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
QUESTION = "What is the weather in Paris for 3 days?"


def start(*words: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "deploy" / "demo"), "--port", "0", "--pace", "0", *words],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().split()[-1]


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    process, address = start()
    yield address
    process.terminate()
    process.communicate(timeout=PATIENCE)


@pytest.fixture(scope="module")
def gpt(base: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{base}/v1", api_key="sk-any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def claude(base: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=base, api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def gemini(base: str) -> Iterator[genai.Client]:
    with genai.Client(api_key="any", http_options=types.HttpOptions(base_url=base)) as client:
        yield client


# --- chat completions ------------------------------------------------------------------------------------------------

CHAT_TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}


def chat(gpt: openai.OpenAI, text: Any, **more: Any) -> Any:
    return gpt.chat.completions.create(
        **{"model": "demo-openai", "messages": [{"role": "user", "content": text}], **more}
    )


def test_chat_text_and_usage(gpt: openai.OpenAI) -> None:
    made = chat(gpt, "Hello there")
    assert "Hello there" in made.choices[0].message.content
    assert made.choices[0].finish_reason == "stop"
    assert made.usage.total_tokens == made.usage.prompt_tokens + made.usage.completion_tokens
    assert made == chat(gpt, "Hello there")


def test_chat_stream_says_the_same(gpt: openai.OpenAI) -> None:
    chunks = list(chat(gpt, "Hello there", stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    whole = chat(gpt, "Hello there")
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert chunks[-2].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("stream", [False, True])
def test_chat_tool_there_and_back(gpt: openai.OpenAI, stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    if stream:
        with gpt.chat.completions.stream(model="demo-openai", messages=messages, tools=[CHAT_TOOL]) as events:
            message = events.get_final_completion().choices[0].message
    else:
        message = chat(gpt, QUESTION, tools=[CHAT_TOOL]).choices[0].message
    assert message.tool_calls
    call = message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "Paris", "days": 3}
    messages += [
        {
            "role": "assistant",
            "tool_calls": [c.model_dump(include={"id", "type", "function"}) for c in message.tool_calls],
        },
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    messages[1]["tool_calls"][0]["function"].pop("parsed_arguments", None)
    made = chat(gpt, "", messages=messages, tools=[CHAT_TOOL])
    assert made.choices[0].message.content == "The tool get_weather answered: sunny"


def test_chat_parallel_calls_unless_forbidden(gpt: openai.OpenAI) -> None:
    tools = [CHAT_TOOL, {"type": "function", "function": {"name": "get_time", "parameters": WEATHER}}]
    text = "!parallel weather in Paris, time in Rome"
    several = chat(gpt, text, tools=tools).choices[0].message.tool_calls
    assert [json.loads(c.function.arguments)["city"] for c in several] == ["Paris", "Rome"]
    assert len({c.id for c in several}) == 2
    assert len(chat(gpt, text, tools=tools, parallel_tool_calls=False).choices[0].message.tool_calls) == 1
    assert chat(gpt, text, tools=tools, tool_choice="none").choices[0].message.tool_calls is None


def test_chat_picture_schema_stop_and_length(gpt: openai.OpenAI) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}
    made = chat(gpt, [{"type": "text", "text": "look"}, picture])
    assert "I see 1 image" in made.choices[0].message.content
    schema = {"type": "json_schema", "json_schema": {"name": "w", "schema": WEATHER}}
    made = chat(gpt, QUESTION, response_format=schema)
    assert json.loads(made.choices[0].message.content) == {"city": "Paris", "days": 3}
    assert chat(gpt, "abc STOP def", stop="STOP").choices[0].message.content.endswith("abc ")
    assert chat(gpt, "!length 100", max_tokens=5).choices[0].finish_reason == "length"


def test_chat_thinking_counts(gpt: openai.OpenAI) -> None:
    made = chat(gpt, "hm", model="demo-openai-thinking", max_completion_tokens=4000)
    assert made.usage.completion_tokens_details.reasoning_tokens > 0
    assert chat(gpt, "hm").usage.completion_tokens_details.reasoning_tokens == 0


def test_openai_models(gpt: openai.OpenAI) -> None:
    assert "demo-responses" in [model.id for model in gpt.models.list()]


CHAT_REFUSALS: list[tuple[dict[str, Any], str, str | None]] = [
    ({"extra_body": {"foo": 1}}, "Unknown parameter: 'foo'", "unknown_parameter"),
    ({"messages": []}, "empty array", "empty_array"),
    ({"messages": [{"role": "user", "content": "x", "bar": 1}]}, "messages[0].bar", "unknown_parameter"),
    ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "c"}]}, "preceeding message", None),
    (
        {
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
                {"role": "user", "content": "x"},
            ]
        },
        "did not have response messages: c",
        None,
    ),
    ({"temperature": 3}, "above maximum value", "integer_above_max_value"),
    ({"stream_options": {"include_usage": True}}, "only allowed when 'stream'", None),
    ({"tool_choice": "required"}, "only allowed when 'tools'", None),
    ({"stop": list("abcde")}, "array too long", "array_above_max_length"),
    ({"model": "demo-openai-thinking", "max_tokens": 9}, "max_completion_tokens", "unsupported_parameter"),
    ({"response_format": {"type": "json_object"}}, "must contain the word 'json'", None),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "does not match pattern", "invalid_value"),
]


@pytest.mark.parametrize(("more", "message", "code"), CHAT_REFUSALS)
def test_chat_refuses_what_the_vendor_refuses(
    gpt: openai.OpenAI, more: dict[str, Any], message: str, code: str | None
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        chat(gpt, "x", **more)
    assert message in caught.value.message
    assert caught.value.code == code


def test_openai_errors_on_request(gpt: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as limited:
        chat(gpt, "!error 429")
    assert limited.value.response.headers["retry-after"] == "2"
    with pytest.raises(openai.InternalServerError):
        chat(gpt, "!error 503")
    with pytest.raises(openai.NotFoundError):
        chat(gpt, "x", model="gpt-99")
    with pytest.raises(openai.AuthenticationError):
        gpt.with_options(api_key="sk-bad").models.list()
    with pytest.raises(openai.APIError, match="The server had an error"):
        list(chat(gpt, "one two three four !fail", stream=True))


# --- Responses -------------------------------------------------------------------------------------------------------

RESPONSES_TOOL: Any = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}


def respond(gpt: openai.OpenAI, given: Any, **more: Any) -> Any:
    return gpt.responses.create(**{"model": "demo-responses", "input": given, **more})


def test_responses_text_and_stream(gpt: openai.OpenAI) -> None:
    whole = respond(gpt, "Hello there")
    assert "Hello there" in whole.output_text
    with gpt.responses.stream(model="demo-responses", input="Hello there") as events:
        kinds = [event.type for event in events]
        final = events.get_final_response()
    assert final.output_text == whole.output_text
    assert final.usage == whole.usage
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert "response.output_text.delta" in kinds


@pytest.mark.parametrize("stream", [False, True])
def test_responses_tool_there_and_back_with_thinking(gpt: openai.OpenAI, stream: bool) -> None:
    asked: dict[str, Any] = {
        "model": "demo-responses-thinking",
        "tools": [RESPONSES_TOOL],
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    items: list[Any] = [{"role": "user", "content": QUESTION}]
    if stream:
        with gpt.responses.stream(input=items, **asked) as events:
            first = events.get_final_response()
    else:
        first = gpt.responses.create(input=items, **asked)
    thought, call = first.output
    assert (thought.type, call.type) == ("reasoning", "function_call")
    assert thought.summary
    assert thought.encrypted_content
    assert json.loads(call.arguments) == {"city": "Paris", "days": 3}
    items += [item.model_dump(exclude={"parsed_arguments"}, exclude_none=True) for item in first.output]
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    second = gpt.responses.create(input=[*items, output], **asked)
    assert second.output_text == "The tool get_weather answered: sunny"
    items[1]["encrypted_content"] = "Zm9yZWlnbg=="
    with pytest.raises(openai.BadRequestError) as caught:
        gpt.responses.create(input=[*items, output], **asked)
    assert caught.value.code == "invalid_encrypted_content"


def test_responses_remember_the_previous_one(gpt: openai.OpenAI) -> None:
    first = respond(gpt, QUESTION, tools=[RESPONSES_TOOL])
    output = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": "rain"}
    second = respond(gpt, [output], tools=[RESPONSES_TOOL], previous_response_id=first.id)
    assert "rain" in second.output_text
    with pytest.raises(openai.BadRequestError, match="not found"):
        respond(gpt, "x", previous_response_id="resp_nothing")


def test_responses_picture_and_length(gpt: openai.OpenAI) -> None:
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}", "detail": "auto"}
    made = respond(gpt, [{"role": "user", "content": [{"type": "input_text", "text": "look"}, picture]}])
    assert "I see 1 image" in made.output_text
    cut = respond(gpt, "!length 200", max_output_tokens=16)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"extra_body": {"messages": []}}, "Unknown parameter: 'messages'"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "No tool call found"),
        (
            {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]},
            "No tool output found",
        ),
        ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, "without its required following item"),
        (
            {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
            "Supported values are: 'input_text'",
        ),
        ({"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]}, "'output_text'"),
        ({"temperature": -1}, "Expected a value >= 0, but got -1 instead."),
        ({"model": "gpt-99"}, "does not exist"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "Unknown parameter: 'tools[0].function'"),
    ],
)
def test_responses_refuse_what_the_vendor_refuses(gpt: openai.OpenAI, more: dict[str, Any], message: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        respond(gpt, "x", **more)
    assert message in caught.value.message


def test_a_failed_response_is_told_in_the_stream(gpt: openai.OpenAI) -> None:
    kinds = [event.type for event in respond(gpt, "one two three four !fail", stream=True)]
    assert kinds[-1] == "response.failed"


# --- Messages --------------------------------------------------------------------------------------------------------

CLAUDE_TOOL: Any = {"name": "get_weather", "input_schema": WEATHER}


def message(claude: anthropic.Anthropic, content: Any, **more: Any) -> Any:
    asked = {"model": "demo-claude", "max_tokens": 500, "messages": [{"role": "user", "content": content}], **more}
    return claude.messages.create(**asked)


def test_messages_text_and_stream(claude: anthropic.Anthropic) -> None:
    whole = message(claude, "Hello there")
    assert "Hello there" in whole.content[0].text
    assert whole.stop_reason == "end_turn"
    asked: Any = [{"role": "user", "content": "Hello there"}]
    with claude.messages.stream(model="demo-claude", max_tokens=500, messages=asked) as events:
        assert "".join(events.text_stream) == whole.content[0].text
        final = events.get_final_message()
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert final.usage.input_tokens == whole.usage.input_tokens
    counted = claude.messages.count_tokens(model="demo-claude", messages=asked)
    assert counted.input_tokens == whole.usage.input_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_messages_tool_there_and_back_with_thinking(claude: anthropic.Anthropic, stream: bool) -> None:
    asked: dict[str, Any] = {
        "model": "demo-claude-thinking",
        "max_tokens": 3000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [CLAUDE_TOOL],
    }
    turns: list[Any] = [{"role": "user", "content": QUESTION}]
    if stream:
        with claude.messages.stream(messages=turns, **asked) as events:
            first = events.get_final_message()
    else:
        first = claude.messages.create(messages=turns, **asked)
    assert [block.type for block in first.content] == ["thinking", "tool_use"]
    assert first.stop_reason == "tool_use"
    call = first.content[1]
    assert call.input == {"city": "Paris", "days": 3}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    answered = {"role": "user", "content": [result]}
    blocks = [
        block.model_dump(include={"type", "thinking", "signature", "id", "name", "input"}) for block in first.content
    ]
    second = claude.messages.create(messages=[*turns, {"role": "assistant", "content": blocks}, answered], **asked)
    assert second.content[-1].text == "The tool get_weather answered: sunny"
    blocks[0]["signature"] = "Zm9yZWlnbg=="
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature` in `thinking` block"):
        claude.messages.create(messages=[*turns, {"role": "assistant", "content": blocks}, answered], **asked)
    with pytest.raises(anthropic.BadRequestError, match="must start with a thinking block"):
        claude.messages.create(messages=[*turns, {"role": "assistant", "content": blocks[1:]}, answered], **asked)


def test_messages_parallel_calls_unless_forbidden(claude: anthropic.Anthropic) -> None:
    tools = [CLAUDE_TOOL, {"name": "get_time", "input_schema": WEATHER}]
    several = message(claude, "!parallel weather in Paris, time in Rome", tools=tools)
    assert [block.input["city"] for block in several.content] == ["Paris", "Rome"]
    one = {"type": "any", "disable_parallel_tool_use": True}
    assert len(message(claude, "!parallel", tools=tools, tool_choice=one).content) == 1


def test_messages_picture_stop_length_and_models(claude: anthropic.Anthropic) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
    made = message(claude, [{"type": "image", "source": source}, {"type": "text", "text": "look"}])
    assert "I see 1 image" in made.content[0].text
    made = message(claude, "abc STOP def", stop_sequences=["STOP"])
    assert (made.stop_reason, made.stop_sequence) == ("stop_sequence", "STOP")
    assert message(claude, "!length 99", max_tokens=5).stop_reason == "max_tokens"
    assert next(model.id for model in claude.models.list()) == "demo-claude"


_USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
MESSAGES_REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"extra_body": {"max_tokens": None}}, "max_tokens: Field required"),
    ({"extra_body": {"foo": 1}}, "foo: Extra inputs are not permitted"),
    ({"messages": [{"role": "system", "content": "x"}]}, "top-level `system` parameter"),
    ({"messages": [{"role": "assistant", "content": "x"}]}, 'first message must use the "user" role'),
    ({"messages": []}, "at least one message is required"),
    (
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "x"}]}]},
        "unexpected `tool_use_id` found in `tool_result` blocks: t1",
    ),
    (
        {
            "messages": [
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": [_USE]},
                {"role": "user", "content": "y"},
            ]
        },
        "`tool_use` ids were found without `tool_result` blocks immediately after: t1",
    ),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "must be non-empty"),
    ({"extra_body": {"temperature": 1.5}}, "temperature: Input should be less than or equal to 1"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "must be greater than `thinking.budget_tokens`"),
    ({"thinking": {"type": "enabled", "budget_tokens": 100}}, "greater than or equal to 1024"),
    (
        {
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "max_tokens": 2000,
            "extra_body": {"temperature": 0.5},
        },
        "may only be set to 1 when thinking is enabled",
    ),
    ({"tools": [{"name": "a b", "input_schema": WEATHER}]}, "tools.0.custom.name: String should match pattern"),
    ({"tools": [{"name": "a", "input_schema": {}}]}, "tools.0.custom.input_schema.type: Field required"),
    ({"tool_choice": {"type": "any"}}, "only be specified while providing tools"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        "Input tag 'image_url' found",
    ),
]


@pytest.mark.parametrize(("more", "text"), MESSAGES_REFUSALS)
def test_messages_refuse_what_the_vendor_refuses(claude: anthropic.Anthropic, more: dict[str, Any], text: str) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        message(claude, "x", **more)
    assert text in caught.value.body["error"]["message"]  # type: ignore[index]


def test_messages_errors_on_request(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.RateLimitError):
        message(claude, "!error 429")
    with pytest.raises(anthropic.APIStatusError) as caught:
        message(claude, "!error 529")
    assert (caught.value.status_code, caught.value.body["error"]["type"]) == (529, "overloaded_error")  # type: ignore[index]
    with pytest.raises(anthropic.NotFoundError):
        message(claude, "x", model="claude-99")
    with pytest.raises(anthropic.AuthenticationError):
        message(claude.with_options(api_key="bad"), "x")
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        list(message(claude, "one two three four !fail", stream=True))


# --- generateContent -------------------------------------------------------------------------------------------------


def generate(gemini: genai.Client, contents: Any, model: str = "demo-gemini", **config: Any) -> Any:
    return gemini.models.generate_content(
        model=model, contents=contents, config=types.GenerateContentConfig(**config) if config else None
    )


def weather_tool() -> types.Tool:
    own = types.FunctionDeclaration(name="get_weather", parameters_json_schema=WEATHER)
    return types.Tool(function_declarations=[own])


MANUAL = types.AutomaticFunctionCallingConfig(disable=True)


def test_gemini_text_stream_and_count(gemini: genai.Client) -> None:
    whole = generate(gemini, "Hello there")
    assert "Hello there" in whole.text
    chunks = list(gemini.models.generate_content_stream(model="demo-gemini", contents="Hello there"))
    assert "".join(chunk.text or "" for chunk in chunks) == whole.text
    assert chunks[-1].usage_metadata == whole.usage_metadata
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    counted = gemini.models.count_tokens(model="demo-gemini", contents="Hello there")
    assert counted.total_tokens == whole.usage_metadata.prompt_token_count


@pytest.mark.parametrize("stream", [False, True])
def test_gemini_tool_there_and_back_with_thinking(gemini: genai.Client, stream: bool) -> None:
    config = types.GenerateContentConfig(
        tools=[weather_tool()],
        automatic_function_calling=MANUAL,
        thinking_config=types.ThinkingConfig(include_thoughts=True),
    )
    asked: dict[str, Any] = {"model": "demo-gemini-thinking", "config": config}
    contents: list[types.Content] = [types.Content(role="user", parts=[types.Part(text=QUESTION)])]
    if stream:
        chunks = list(gemini.models.generate_content_stream(contents=contents, **asked))
        parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    else:
        parts = gemini.models.generate_content(contents=contents, **asked).candidates[0].content.parts
    assert parts[0].thought
    call = parts[-1].function_call
    assert call.args == {"city": "Paris", "days": 3}
    assert parts[-1].thought_signature
    answer = types.Part.from_function_response(name="get_weather", response={"result": "sunny"})
    answer.function_response.id = call.id
    back = types.Content(role="user", parts=[answer])
    made = gemini.models.generate_content(
        contents=[*contents, types.Content(role="model", parts=[parts[-1]]), back], **asked
    )
    assert made.text == "The tool get_weather answered: sunny"
    for signature, text in ((b"foreign", "not valid"), (None, "missing a thought_signature")):
        other = types.Part(function_call=call, thought_signature=signature)
        with pytest.raises(gemini_errors.ClientError, match=text):
            gemini.models.generate_content(
                contents=[*contents, types.Content(role="model", parts=[other]), back], **asked
            )


def test_gemini_picture_schema_and_length(gemini: genai.Client) -> None:
    picture = types.Part.from_bytes(data=base64.b64decode(PICTURE), mime_type="image/png")
    assert "I see 1 image" in generate(gemini, [picture, "look"]).text
    made = generate(gemini, QUESTION, response_mime_type="application/json", response_json_schema=WEATHER)
    assert json.loads(made.text) == {"city": "Paris", "days": 3}
    cut = generate(gemini, "!length 100", max_output_tokens=5)
    assert cut.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert "models/demo-gemini" in [model.name for model in gemini.models.list()]


_CALL = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}
_BACK = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}
_USER = {"role": "user", "parts": [{"text": "x"}]}
_BOTH = {"thinking_budget": 1, "thinking_level": "LOW"}
GEMINI_REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"contents": [_USER], "foo": 1}, 'Unknown name "foo": Cannot find field.'),
    ({"contents": [_USER], "generationConfig": {"maxTokens": 1}}, "Unknown name \"maxTokens\" at 'generation_config'"),
    ({"contents": []}, "contents is not specified"),
    (
        {"contents": [_USER], "tools": [{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}]},
        "include_server_side_tool_invocations",
    ),
    ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "valid role: user, model"),
    ({"contents": [_USER, _BACK]}, "function response turn comes immediately after a function call turn"),
    ({"contents": [_CALL, _BACK]}, "function call turn comes immediately after a user turn"),
    ({"contents": [_USER, _CALL, _USER]}, "number of function response parts is equal"),
    ({"contents": [{"role": "user", "parts": [{}]}]}, "required oneof field 'data'"),
    (
        {
            "contents": [_USER],
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "object", "$ref": "x"}}]}],
        },
        'Unknown name "$ref" at \'tools[0].function_declarations[0].parameters\'',
    ),
    ({"contents": [_USER], "generation_config": {"thinking_config": _BOTH}}, "only one of"),
    ({"contents": [_USER], "generationConfig": {"temperature": 3}}, "generation_config.temperature"),
]  # fmt: skip


def post(base: str, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        base + path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            raw = answer.read()
            return answer.status, json.loads(raw) if raw.startswith(b"{") else {"stream": raw.decode()}
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.parametrize(("body", "text"), GEMINI_REFUSALS)
def test_gemini_refuses_what_the_vendor_refuses(base: str, body: dict[str, Any], text: str) -> None:
    status, answer = post(base, "/v1beta/models/demo-gemini:generateContent", body)
    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert text in answer["error"]["message"]


def test_gemini_errors_on_request(gemini: genai.Client) -> None:
    with pytest.raises(gemini_errors.ClientError) as limited:
        generate(gemini, "!error 429")
    assert (limited.value.code, limited.value.status) == (429, "RESOURCE_EXHAUSTED")
    with pytest.raises(gemini_errors.ServerError):
        generate(gemini, "!error 503")
    with pytest.raises(gemini_errors.ClientError) as missing:
        generate(gemini, "x", model="gemini-99")
    assert missing.value.code == 404


def test_gemini_stream_as_a_json_array(base: str) -> None:
    request = urllib.request.Request(
        f"{base}/v1beta/models/demo-gemini:streamGenerateContent",
        json.dumps({"contents": [_USER]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert json.loads(answer.read())[-1]["candidates"][0]["finishReason"] == "STOP"


# --- lines that go dead, and what real clients sent ------------------------------------------------------------------


def test_a_stream_can_be_cut(gpt: openai.OpenAI) -> None:
    with pytest.raises(openai.APIConnectionError):
        list(chat(gpt, "!cut 3 one two three four five", stream=True))


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, sys.argv[1], '--port', '0'], stdout=subprocess.PIPE, text=True)\n"
        "p.stdout.readline(); print(p.pid)\n"
    )
    started = [sys.executable, "-c", code, str(ROOT / "deploy" / "demo")]
    process = int(subprocess.run(started, capture_output=True, text=True, check=True).stdout)

    def over() -> bool:
        with suppress(ProcessLookupError):
            os.kill(process, 0)
            return False
        return True

    try:
        until(over)
    except AssertionError:  # it outlived its parent
        os.kill(process, 9)
        raise


PATHS = {
    "openai.chat": "/v1/chat/completions",
    "openai.responses": "/v1/responses",
    "anthropic.messages": "/v1/messages",
    "anthropic.count_tokens": "/v1/messages/count_tokens",
}


def recordings() -> Path:
    default = ROOT.parent / "shared" / "fixtures" / "recorded"
    return Path(os.environ.get("GATEWRIGHT_RECORDED", default))


def test_it_takes_what_real_clients_sent() -> None:
    if not recordings().is_dir():
        missing("the recordings are not beside this checkout (GATEWRIGHT_RECORDED names their place)")
    process, base = start("--any-model", "--any-signature")
    refused: list[str] = []
    taken = 0
    try:
        for directory in (*PATHS, "gemini.generateContent", "gemini.countTokens"):
            for file in sorted((recordings() / directory).glob("*.json")):
                found = json.loads(file.read_text())
                if found["request"] is None or found["status"] >= 400:
                    continue
                path = PATHS.get(directory, found["api_path"])
                status, answer = post(
                    base,
                    path,
                    found["request"],
                    **{"anthropic-version": "2023-06-01"} if "anthropic" in directory else {},
                )
                taken += status == 200
                if status != 200:
                    refused.append(f"{directory}/{found['id']}: {answer}")
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)
    assert refused == []
    assert taken > 150
