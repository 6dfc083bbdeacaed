"""Bedrock by access key and by API key, read by official SDKs; and the scripted service by botocore itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import botocore.session
import openai
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.relay.scripted import Upstream
from tests.relay.test_metering import Row
from tests.support import PATIENCE, Gateway, serving
from tests.upstreams import amazon
from tests.upstreams.strict import channel, route

PROFILE = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc"
CLAUDE = "claude-opus-4-8"
CLAUDE_PATH = "/model/eu.anthropic.claude-opus-4-8"


def documents(base: str) -> str:
    """Channels of each form of key, of a wrong secret, and of a key without a region."""
    return route(
        channel("keys", "bedrock", base, "A", CLAUDE, "nova-lite-v1:0"),
        channel("session", "bedrock", base, "S", "with-session", modelMapping={"with-session": PROFILE}),
        channel("api", "bedrock-key", base, "B", "by-key", modelMapping={"by-key": CLAUDE}),
        channel("wrong", "bedrock", base, "W", "wrong-key", modelMapping={"wrong-key": CLAUDE}),
        channel("formless", "bedrock", base, "F", "formless"),
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    made = amazon.bedrock()
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Gateway]:
    env = {
        "GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}",
        "GATEWRIGHT_KEY_A": f"{amazon.ID}|{amazon.SECRET}|{amazon.REGION}",
        "GATEWRIGHT_KEY_S": f"{amazon.ID}|{amazon.SECRET}|{amazon.REGION}|{amazon.SESSION}",
        "GATEWRIGHT_KEY_B": f"{amazon.API_KEY}|{amazon.REGION}",
        "GATEWRIGHT_KEY_W": f"{amazon.ID}|{amazon.SECRET}x|{amazon.REGION}",
        "GATEWRIGHT_KEY_F": f"{amazon.ID}|{amazon.SECRET}",
    }
    made = Gateway(tmp_path_factory.mktemp("amazon"), specs={"own.yaml": documents(upstream.base)}, env=env)
    with serving(made):
        yield made
        assert amazon.SECRET not in made.output
        assert (
            "channel formless is left out: the channel's credential must have the form id|secret|region" in made.output
        )


def claude(gateway: Gateway) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key=gateway.key, base_url=gateway.base, max_retries=0)


SAID: Any = {"max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize("model", [CLAUDE, "by-key", "with-session"])
def test_claude_is_answered_whole(gateway: Gateway, upstream: Upstream, model: str) -> None:
    upstream.got.clear()
    with claude(gateway) as sdk:
        raw = sdk.messages.with_raw_response.create(model=model, **SAID, extra_headers={"anthropic-beta": "a-1, b-2"})
    answer = raw.parse()
    (arrived,) = upstream.got
    if model == "with-session":  # nobody knows whose an application's profile is: Converse takes any
        assert (
            arrived.path
            == "/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Aapplication-inference-profile%2Fabc/converse"
        )
        return
    assert arrived.path == f"{CLAUDE_PATH}/invoke"
    assert arrived.json == {**SAID, "anthropic_version": "bedrock-2023-05-31", "anthropic_beta": ["a-1", "b-2"]}
    assert answer.content[0].text == "Hi!"
    assert answer.model == model
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (11, 3)
    row = Row(gateway, raw.headers["request-id"] if "request-id" in raw.headers else raw.headers["x-request-id"])
    assert (row.input, row.output) == (15, 3)


def test_claude_is_streamed_out_of_the_binary_frames(gateway: Gateway, upstream: Upstream) -> None:
    upstream.got.clear()
    with claude(gateway) as sdk, sdk.messages.stream(model=CLAUDE, **SAID) as stream:
        kinds = [event.type for event in stream]
        answer = stream.get_final_message()
    assert answer.content[0].text == "Hi!"
    assert answer.usage.output_tokens == 3
    assert kinds[-1] == "message_stop"
    (arrived,) = upstream.got
    assert arrived.path == f"{CLAUDE_PATH}/invoke-with-response-stream"
    assert "stream" not in arrived.json


def chat(gateway: Gateway, model: str, text: str = "Hello", **more: Any) -> requests.Response:
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    return gateway.post("/v1/chat/completions", body)


@pytest.mark.parametrize(
    ("model", "path"),
    [(CLAUDE, CLAUDE_PATH), ("nova-lite-v1:0", "/model/eu.amazon.nova-lite-v1%3A0")],
)
@pytest.mark.parametrize("stream", [False, True])
def test_callers_of_another_format(gateway: Gateway, upstream: Upstream, model: str, path: str, stream: bool) -> None:
    upstream.got.clear()
    with openai.OpenAI(api_key=gateway.key, base_url=f"{gateway.base}/v1", max_retries=0) as sdk:
        said: Any = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        if stream:
            pieces = list(sdk.chat.completions.create(**said, stream=True, stream_options={"include_usage": True}))
            text, usage = "".join(one.choices[0].delta.content or "" for one in pieces if one.choices), pieces[-1].usage
        else:
            answer = sdk.chat.completions.create(**said)
            text, usage = answer.choices[0].message.content, answer.usage
    assert text == "Hi!"
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == ((15, 3) if "claude" in model else (7, 2))
    assert upstream.got[0].path.startswith(path + "/")


def test_an_exception_within_a_stream_is_told(gateway: Gateway) -> None:
    answer = chat(gateway, CLAUDE, "breaks-off", stream=True)
    assert "Too many requests" in answer.text
    assert "[DONE]" not in answer.text


@pytest.mark.parametrize(
    ("model", "text", "status", "word"),
    [
        ("wrong-key", "Hello", 502, "upstream"),
        (CLAUDE, "too-long", 400, "too long"),
    ],
)
def test_refusals_have_their_meaning(gateway: Gateway, model: str, text: str, status: int, word: str) -> None:
    answer = chat(gateway, model, text)
    assert answer.status_code == status, answer.text
    assert word in answer.text
    assert amazon.SECRET not in answer.text


# -- the service itself


@pytest.fixture(scope="module")
def sdk(upstream: Upstream) -> Any:
    return client(upstream)


def client(
    upstream: Upstream, secret: str = amazon.SECRET, region: str = amazon.REGION, identity: str = amazon.ID
) -> Any:
    session = botocore.session.Session()
    return session.create_client(
        "bedrock-runtime", region_name=region, endpoint_url=upstream.base,
        aws_access_key_id=identity, aws_secret_access_key=secret, config=Config(retries={"max_attempts": 0}),
    )  # fmt: skip


BODY = {**SAID, "anthropic_version": "bedrock-2023-05-31"}
MODEL = "eu.anthropic.claude-opus-4-8"


def test_the_vendors_sdk_is_served(sdk: Any) -> None:
    whole = sdk.invoke_model(modelId=MODEL, body=json.dumps(BODY))
    assert json.loads(whole["body"].read())["content"] == [{"type": "text", "text": "Hi!"}]
    stream = sdk.invoke_model_with_response_stream(modelId=MODEL, body=json.dumps(BODY))
    kinds = [json.loads(event["chunk"]["bytes"])["type"] for event in stream["body"]]
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    said = [{"role": "user", "content": [{"text": "Hello"}]}]
    told = sdk.converse(modelId="amazon.nova-lite-v1:0", messages=said)
    assert told["output"]["message"]["content"] == [{"text": "Hi!"}]


PICTURE = {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}]}
CLIENTS: dict[str, tuple[dict[str, str], str]] = {
    "a wrong secret": ({"secret": "x" * 40}, "InvalidSignature"),
    "an unknown id": ({"identity": "AKIDOTHER"}, "UnrecognizedClient"),
    "another region": ({"region": "us-east-1"}, "InvalidSignature"),
}
BODIES: dict[str, tuple[str, str | dict[str, Any], str]] = {
    "an unknown model": ("claude-4", BODY, "Validation"),
    "no JSON": (MODEL, "{", "Serialization"),
    "the model in the body": (MODEL, {**BODY, "model": MODEL}, "Validation"),
    "stream in the body": (MODEL, {**BODY, "stream": True}, "Validation"),
    "no version": (MODEL, SAID, "Validation"),
    "no limit": (MODEL, {**BODY, "max_tokens": 0}, "Validation"),
    "beta as a text": (MODEL, {**BODY, "anthropic_beta": "a"}, "Validation"),
    "a picture's address": (MODEL, {**BODY, "messages": [PICTURE]}, "Validation"),
}


@pytest.mark.parametrize("case", CLIENTS)
def test_the_service_refuses_a_caller(upstream: Upstream, case: str) -> None:
    known, code = CLIENTS[case]
    with pytest.raises(ClientError) as caught:
        client(upstream, **known).invoke_model(modelId=MODEL, body="{}")
    assert caught.value.response["Error"]["Code"].startswith(code)


@pytest.mark.parametrize("case", BODIES)
def test_the_service_refuses_a_body(sdk: Any, case: str) -> None:
    model, body, code = BODIES[case]
    with pytest.raises(ClientError) as caught:
        sdk.invoke_model(modelId=model, body=body if isinstance(body, str) else json.dumps(body))
    assert caught.value.response["Error"]["Code"].startswith(code)


def test_an_unsigned_call_is_refused(upstream: Upstream) -> None:
    assert requests.post(f"{upstream.base}{CLAUDE_PATH}/invoke", json=BODY, timeout=PATIENCE).status_code == 403
