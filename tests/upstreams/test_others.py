"""Baidu's version 1 and Voyage through the gateway, and what their scripted services refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
import requests

from tests.relay.scripted import Upstream
from tests.relay.test_metering import Row
from tests.support import PATIENCE, Gateway, serving
from tests.upstreams import baidu, voyage
from tests.upstreams.strict import channel, route


@pytest.fixture(scope="module")
def wenxin() -> Iterator[baidu.Wenxin]:
    made = baidu.Wenxin()
    yield made
    made.upstream.close()


@pytest.fixture(scope="module")
def vectors() -> Iterator[Upstream]:
    made = voyage.voyage()
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, wenxin: baidu.Wenxin, vectors: Upstream) -> Iterator[Gateway]:
    env = {
        "GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{wenxin.upstream.port},127.0.0.1:{vectors.port}",
        "GATEWRIGHT_KEY_B": f"{baidu.ID}|{baidu.SECRET}",
        "GATEWRIGHT_KEY_V": voyage.KEY,
    }
    documents = route(
        channel("baidu", "baidu-v1", wenxin.upstream.base, "B", "ERNIE-4.0-8K", "eb-instant"),
        channel("voyage", "voyage", vectors.base, "V", "voyage-3.5", "rerank-2.5", "unknown-model"),
    )
    made = Gateway(tmp_path_factory.mktemp("others"), specs={"own.yaml": documents}, env=env)
    with serving(made):
        yield made
        assert baidu.SECRET not in made.output


SAID: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]


def chat(gateway: Gateway, model: str = "ERNIE-4.0-8K", text: str = "Hello", **more: Any) -> requests.Response:
    return gateway.post(
        "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": text}], **more}
    )


def test_a_key_becomes_a_token_in_the_address(gateway: Gateway, wenxin: baidu.Wenxin) -> None:
    wenxin.upstream.got.clear()
    with openai.OpenAI(api_key=gateway.key, base_url=f"{gateway.base}/v1", max_retries=0) as sdk:
        whole = sdk.chat.completions.create(model="ERNIE-4.0-8K", messages=SAID, temperature=2, max_tokens=1)
        pieces = list(sdk.chat.completions.create(model="eb-instant", messages=SAID, stream=True))
    assert whole.choices[0].message.content == "Hi!"
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (5, 2)
    assert "".join(one.choices[0].delta.content or "" for one in pieces if one.choices) == "Hi!"
    token, first, second = wenxin.upstream.got
    assert token.path.startswith("/oauth/2.0/token?grant_type=client_credentials&client_id=client-id-1&")
    path = "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat"
    held = f"?access_token={wenxin.tokens[-1]}"
    assert [first.path, second.path] == [f"{path}/completions_pro{held}", f"{path}/eb-instant{held}"]
    assert first.json["system"] == "Be brief."
    assert (first.json["temperature"], first.json["max_output_tokens"]) == (1, 2)


def test_claude_s_sdk_reads_it(gateway: Gateway) -> None:
    said: Any = [{"role": "user", "content": "Hello"}]
    with anthropic.Anthropic(api_key=gateway.key, base_url=gateway.base, max_retries=0) as sdk:
        assert sdk.messages.create(model="eb-instant", max_tokens=9, messages=said).content[0].text == "Hi!"


def test_a_token_that_ended_early_is_another_at_the_next_call(gateway: Gateway, wenxin: baidu.Wenxin) -> None:
    assert chat(gateway).status_code == 200
    wenxin.ended.update(wenxin.tokens)
    assert chat(gateway).status_code == 502  # told under status 200, so it is known too late for this call
    assert chat(gateway).status_code == 200


def test_errors_under_status_200_have_their_meaning(gateway: Gateway) -> None:
    answer = chat(gateway, text="too long")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


def test_voyage_s_words_are_its_own(gateway: Gateway, vectors: Upstream) -> None:
    vectors.got.clear()
    with openai.OpenAI(api_key=gateway.key, base_url=f"{gateway.base}/v1", max_retries=0) as sdk:
        raw = sdk.embeddings.with_raw_response.create(
            model="voyage-3.5", input=["a"] * 1001, dimensions=512, encoding_format="float", user="u"
        )
    answer = raw.parse()
    assert [one.index for one in answer.data] == list(range(1001))
    assert [len(one.json["input"]) for one in vectors.got] == [1000, 1]
    assert vectors.got[0].json["output_dimension"] == 512
    assert Row(gateway, raw.headers["x-request-id"]).input == 3003
    body = {"model": "rerank-2.5", "query": "q", "documents": ["one", {"text": "two"}], "top_n": 1}
    ranked = gateway.post("/v1/rerank", body)
    assert ranked.json()["results"] == [{"index": 0, "relevance_score": 1.0}]
    assert vectors.got[-1].json == {"model": "rerank-2.5", "query": "q", "documents": ["one", "two"], "top_k": 1}
    assert Row(gateway, ranked.headers["x-request-id"]).input == 26


def test_what_voyage_refuses_is_told(gateway: Gateway) -> None:
    answer = gateway.post("/v1/embeddings", {"model": "unknown-model", "input": "x"})
    assert answer.status_code == 400
    assert "is not supported" in answer.text


# -- the services themselves

CHAT = "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/eb-instant?access_token="
HI = [{"role": "user", "content": "Hi"}]
WENXIN: dict[str, tuple[str, Any, int]] = {
    "no token": (CHAT, {"messages": HI}, 110),
    "an unknown model": (CHAT.replace("eb-instant", "gpt") + "TOKEN", {"messages": HI}, 3),
    "no JSON": (CHAT + "TOKEN", "{", 336002),
    "an unknown member": (CHAT + "TOKEN", {"messages": HI, "model": "x"}, 336003),
    "two turns": (CHAT + "TOKEN", {"messages": HI * 2}, 336006),
    "the assistant first": (CHAT + "TOKEN", {"messages": [{"role": "assistant", "content": "x"}]}, 336006),
    "an empty turn": (CHAT + "TOKEN", {"messages": [{"role": "user", "content": ""}]}, 336006),
    "no temperature": (CHAT + "TOKEN", {"messages": HI, "temperature": 0}, 336003),
    "a penalty below one": (CHAT + "TOKEN", {"messages": HI, "penalty_score": 0.5}, 336003),
    "one token": (CHAT + "TOKEN", {"messages": HI, "max_output_tokens": 1}, 336003),
    "a long prompt": (CHAT + "TOKEN", {"messages": [{"role": "user", "content": "long"}]}, 336103),
}


@pytest.mark.parametrize("case", WENXIN)
def test_wenxin_refuses(wenxin: baidu.Wenxin, case: str) -> None:
    path, body, code = WENXIN[case]
    wenxin.tokens.append("24.mine")
    data = {"data": body} if isinstance(body, str) else {"json": body}
    url = wenxin.upstream.base + path.replace("TOKEN", "24.mine")
    answer = requests.post(url, timeout=PATIENCE, **data)
    assert (answer.status_code, answer.json()["error_code"]) == (200, code)


VOYAGE: dict[str, tuple[str, Any, int]] = {
    "no key": ("/v1/embeddings", None, 401),
    "another path": ("/embeddings", {}, 404),
    "no JSON": ("/v1/embeddings", "{", 400),
    "OpenAI's dimensions": ("/v1/embeddings", {"model": "voyage-3.5", "input": "x", "dimensions": 256}, 400),
    "a caller's name": ("/v1/embeddings", {"model": "voyage-3.5", "input": "x", "user": "u"}, 400),
    "floats by name": ("/v1/embeddings", {"model": "voyage-3.5", "input": "x", "encoding_format": "float"}, 400),
    "an odd dimension": ("/v1/embeddings", {"model": "voyage-3.5", "input": "x", "output_dimension": 7}, 400),
    "tokens": ("/v1/embeddings", {"model": "voyage-3.5", "input": [1, 2]}, 400),
    "too many texts": ("/v1/embeddings", {"model": "voyage-3.5", "input": ["x"] * 1001}, 400),
    "an unknown model": ("/v1/embeddings", {"model": "ada", "input": "x"}, 400),
    "Cohere's top_n": ("/v1/rerank", {"model": "rerank-2.5", "query": "x", "documents": ["x"], "top_n": 1}, 400),
    "maps as documents": ("/v1/rerank", {"model": "rerank-2.5", "query": "x", "documents": [{"text": "x"}]}, 400),
}


@pytest.mark.parametrize("case", VOYAGE)
def test_voyage_refuses(vectors: Upstream, case: str) -> None:
    path, body, status = VOYAGE[case]
    headers = {} if body is None else {"authorization": f"Bearer {voyage.KEY}"}
    data = {"data": body} if isinstance(body, str) else {"json": body}
    assert requests.post(vectors.base + path, headers=headers, timeout=PATIENCE, **data).status_code == status
