"""Every channel type of New API: it opens, or says why not; those without a vendor's test elsewhere are called here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
import requests
from sqlalchemy import insert

from engine import compiler, paths
from engine.program import Program
from engine.routing.rows import from_row
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.rows import channels
from engine.storage.tables import core
from tests.relay.scripted import Say, Upstream
from tests.support import PATIENCE, Gateway, serving
from tests.upstreams import xunfei

KEYS = {
    15: "id|secret", 16: "id.secret", 18: "app|secret|key", 23: "app|id|secret", 33: "id|secret|us-east-1",
    41: json.dumps({"client_email": "a@x", "private_key": "k", "project_id": "p"}), 50: "ak|sk", 51: "ak|sk",
    57: json.dumps({"account_id": "a", "access_token": "t"}),
}  # fmt: skip
CLOSED = {11: "ended the PaLM API on 15 August 2024", 21: "make it an AI Proxy channel (type 10)"}
NOBODY = {0, 28, 29, 30, 32}
"""Numbers that New API gives to nothing."""
ROUTES = [
    {"incoming_path": "/v1/models", "upstream_path": "/list"},
    {
        "incoming_path": "/v1/messages",
        "upstream_path": "/own/chat",
        "converter": "anthropic_messages_to_openai_chat_completions",
    },
    {"incoming_path": "/v1/chat/completions", "upstream_path": "/own/chat", "models": ["re:own-.*", "other"]},
    {"incoming_path": "/v1/embeddings", "upstream_path": "/own/{model}/vectors"},
]


@pytest.fixture(scope="module")
def program() -> Program:
    sources, shared, _ = compiler.read_set([paths.SPECS])
    return compiler.compile_set(sources, shared).program()


def row(kind: int, **more: Any) -> channels.ChannelRow:
    """A row as it is read from the database."""
    plain = {
        "id": 1,
        "type": kind,
        "status": 1,
        "name": "c",
        "models": "m",
        "group": "default",
        "key": KEYS.get(kind, "k"),
    }
    return channels._row({**plain, **more}, "newApi")


@pytest.mark.parametrize("kind", range(61))
def test_every_number_opens_or_says_why_not(program: Program, kind: int) -> None:
    settings = json.dumps({"advanced_custom": {"advanced_routes": ROUTES}})
    more: dict[str, Any] = {"settings": settings} if kind == 58 else {}
    if kind in NOBODY or kind in CLOSED:
        with pytest.raises(LookupError) as caught:
            from_row(program, row(kind))
        assert CLOSED.get(kind, f"no provider document states channel type {kind} ") in str(caught.value)
        return
    channel = from_row(program, row(kind, **more))
    assert channel.provider.formats
    assert channel.base_url.startswith("http")


@pytest.mark.parametrize(
    ("kind", "base", "provider", "host"),
    [
        (26, "glm-coding-plan", "zhipu-coding", "https://open.bigmodel.cn"),
        (26, "glm-coding-plan-international", "zai-coding", "https://api.z.ai"),
        (25, "kimi-coding-plan", "kimi-coding", "https://api.kimi.com"),
        (45, "doubao-coding-plan", "doubao-coding", "https://ark.cn-beijing.volces.com"),
        (45, "https://own.example", "volcengine", "https://own.example"),
        (23, "https://hunyuan.tencentcloudapi.com", "tencent-tokenhub", "https://tokenhub.tencentcloudmaas.com"),
    ],
)
def test_a_word_for_an_address_means_another_service(
    program: Program, kind: int, base: str, provider: str, host: str
) -> None:
    channel = from_row(program, row(kind, base_url=base, key="one-part"))
    assert (channel.provider.name, channel.base_url) == (provider, host)


CHAT = {"incoming_path": "/v1/chat/completions", "upstream_path": "/a"}
ODD: dict[str, tuple[Any, str]] = {
    "nothing": (None, "must hold advanced_routes"),
    "no list": ({"advanced_routes": {}}, "must hold advanced_routes"),
    "no route": ({"advanced_routes": [ROUTES[0]]}, "declares no route"),
    "an unknown path": ([{**CHAT, "incoming_path": "/v9/chat"}], "route 1: '/v9/chat' is no path"),
    "an unknown converter": (
        [{**CHAT, "converter": "x"}],
        "must be none or openai_chat_completions_to_anthropic_messages",
    ),
    "another's converter": (
        [{**CHAT, "converter": "anthropic_messages_to_openai_chat_completions"}],
        "must be none or",
    ),
    "no address": ([{**CHAT, "upstream_path": "a"}], "must begin with a slash, or be a whole address"),
    "two addresses": ([CHAT, {**CHAT, "upstream_path": "/b"}], "route 2: openai.chat is spoken at two addresses"),
    "two hosts": ([CHAT, {**ROUTES[3], "upstream_path": "https://b.example/x"}], "names 2 hosts"),
    "two keys": ([CHAT, {**ROUTES[3], "auth": {"type": "none"}}], "in different ways"),
    "an odd key": ([{**CHAT, "auth": {"type": "cookie"}}], "auth must be {type: none}"),
    "an odd pattern": ([{**CHAT, "models": ["re:("]}], "a pattern that can't be read"),
    "odd models": ([{**CHAT, "models": "m"}], "models must be a list of names"),
}


@pytest.mark.parametrize("case", ODD)
def test_routes_that_can_not_be_followed_are_refused_by_their_place(program: Program, case: str) -> None:
    said, why = ODD[case]
    with pytest.raises(LookupError) as caught:
        from_row(program, row(58, settings=json.dumps({"advanced_custom": said})))
    assert why in str(caught.value)
    assert "settings.advanced_custom" in str(caught.value)


@pytest.fixture(scope="module")
def spark() -> Iterator[Upstream]:
    made = xunfei.spark()
    yield made
    made.close()


@pytest.fixture(scope="module")
def other() -> Iterator[Upstream]:
    """Another gateway, and addresses of one's own."""
    message = {"role": "assistant", "content": "Hi!"}
    chat = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
    chat["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
    claude = {
        "id": "m", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Hi!"}],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip
    vectors = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [1.5]}], "model": "m"}

    def script(say: Say) -> None:
        path = say.arrived.path
        say.whole(claude if path == "/v1/messages" else vectors if path.endswith("vectors") else chat)

    made = Upstream()
    made.script = script
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, spark: Upstream, other: Upstream) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("types")
    routes = {"advanced_routes": [*ROUTES[:3], {**ROUTES[3], "auth": None}]}
    parts = f"{xunfei.APP}|{xunfei.SECRET}|{xunfei.KEY}"
    rows = [
        {"type": 18, "models": "SparkDesk-v3.5", "key": parts, "base_url": spark.base},
        {"type": 18, "models": "lite,spark-max", "key": xunfei.PASSWORD, "base_url": spark.base},
        {"type": 58, "models": "own-1,other,vector", "key": "k-58", "base_url": other.base,
         "settings": json.dumps({"advanced_custom": routes})},
        {"type": 60, "models": "there", "key": "k-60", "base_url": other.base},
        {"type": 11, "models": "chat-bison-001", "key": "k", "base_url": other.base},
    ]  # fmt: skip
    db = open_database(Settings(data=data))
    for number, values in enumerate(rows):
        full = {"status": 1, "group": "default", "name": f"c{number}", **values}
        db.write(lambda connection, full=full: connection.execute(insert(core.channels).values(**full)).rowcount)
    db.close()
    made = Gateway(data, env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{spark.port},127.0.0.1:{other.port}"})
    with serving(made):
        yield made
        assert "ended the PaLM API" in made.output
        assert not any(word in made.output for word in (xunfei.SECRET, xunfei.PASSWORD))


def sdk(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(api_key=gateway.key, base_url=f"{gateway.base}/v1", max_retries=0)


HI: Any = [{"role": "user", "content": "Hello"}]


def test_spark_is_called_over_http_by_either_key(gateway: Gateway, spark: Upstream) -> None:
    spark.got.clear()
    with sdk(gateway) as client:
        whole = client.chat.completions.create(model="SparkDesk-v3.5", messages=HI, max_completion_tokens=9)
        pieces = list(
            client.chat.completions.create(
                model="lite", messages=HI, stream=True, stream_options={"include_usage": True}
            )
        )
    assert whole.choices[0].message.content == "Hi!"
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (6, 2)
    assert "".join(one.choices[0].delta.content or "" for one in pieces if one.choices) == "Hi!"
    first, second = spark.got
    assert (first.json["model"], first.json["max_tokens"]) == ("generalv3.5", 9)
    assert first.headers["authorization"] == f"Bearer {xunfei.KEY}:{xunfei.SECRET}"
    assert second.headers["authorization"] == f"Bearer {xunfei.PASSWORD}"
    with anthropic.Anthropic(api_key=gateway.key, base_url=gateway.base, max_retries=0) as claude:
        assert claude.messages.create(model="lite", max_tokens=9, messages=HI).content[0].text == "Hi!"


@pytest.mark.parametrize(("text", "code"), [("forbidden", 10013), ("long", "context_length_exceeded")])
def test_errors_of_spark_have_their_meaning_under_any_status(gateway: Gateway, text: str, code: str | int) -> None:
    body = {"model": "lite", "messages": [{"role": "user", "content": text}]}
    answer = gateway.post("/v1/chat/completions", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code), answer.text


def test_a_channel_that_says_what_it_speaks_is_spoken_to_so(gateway: Gateway, other: Upstream) -> None:
    other.got.clear()
    with anthropic.Anthropic(api_key=gateway.key, base_url=gateway.base, max_retries=0) as claude:
        assert claude.messages.create(model="own-1", max_tokens=9, messages=HI).content[0].text == "Hi!"
    with sdk(gateway) as client:
        assert client.chat.completions.create(model="other", messages=HI).choices[0].message.content == "Hi!"
        assert client.embeddings.create(model="vector", input="x").data[0].index == 0
        with pytest.raises(openai.APIStatusError) as caught:  # its model is none of the route's
            client.chat.completions.create(model="vector", messages=HI)
    assert caught.value.status_code in (404, 503)
    assert [one.path for one in other.got] == ["/own/chat", "/own/chat", "/own/vector/vectors"]
    assert {one.headers["authorization"] for one in other.got} == {"Bearer k-58"}
    assert other.got[0].json["messages"] == HI


def test_another_gateway_gets_each_dialect_as_it_is_with_the_key_in_its_place(
    gateway: Gateway, other: Upstream
) -> None:
    other.got.clear()
    body = {"model": "there", "max_tokens": 9, "messages": HI, "metadata": {"user_id": "u"}}
    answer = gateway.post("/v1/messages", body)
    assert answer.status_code == 200, answer.text
    (arrived,) = other.got
    assert (arrived.path, arrived.json) == ("/v1/messages", body)
    told = {name: arrived.headers.get(name) for name in ("authorization", "x-api-key", "x-goog-api-key")}
    assert told == {"authorization": "Bearer k-60", "x-api-key": "k-60", "x-goog-api-key": "k-60"}


REFUSED: dict[str, tuple[str, Any, int]] = {
    "no key": ("/v1/chat/completions", None, 401),
    "another path": ("/v1/completions", {}, 404),
    "no JSON": ("/v1/chat/completions", "{", 400),
    "an unknown member": ("/v1/chat/completions", {"model": "lite", "messages": HI, "max_completion_tokens": 9}, 400),
    "a version as model": ("/v1/chat/completions", {"model": "SparkDesk-v3.5", "messages": HI}, 400),
    "no messages": ("/v1/chat/completions", {"model": "lite", "messages": []}, 400),
    "a developer": ("/v1/chat/completions", {"model": "lite", "messages": [{"role": "developer"}]}, 400),
    "a high temperature": ("/v1/chat/completions", {"model": "lite", "messages": HI, "temperature": 3}, 400),
    "no tokens": ("/v1/chat/completions", {"model": "lite", "messages": HI, "max_tokens": 0}, 400),
    "a seed": ("/v1/chat/completions", {"model": "lite", "messages": HI, "seed": 1}, 400),
}


@pytest.mark.parametrize("case", REFUSED)
def test_spark_refuses(spark: Upstream, case: str) -> None:
    path, body, status = REFUSED[case]
    headers = {} if body is None else {"authorization": f"Bearer {xunfei.PASSWORD}"}
    data = {"data": body} if isinstance(body, str) else {"json": body}
    assert requests.post(spark.base + path, headers=headers, timeout=PATIENCE, **data).status_code == status
