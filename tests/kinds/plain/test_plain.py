"""Embeddings, by the official SDK: the caller's bytes go up and the provider's come back, charged by what was told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
import requests

from tests.relay import plain
from tests.relay.scripted import Say, Upstream
from tests.relay.test_metering import Row
from tests.support import PATIENCE, Gateway, deaf_port

VECTOR = [0.25, -0.5]
DOCUMENTS = """
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: vectors}}
spec:
  baseUrl: {one}
  formats:
    openai.chat: {{path: /v1/chat/completions}}
    openai.embeddings: {{path: /v1/embeddings}}
  auth: {{scheme: bearer}}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: talks}}
spec:
  baseUrl: {two}
  formats: {{openai.chat: {{path: /v1/chat/completions}}}}
  auth: {{scheme: none}}
  models: [first-model, chat-model]
---
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: second-vectors}}
spec:
  baseUrl: {two}
  formats: {{openai.embeddings: {{path: /embed/here}}}}
  auth: {{scheme: none}}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: down}}
spec:
  baseUrl: http://{closed}
  formats: {{openai.embeddings: {{path: /v1/embeddings}}}}
  auth: {{scheme: none}}
---
apiVersion: gatewright/v1
kind: Route
metadata: {{name: r}}
spec:
  channels:
    - name: one
      provider: vectors
      credential: {{secretRef: {{env: GATEWRIGHT_KEY_VECTORS}}}}
      models: [embed-model, first-model, chat-model]
    - {{name: mapped, provider: second-vectors, models: [asked-model], modelMapping: {{asked-model: sent-model}}}}
    - {{name: broken, provider: down, models: [twice-model], priority: 1}}
    - {{name: sound, provider: second-vectors, models: [twice-model]}}
---
apiVersion: gatewright/v1
kind: Price
metadata: {{name: own}}
spec:
  models:
    - names: [embed-model, asked-model, twice-model, first-model, chat-model]
      tokens: {{input: 2.0, output: 2.0}}
"""


def embeddings(say: Say, used: int | None = 7) -> None:
    """As the vendor answers: one vector for each input."""
    body = say.arrived.json
    count = len(body["input"]) if isinstance(body["input"], list) else 1
    data = [{"object": "embedding", "index": index, "embedding": VECTOR} for index in range(count)]
    usage = {} if used is None else {"usage": {"prompt_tokens": used, "total_tokens": used}}
    say.whole({"object": "list", "data": data, "model": body["model"], **usage}, openai_version="2020-10-01")


@pytest.fixture(scope="module")
def upstreams() -> Iterator[tuple[Upstream, Upstream]]:
    both = Upstream(), Upstream()
    yield both
    for upstream in both:
        upstream.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstreams: tuple[Upstream, Upstream]) -> Iterator[Gateway]:
    one, two = upstreams
    with deaf_port() as port:
        closed = f"127.0.0.1:{port}"
        env = {
            "GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{one.port},127.0.0.1:{two.port},{closed}",
            "GATEWRIGHT_KEY_VECTORS": "sk-up",
        }
        specs = {"own.yaml": DOCUMENTS.format(one=one.base, two=two.base, closed=closed)}
        gateway = Gateway(tmp_path_factory.mktemp("plain"), specs=specs, env=env, priced=True)
        try:
            yield gateway.ready()
        finally:
            gateway.stop()
            assert "Traceback" not in gateway.output, gateway.output


@pytest.fixture
def gateway(running: Gateway, upstreams: tuple[Upstream, Upstream]) -> Gateway:
    for upstream in upstreams:
        upstream.got.clear()
        upstream.script = embeddings
    return running


def test_the_sdk_gets_vectors_and_pays_for_what_was_told(gateway: Gateway, upstreams: Any) -> None:
    with openai.OpenAI(api_key=gateway.key, base_url=f"{gateway.base}/v1") as client:
        answer = client.embeddings.with_raw_response.create(model="embed-model", input=["one", "two"])
    assert [each.embedding for each in answer.parse().data] == [VECTOR, VECTOR]
    assert answer.headers["openai-version"] == "2020-10-01"
    (arrived,) = upstreams[0].got
    assert arrived.path == "/v1/embeddings"
    assert arrived.headers["authorization"] == "Bearer sk-up"
    assert arrived.json["input"] == ["one", "two"]
    row = Row(gateway, answer.headers["x-request-id"])
    assert (row.input, row.output, row.quota, row.source) == (7, 0, 7, "upstream")
    assert row.other["request_path"] == "/v1/embeddings"


def test_bytes_pass_as_they_came(gateway: Gateway, upstreams: Any) -> None:
    body = b'{"input":  "\\u00e9", "model":"embed-model" , "dimensions": 2, "new_field": {"kept": 1.0}}'
    headers = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}
    answer = requests.post(f"{gateway.base}/v1/embeddings", data=body, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 200
    assert upstreams[0].got[0].body == body


def test_another_name_up_there_is_told_under_the_one_that_was_asked_for(gateway: Gateway, upstreams: Any) -> None:
    answer = gateway.post("/v1/embeddings", {"model": "asked-model", "input": "x"})
    (arrived,) = upstreams[1].got
    assert (arrived.path, arrived.json["model"]) == ("/embed/here", "sent-model")
    assert answer.json()["model"] == "asked-model"
    assert Row(gateway, answer.headers["x-request-id"]).other["upstream_model_name"] == "sent-model"


def test_the_model_may_stand_in_the_path(gateway: Gateway, upstreams: Any) -> None:
    answer = gateway.post("/v1/engines/asked-model/embeddings", {"input": "x"})
    assert answer.status_code == 200
    assert upstreams[1].got[0].json == {"input": "x", "model": "sent-model"}


def test_a_broken_channel_is_another_channels_call(gateway: Gateway, upstreams: Any) -> None:
    answer = gateway.post("/v1/embeddings", {"model": "twice-model", "input": "x"})
    assert answer.status_code == 200
    row = Row(gateway, answer.headers["x-request-id"])
    assert row.other["admin_info"]["use_channel"] == ["broken", "sound"]
    assert row.quota == 7


def test_a_channel_that_cannot_take_the_call_is_never_drawn(gateway: Gateway, upstreams: Any) -> None:
    for _ in range(12):
        assert gateway.post("/v1/embeddings", {"model": "first-model", "input": "x"}).status_code == 200
    assert not upstreams[1].got, "a provider of conversations alone was asked for vectors"
    upstreams[1].script = upstreams[0].script = lambda say: say.whole(plain.whole("openai.chat"))
    asked = {"model": "embed-model", "messages": [{"role": "user", "content": "hi"}]}
    assert gateway.post("/v1/chat/completions", asked).status_code == 200, "both formats of one provider are served"


def test_a_model_of_no_such_channel_is_refused_with_what_to_do(gateway: Gateway) -> None:
    refused = gateway.post(
        "/v1/chat/completions", {"model": "asked-model", "messages": [{"role": "user", "content": "x"}]}
    )
    assert refused.status_code == 404
    assert "takes openai.chat requests" in refused.json()["error"]["message"]
    assert refused.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"model": "embed-model"}, "input"),
        ({"model": "embed-model", "input": {"a": 1}}, "input"),
        ({"model": "embed-model", "input": ["x", True]}, "input[1]"),
        ({"model": "embed-model", "input": "x", "dimensions": 0}, "dimensions"),
        ({"model": 7, "input": "x"}, "model"),
        ({"input": "x"}, "model"),
    ],
)
def test_what_no_provider_takes_is_refused_here_and_costs_nothing(
    gateway: Gateway, upstreams: Any, body: Any, field: str
) -> None:
    refused = gateway.post("/v1/embeddings", body)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert field in error["message"]
    assert not upstreams[0].got


@pytest.mark.parametrize(("given", "least", "most"), [("word " * 40, 40, 60), ([[1, 2, 3], [4, 5]], 5, 10)])
def test_what_the_provider_does_not_tell_is_counted(
    gateway: Gateway, upstreams: Any, given: Any, least: int, most: int
) -> None:
    upstreams[0].script = lambda say: embeddings(say, None)
    answer = gateway.post("/v1/embeddings", {"model": "embed-model", "input": given})
    row = Row(gateway, answer.headers["x-request-id"])
    assert least <= row.input <= most
    assert row.quota >= row.input
    assert row.source != "upstream"


def test_an_error_is_told_in_the_callers_dialect_and_is_free(gateway: Gateway, upstreams: Any) -> None:
    said = {
        "error": {
            "message": "sk-up is no key of ours",
            "type": "invalid_request_error",
            "code": "bad",
            "param": "input",
        }
    }
    upstreams[0].script = lambda say: say.whole(said, 400)
    client = openai.OpenAI(api_key=gateway.key, base_url=f"{gateway.base}/v1", max_retries=0)
    with client, pytest.raises(openai.BadRequestError) as raised:
        client.embeddings.create(model="embed-model", input="x")
    assert raised.value.code == "bad"
    assert "sk-up" not in str(raised.value)


@pytest.mark.parametrize("said", [b"", b"no json", b"[]", b'{"data": [', b'{"usage": {"prompt_tokens": "many"}}'])
def test_what_is_no_answer_is_the_providers_failure(gateway: Gateway, upstreams: Any, said: bytes) -> None:
    upstreams[0].script = lambda say: say.whole(said)
    answer = gateway.post("/v1/embeddings", {"model": "embed-model", "input": "x"})
    assert answer.status_code in (200, 502)
    assert answer.json()


def test_strangers_are_refused(gateway: Gateway) -> None:
    refused = requests.post(
        f"{gateway.base}/v1/embeddings", json={"model": "embed-model", "input": "x"}, timeout=PATIENCE
    )
    assert refused.status_code == 401
