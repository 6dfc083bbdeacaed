"""Formats that only providers speak, and the made-up vendor of docs/examples: through a running gateway.

A scripted upstream speaks each of them; the official SDKs of two client formats ask for text, a stream, a call and its
result. What went up is checked, too: path, key and body in the vendor's own words.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.formats.spoken import CHAT_TOOL, CLAUDE_TOOL, SECOND, VENDORS, Vendor
from tests.relay.scripted import Say, Upstream
from tests.support import ROOT, Gateway, serving

PROVIDER = """
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: {name}-here}}
extends: {parent}
spec:
  baseUrl: {base}
  models: ["{model}"]
  credential: {{secretRef: {{file: {file}}}}}
"""
POLICY = """
apiVersion: gatewright/v1
kind: Policy
metadata: {name: here}
spec: {unpriced: allow}
"""
PARENTS = {"ollama": "ollama-native", "cohere": "cohere", "bedrock": "bedrock-key", "oddity": "oddity"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Gateway]:
    data: Path = tmp_path_factory.mktemp("vendors")
    (data / "secrets").mkdir(mode=0o700)
    (data / "secrets" / "vendor.key").write_text("upstream-key\n")
    (data / "secrets" / "region.key").write_text("upstream-key|us-east-1\n")
    # The example's own channel has another name for its secret and is not used here.
    example = (ROOT / "docs" / "examples" / "oddity.yaml").read_text("utf-8")
    example = example.replace("models: [odd-1, odd-mini]", "models: [odd-mini]")
    documents = [
        PROVIDER.format(
            name=name,
            parent=parent,
            base=upstream.base,
            model=VENDORS[name].model,
            file="region.key" if name == "bedrock" else "vendor.key",
        )
        for name, parent in PARENTS.items()
    ]
    gateway = Gateway(
        data,
        specs={"oddity.yaml": example, "here.yaml": "---".join([*documents, POLICY])},
        env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}"},
    )
    with serving(gateway):
        yield gateway


@pytest.fixture
def gateway(running: Gateway, upstream: Upstream) -> Gateway:
    upstream.got.clear()
    return running


@pytest.fixture
def chat(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.base}/v1", api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.fixture
def claude(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.base, api_key=gateway.key, max_retries=0) as client:
        yield client


def speak(upstream: Upstream, vendor: Vendor, *stream: bytes) -> None:
    """Make the upstream answer as the vendor does; streams in small pieces, with a pause between those given."""

    def script(say: Say) -> None:
        if not stream:
            say.whole(vendor.whole)
            return
        say.head(200, vendor.kind)
        for piece in stream:
            for at in range(0, len(piece), 7):
                say.chunk(piece[at : at + 7])
            time.sleep(0.2 if len(stream) > 1 else 0)
        say.end()

    upstream.script = script


named = pytest.mark.parametrize("name", list(VENDORS))
ASKED: Any = [{"role": "user", "content": "Well?"}]


@named
def test_chat_client_gets_the_whole_answer(name: str, chat: openai.OpenAI, upstream: Upstream) -> None:
    vendor = VENDORS[name]
    speak(upstream, vendor)
    answer = chat.chat.completions.create(model=vendor.model, messages=ASKED, tools=[CHAT_TOOL])
    message = answer.choices[0].message
    assert message.content == "Hello there"
    assert message.model_extra
    assert message.model_extra["reasoning_content"] == "so far"
    assert message.tool_calls
    assert message.tool_calls[0].type == "function"
    assert message.tool_calls[0].id == "c1"
    assert json.loads(message.tool_calls[0].function.arguments) == {"at": "sea"}
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.model == vendor.model
    assert answer.usage
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (6, 5)
    (arrived,) = upstream.got
    assert (arrived.path, arrived.headers[vendor.key[0]]) == (vendor.path, vendor.key[1])


@named
def test_claude_client_gets_the_whole_answer(name: str, claude: anthropic.Anthropic, upstream: Upstream) -> None:
    vendor = VENDORS[name]
    speak(upstream, vendor)
    answer = claude.messages.create(model=vendor.model, max_tokens=99, messages=ASKED, tools=[CLAUDE_TOOL])
    thought, text, call = answer.content
    assert (thought.type, text.type, call.type) == ("thinking", "text", "tool_use")
    assert (thought.thinking, text.text, call.id, call.input) == ("so far", "Hello there", "c1", {"at": "sea"})  # type: ignore[union-attr]
    assert answer.stop_reason == "tool_use"
    cached = answer.usage.cache_read_input_tokens or 0
    assert (answer.usage.input_tokens + cached, answer.usage.output_tokens) == (6, 5)


@named
def test_chat_client_gets_the_stream(name: str, chat: openai.OpenAI, upstream: Upstream) -> None:
    vendor = VENDORS[name]
    speak(upstream, vendor, vendor.stream)
    with chat.chat.completions.stream(
        model=vendor.model, messages=ASKED, tools=[CHAT_TOOL], stream_options={"include_usage": True}
    ) as stream:
        answer = stream.get_final_completion()
    message = answer.choices[0].message
    assert message.content == "Hello there"
    assert message.tool_calls
    assert message.tool_calls[0].id == "c1"
    assert json.loads(message.tool_calls[0].function.arguments) == {"at": "sea"}
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.usage
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (6, 5)
    assert upstream.got[0].path == vendor.stream_path


@named
def test_claude_client_gets_the_stream(name: str, claude: anthropic.Anthropic, upstream: Upstream) -> None:
    vendor = VENDORS[name]
    speak(upstream, vendor, vendor.stream)
    with claude.messages.stream(model=vendor.model, max_tokens=99, messages=ASKED, tools=[CLAUDE_TOOL]) as stream:
        answer = stream.get_final_message()
    thought, text, call = answer.content
    assert (thought.thinking, text.text, call.id, call.input) == ("so far", "Hello there", "c1", {"at": "sea"})  # type: ignore[union-attr]
    assert answer.stop_reason == "tool_use"


@named
def test_result_of_a_call_reaches_the_vendor_in_its_words(
    name: str, claude: anthropic.Anthropic, upstream: Upstream
) -> None:
    """The second turn of a tool loop, by a Claude client that returns what it got."""
    vendor = VENDORS[name]
    speak(upstream, vendor)
    first = claude.messages.create(model=vendor.model, max_tokens=99, messages=ASKED, tools=[CLAUDE_TOOL])
    result: Any = {"type": "tool_result", "tool_use_id": "c1", "content": "waves"}
    turns: Any = [*ASKED, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    claude.messages.create(
        model=vendor.model,
        max_tokens=99,
        system="Be odd.",
        messages=turns,
        tools=[CLAUDE_TOOL],
        extra_body={"temperature": 0.5},
    )
    assert upstream.got[1].json == SECOND[name]


@named
def test_error_in_a_stream_raises_in_the_sdk(name: str, chat: openai.OpenAI, upstream: Upstream) -> None:
    vendor = VENDORS[name]
    speak(upstream, vendor, *vendor.broken)
    got: list[str] = []
    with chat.chat.completions.create(model=vendor.model, messages=ASKED, stream=True) as stream:
        said = (chunk.choices[0].delta.content or "" for chunk in stream)
        with pytest.raises(openai.APIError, match="tired of it"):
            got.extend(said)
    assert "".join(got) == "Hel"


@named
def test_cut_stream_is_never_a_clean_end(name: str, claude: anthropic.Anthropic, upstream: Upstream) -> None:
    vendor = VENDORS[name]
    speak(upstream, vendor, vendor.stream[: len(vendor.stream) // 2])
    with (
        pytest.raises(anthropic.APIError),
        claude.messages.stream(model=vendor.model, max_tokens=99, messages=ASKED) as stream,
    ):
        stream.get_final_message()


@named
def test_refusal_keeps_its_meaning(
    name: str, chat: openai.OpenAI, claude: anthropic.Anthropic, upstream: Upstream
) -> None:
    vendor = VENDORS[name]
    status, body = vendor.refusal
    upstream.script = lambda say: say.whole(body, status)
    with pytest.raises(openai.RateLimitError, match="slower"):
        chat.chat.completions.create(model=vendor.model, messages=ASKED)
    with pytest.raises(anthropic.RateLimitError, match="slower"):
        claude.messages.create(model=vendor.model, max_tokens=9, messages=ASKED)
