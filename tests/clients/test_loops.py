"""The official SDKs' own tool loops, and clients that tell a thought as a text, over a provider of each format."""

from __future__ import annotations

import anthropic
import openai
import pytest
from anthropic import beta_tool
from google import genai
from google.genai import types

from tests.clients.conftest import MODELS
from tests.support import Gateway

ASKED = "What is the weather in Paris for 3 days?"
pytestmark = pytest.mark.parametrize("model", [f"{model}-thinking" for model in MODELS])


def get_weather(city: str, days: int) -> str:
    """The weather of a city.

    Args:
        city: The city.
        days: For how many days.
    """
    return f"sunny in {city} for {days} days"


@pytest.mark.parametrize("stream", [False, True])
def test_the_tool_runner_of_anthropics_sdk(gateway: Gateway, model: str, stream: bool) -> None:
    with anthropic.Anthropic(base_url=gateway.base, api_key=gateway.key, max_retries=0) as client:
        runner = client.beta.messages.tool_runner(
            model=model,
            max_tokens=4000,
            thinking={"type": "enabled", "budget_tokens": 2000},
            tools=[beta_tool(get_weather)],
            messages=[{"role": "user", "content": ASKED}],
            stream=stream,
        )
        turns = [turn.get_final_message() if stream else turn for turn in runner]
    assert [turn.stop_reason for turn in turns] == ["tool_use", "end_turn"]
    assert "sunny in Paris" in str(turns[-1].content)


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_with_tools_of_googles_sdk(gateway: Gateway, model: str, stream: bool) -> None:
    options = types.HttpOptions(base_url=gateway.base)
    client = genai.Client(api_key=gateway.key, http_options=options)
    chat = client.chats.create(
        model=model,
        config=types.GenerateContentConfig(
            tools=[get_weather], thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=2000)
        ),
    )

    def say(text: str) -> str:
        pieces = chat.send_message_stream(text) if stream else [chat.send_message(text)]
        return "".join(piece.text or "" for piece in pieces)

    assert "sunny in Paris" in say(ASKED)
    assert say("Thank you")


@pytest.mark.parametrize("telling", ["tagged", "words", "nothing"])
def test_a_thought_that_a_client_tells_as_a_text(gateway: Gateway, model: str, telling: str) -> None:
    """As clients do that don't know the model by its name: they drop what is signed and keep the words."""
    tool = {
        "type": "function",
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    }
    with openai.OpenAI(base_url=f"{gateway.base}/v1", api_key=gateway.key, max_retries=0) as client:
        asked = {"model": model, "tools": [tool], "reasoning": {"effort": "medium", "summary": "auto"}}
        turns: list[dict[str, object]] = [{"role": "user", "content": ASKED}]
        first = client.responses.create(input=turns, **asked)
        thought = "\n".join(part.text for item in first.output if item.type == "reasoning" for part in item.summary)
        if thought and telling != "nothing":
            words = f"<think>\n{thought}\n</think>" if telling == "tagged" else "Let me ask."
            turns.append({"role": "assistant", "content": words})
        (call,) = (item for item in first.output if item.type == "function_call")
        turns += [
            {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
            {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
        ]
        assert "sunny" in client.responses.create(input=turns, **asked).output_text
