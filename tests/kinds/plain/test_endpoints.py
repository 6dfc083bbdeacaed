"""Every endpoint beside chat, through a running gateway: what goes up, what comes back, and what it costs, by hand.

Prices: two dollars a million tokens in (a token is a unit of quota), eight out (four units); four cents a picture
(20,000 units); 15 cents for 10,000 characters (7.5 units a character); a cent a second (5,000 units).
"""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import requests
from google import genai

from tests.relay.scripted import Say, Upstream
from tests.relay.test_metering import Row
from tests.support import PATIENCE, Gateway, serving

SOUND = b"RIFF\x00\xff" * 2000
PIXEL = b"\x89PNG\r\n\x1a\n--cut\r\n\x00"
DOCUMENTS = """
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: all-of-it}}
extends: openai-host
spec: {{baseUrl: {base}, auth: {{scheme: none}}, models: [m-tokens, m-pictures, m-characters, m-seconds]}}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: vectors-of-another}}
spec:
  baseUrl: {base}
  formats:
    gemini.embed: {{path: "/e/{{model}}:batchEmbedContents"}}
    alibaba.rerank: {{path: /text-rerank}}
    cloudflare.run: {{path: "/run/{{model}}"}}
  auth: {{scheme: none}}
  models: [m-mapped]
---
apiVersion: gatewright/v1
kind: Route
metadata: {{name: r}}
spec:
  channels:
    - {{name: renamed, provider: all-of-it, models: [asked-name], modelMapping: {{asked-name: sent-name}}}}
---
apiVersion: gatewright/v1
kind: Price
metadata: {{name: own}}
spec:
  models:
    - {{names: [m-tokens, asked-name, m-mapped, b-openai, b-cohere], tokens: {{input: 2, output: 8}}}}
    - {{names: [m-pictures], call: 0, pictures: [{{price: 0.04}}]}}
    - {{names: [m-characters], characters: 0.15}}
    - {{names: [m-seconds], second: 0.01}}
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Gateway]:
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}"}
    batched = [("openai.embeddings", "b-openai"), ("cohere.embed", "b-cohere")]
    more = [BATCHED.format(base=upstream.base, hop=hop, model=model) for hop, model in batched]
    more = [text.replace("three-at-once", f"three-{number}") for number, text in enumerate(more)]
    specs = {"own.yaml": "---".join([DOCUMENTS.format(base=upstream.base), *more])}
    gateway = Gateway(tmp_path_factory.mktemp("endpoints"), specs=specs, env=env, priced=True)
    with serving(gateway):
        yield gateway


@pytest.fixture
def gateway(running: Gateway, upstream: Upstream) -> Gateway:
    upstream.got.clear()
    return running


def client(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(api_key=gateway.key, base_url=f"{gateway.base}/v1", max_retries=0)


def usage(sent: int, told: int) -> dict[str, int]:
    return {"prompt_tokens": sent, "completion_tokens": told, "total_tokens": sent + told}


def tokens(sent: int, told: int) -> dict[str, int]:
    return {"input_tokens": sent, "output_tokens": told, "total_tokens": sent + told}


PROMPT = {"model": "m-tokens", "prompt": "Once", "suffix": "end", "max_tokens": 5}
RERANK = {"model": "m-tokens", "query": "one", "documents": ["one", "two"], "top_n": 2}
PRICED = [
    ("completions", PROMPT, {"choices": [], "usage": usage(1, 1)}, 1 + 4),
    ("completions", PROMPT, {"choices": [], "usage": usage(100_000, 20_000)}, 100_000 + 80_000),
    ("completions", PROMPT, {"choices": [], "usage": usage(7, 0)}, 7),
    ("rerank", RERANK, {"results": [], "usage": usage(10, 0)}, 10),
    ("rerank", RERANK, {"results": [], "meta": {"tokens": tokens(90_000, 0)}}, 90_000),
    ("rerank", RERANK, {"results": [], "meta": {"billed_units": tokens(3, 1)}}, 3 + 4),
    ("moderations", {"model": "m-tokens", "input": "Hello."}, {"results": []}, 2 + 3),
    ("moderations", {"model": "m-tokens", "input": ["Hello."] * 9}, {"results": [], "usage": usage(50_000, 0)}, 50_000),
    ("moderations", {"model": "m-tokens", "input": "x"}, {"results": [], "usage": usage(9, 2)}, 9 + 2 * 4),
    ("images/generations", {"model": "m-pictures", "prompt": "a cat"}, {"data": [{"url": "u"}]}, 20_000),
    (
        "images/generations",
        {"model": "m-pictures", "prompt": "a", "n": 4},
        {"data": [{"b64_json": "QQ=="}] * 4},
        80_000,
    ),
    (
        "images/generations",
        {"model": "m-tokens", "prompt": "a"},
        {"data": [{}], "usage": tokens(11, 4160)},
        11 + 16_640,
    ),
]


@pytest.mark.parametrize(("path", "body", "said", "quota"), PRICED)
def test_a_whole_answer_passes_and_costs_what_it_costs_by_hand(
    gateway: Gateway, upstream: Upstream, path: str, body: Any, said: Any, quota: int
) -> None:
    upstream.script = lambda say: say.whole(said)
    answer = gateway.post(f"/v1/{path}", body)
    assert answer.status_code == 200, answer.text
    assert said.items() <= answer.json().items()
    (arrived,) = upstream.got
    assert (arrived.path, arrived.json) == (f"/v1/{path}", body)
    assert Row(gateway, answer.headers["x-request-id"]).quota == quota


@pytest.mark.parametrize(("text", "quota"), [("Hello.", 45), ("x" * 4000, 30_000), ("\u00e9\U0001f600!", 23)])
def test_speech_passes_as_bytes_and_costs_by_the_character(
    gateway: Gateway, upstream: Upstream, text: str, quota: int
) -> None:
    upstream.script = lambda say: say.whole(SOUND, kind="audio/mpeg")
    with client(gateway) as sdk:
        answer = sdk.audio.speech.with_raw_response.create(model="m-characters", input=text, voice="alloy", speed=1.25)
    assert answer.content == SOUND
    assert answer.headers["content-type"] == "audio/mpeg"
    assert upstream.got[0].json["speed"] == 1.25
    row = Row(gateway, answer.headers["x-request-id"])
    assert (row.input, row.quota) == (len(text), quota)


@pytest.mark.parametrize(
    ("said", "quota"),
    [
        ({"text": "Hi.", "usage": {"type": "duration", "seconds": 3}}, 15_000),
        ({"text": "Hi.", "duration": 600.0}, 3_000_000),
        ({"text": "Hi.", "duration": 0.6}, 5_000),
    ],
)
def test_a_form_passes_byte_for_byte_and_costs_by_the_second(
    gateway: Gateway, upstream: Upstream, said: Any, quota: int
) -> None:
    upstream.script = lambda say: say.whole(said)
    with client(gateway) as sdk:
        answer = sdk.audio.transcriptions.with_raw_response.create(
            model="m-seconds", file=("a.wav", SOUND, "audio/wav")
        )
    assert json.loads(answer.content) == said
    (arrived,) = upstream.got
    assert arrived.path == "/v1/audio/transcriptions"
    assert SOUND in arrived.body
    assert arrived.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert Row(gateway, answer.headers["x-request-id"]).quota == quota


def test_another_name_up_there_changes_one_part_of_a_form_alone(gateway: Gateway, upstream: Upstream) -> None:
    upstream.script = lambda say: say.whole({"data": [{}], "usage": tokens(1, 1)})
    files = {"image": ("cat.png", PIXEL, "image/png"), "mask": ("m.png", PIXEL, "image/png")}
    headers = {"authorization": f"Bearer {gateway.key}"}
    form = {"model": "asked-name", "prompt": "hat"}
    answer = requests.post(f"{gateway.base}/v1/images/edits", data=form, files=files, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    body = upstream.got[0].body
    assert body.count(PIXEL) == 2
    assert b'name="model"\r\n\r\nsent-name\r\n' in body
    assert b"asked-name" not in body
    boundary = upstream.got[0].headers["content-type"].partition("boundary=")[2].encode()
    assert body.endswith(b"--" + boundary + b"--\r\n")


@pytest.mark.parametrize("kind", ["text/plain; charset=utf-8", "application/x-subrip"])
def test_an_answer_that_is_a_text_passes(gateway: Gateway, upstream: Upstream, kind: str) -> None:
    upstream.script = lambda say: say.whole(b"1\n00:00 --> 00:01\nHi.\n", kind=kind)
    answer = requests.post(
        f"{gateway.base}/v1/audio/transcriptions", data={"model": "m-tokens", "response_format": "srt"},
        files={"file": ("a.mp3", SOUND)}, headers={"authorization": f"Bearer {gateway.key}"}, timeout=30,
    )  # fmt: skip
    assert (answer.text, answer.headers["content-type"]) == ("1\n00:00 --> 00:01\nHi.\n", kind)
    assert Row(gateway, answer.headers["x-request-id"]).input == len(SOUND) // 960


def event(data: Any) -> bytes:
    return b"data: %b\n\n" % (data if isinstance(data, bytes) else json.dumps(data).encode())


def test_a_stream_passes_and_its_usage_is_charged(gateway: Gateway, upstream: Upstream) -> None:
    words = [{"id": "c", "model": "sent-name", "choices": [{"text": text}]} for text in (" up", "on")]
    last = {"id": "c", "model": "sent-name", "choices": [], "usage": usage(10, 5)}
    upstream.script = lambda say: say.events(*map(event, [*words, last, b"[DONE]"]))
    with client(gateway) as sdk:
        raw = sdk.completions.with_raw_response.create(model="asked-name", prompt="Once", stream=True)
        told = list(raw.parse())
    assert "".join(one.choices[0].text for one in told if one.choices) == " upon"
    assert {one.model for one in told} == {"asked-name"}
    row = Row(gateway, raw.headers["x-request-id"])
    assert (row.input, row.output, row.quota) == (10, 5, 10 + 20)


def test_a_stream_that_breaks_off_is_told_so_and_its_input_is_paid(gateway: Gateway, upstream: Upstream) -> None:
    def cut(say: Say) -> None:
        say.events(event({"choices": [{"text": "up"}]}), end=False)
        say.sock.shutdown(socket.SHUT_RDWR)

    upstream.script = cut
    headers = {"authorization": f"Bearer {gateway.key}"}
    body = {**PROMPT, "stream": True}
    answer = requests.post(f"{gateway.base}/v1/completions", json=body, headers=headers, timeout=PATIENCE)
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[0]["choices"][0]["text"] == "up"
    assert events[-1]["error"]["message"]
    assert "[DONE]" not in answer.text
    row = Row(gateway, answer.headers["x-request-id"])
    assert row.quota > 0
    assert row.other["stream_status"]["end_reason"] == "cut"


def test_vectors_of_another_vendor(gateway: Gateway, upstream: Upstream) -> None:
    upstream.script = lambda say: say.whole({"embeddings": [{"values": [0.5, 1]}, {"values": [0, 2]}]})
    with client(gateway) as sdk:
        answer = sdk.embeddings.create(model="m-mapped", input=["one", "two"], dimensions=2, encoding_format="float")
    assert [one.embedding for one in answer.data] == [[0.5, 1], [0, 2]]
    assert [one.index for one in answer.data] == [0, 1]
    assert answer.model == "m-mapped"
    (arrived,) = upstream.got
    assert arrived.path == "/e/m-mapped:batchEmbedContents"
    assert arrived.json["requests"][1]["content"] == {"parts": [{"text": "two"}]}
    assert arrived.json["requests"][1]["outputDimensionality"] == 2


def test_each_client_gets_its_own_answer_of_rerank(gateway: Gateway, upstream: Upstream) -> None:
    results = [{"index": 1, "relevance_score": 0.9, "document": {"text": "two"}}]
    upstream.script = lambda say: say.whole({"output": {"results": results}, "usage": {"total_tokens": 12}})
    body = {**RERANK, "model": "m-mapped"}
    first, second = gateway.post("/v1/rerank", body), gateway.post("/v2/rerank", body)
    assert first.json()["results"] == results
    assert second.json()["meta"]["billed_units"] == {"input_tokens": 12}
    assert second.json()["results"] == [{"index": 1, "relevance_score": 0.9}]
    assert [one.json["input"]["query"] for one in upstream.got] == ["one", "one"]
    assert Row(gateway, second.headers["x-request-id"]).quota == 12


def test_a_file_alone_goes_up_where_the_provider_takes_no_form(gateway: Gateway, upstream: Upstream) -> None:
    upstream.script = lambda say: say.whole({"result": {"text": "Hi."}, "success": True})
    with client(gateway) as sdk:
        answer = sdk.audio.transcriptions.create(model="m-mapped", file=("a.wav", SOUND, "audio/wav"))
    assert answer.text == "Hi."
    assert upstream.got[0].body == SOUND
    assert upstream.got[0].headers["content-type"] == "audio/wav"


BAD = [
    ("completions", {"model": "m-tokens"}, "prompt"),
    ("moderations", {"model": "m-tokens", "input": 7}, "input"),
    ("rerank", {"model": "m-tokens", "query": "x", "documents": []}, "documents"),
    ("images/generations", {"model": "m-tokens", "prompt": "x", "n": 0}, "n"),
    ("audio/speech", {"model": "m-tokens", "input": ["x"]}, "input"),
    ("audio/transcriptions", {"model": "m-tokens"}, "multipart/form-data"),
]


@pytest.mark.parametrize(("path", "body", "word"), BAD)
def test_bad_input_is_refused_here_and_named(
    gateway: Gateway, upstream: Upstream, path: str, body: Any, word: str
) -> None:
    refused = gateway.post(f"/v1/{path}", body)
    assert 400 <= refused.status_code < 500
    assert word in refused.json()["error"]["message"]
    assert not upstream.got


FORMS = [
    b"",
    b"--other\r\n",
    b'--cut\r\nContent-Disposition: form-data; name="file"\r\n\r\nhalf',
    b"--cut\r\nContent-Type: text/plain\r\n\r\nno name\r\n--cut--\r\n",
    b'--cut\r\nContent-Disposition: form-data; name="model"\r\n\r\n\xff\xfe\r\n--cut--\r\n',
    b'--cut\r\nContent-Disposition: form-data; name="model"\r\n\r\nm-tokens\r\n--cut--\r\n',
    b"--cut--\r\n",
]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_form_is_refused(gateway: Gateway, upstream: Upstream, form: bytes) -> None:
    headers = {"authorization": f"Bearer {gateway.key}", "content-type": "multipart/form-data; boundary=cut"}
    refused = requests.post(f"{gateway.base}/v1/audio/transcriptions", data=form, headers=headers, timeout=PATIENCE)
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"]["message"]
    assert not upstream.got


@pytest.mark.parametrize(
    "path",
    [
        "completions",
        "moderations",
        "rerank",
        "images/generations",
        "images/edits",
        "audio/speech",
        "audio/transcriptions",
    ],
)
def test_strangers_are_refused(gateway: Gateway, path: str) -> None:
    assert requests.post(f"{gateway.base}/v1/{path}", json={"model": "m-tokens"}, timeout=PATIENCE).status_code == 401
    assert (
        requests.post(
            f"{gateway.base}/v1/{path}", json={}, headers={"authorization": "Bearer sk-x"}, timeout=30
        ).status_code
        == 401
    )


def test_pictures_are_told_as_they_came(gateway: Gateway, upstream: Upstream) -> None:
    data = base64.b64encode(PIXEL).decode()
    partial = {"type": "image_generation.partial_image", "b64_json": data}
    done = {"type": "image_generation.completed", "b64_json": data, "usage": tokens(20, 100)}
    upstream.script = lambda say: say.events(*map(event, [partial, done]))
    answer = requests.post(
        f"{gateway.base}/v1/images/generations", json={"model": "m-tokens", "prompt": "a cat", "stream": True},
        headers={"authorization": f"Bearer {gateway.key}"}, timeout=30,
    )  # fmt: skip
    assert answer.content == event(partial) + event(done)
    assert Row(gateway, answer.headers["x-request-id"]).quota == 20 + 400


BATCHED = """
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: three-at-once}}
spec:
  baseUrl: {base}
  formats: {{{hop}: {{path: /embed, batch: {{at: input, most: 3}}}}}}
  auth: {{scheme: none}}
  models: [{model}]
"""
TEXTS = [f"text {number}" for number in range(8)]


@pytest.mark.parametrize("model", ["b-openai", "b-cohere"])
def test_long_lists_go_up_in_parts_and_come_back_as_one(gateway: Gateway, upstream: Upstream, model: str) -> None:
    def script(say: Say) -> None:
        texts = say.arrived.json["input" if model == "b-openai" else "texts"]
        vectors = [[float(text.split()[1]), 1.0] for text in texts]
        data = [{"index": number, "embedding": one} for number, one in enumerate(vectors)]
        whole = {"data": data, "model": "up", "usage": {"prompt_tokens": len(texts), "total_tokens": len(texts)}}
        told = {"embeddings": {"float": vectors}, "meta": {"billed_units": {"input_tokens": len(texts)}}}
        say.whole(whole if model == "b-openai" else told)

    upstream.script = script
    with client(gateway) as sdk:
        raw = sdk.embeddings.with_raw_response.create(model=model, input=TEXTS, encoding_format="float")
    answer = raw.parse()
    assert [one.embedding[0] for one in answer.data] == list(map(float, range(8)))
    assert [one.index for one in answer.data] == list(range(8))
    assert (answer.usage.prompt_tokens, len(upstream.got)) == (8, 3)
    assert answer.model == model
    row = Row(gateway, raw.headers["x-request-id"])
    assert (row.input, row.quota) == (8, 8)


def test_a_part_that_fails_fails_the_call(gateway: Gateway, upstream: Upstream) -> None:
    def script(say: Say) -> None:
        say.whole({"error": {"message": "no more", "type": "x"}} if len(upstream.got) == 2 else {"data": []},
                  400 if len(upstream.got) == 2 else 200)  # fmt: skip

    upstream.script = script
    answer = gateway.post("/v1/embeddings", {"model": "b-openai", "input": TEXTS})
    assert answer.status_code == 400, answer.text
    assert len(upstream.got) == 2


def test_tokens_of_one_text_are_no_list_of_texts(gateway: Gateway, upstream: Upstream) -> None:
    upstream.script = lambda say: say.whole({"data": [], "usage": usage(5, 0)})
    assert gateway.post("/v1/embeddings", {"model": "b-openai", "input": [1, 2, 3, 4, 5]}).status_code == 200
    assert [one.json["input"] for one in upstream.got] == [[1, 2, 3, 4, 5]]


def gemini(gateway: Gateway, verb: str, body: Any, model: str = "m-tokens") -> requests.Response:
    headers = {"x-goog-api-key": gateway.key}
    return requests.post(f"{gateway.base}/v1beta/models/{model}:{verb}", json=body, headers=headers, timeout=PATIENCE)


def content(*texts: str) -> Any:
    return {"content": {"parts": [{"text": text} for text in texts]}}


@pytest.mark.parametrize(("verb", "count", "quota"), [("embedContent", 1, 3), ("batchEmbedContents", 2, 40_000)])
def test_gemini_callers_get_vectors_of_other_providers(
    gateway: Gateway, upstream: Upstream, verb: str, count: int, quota: int
) -> None:
    data = [{"index": number, "embedding": [number, 0.5]} for number in range(count)]
    upstream.script = lambda say: say.whole({"data": data, "usage": usage(quota, 0)})
    one = {**content("a", "b"), "outputDimensionality": 2, "taskType": "RETRIEVAL_QUERY"}
    answer = gemini(gateway, verb, one if count == 1 else {"requests": [one, content("c")]})
    assert answer.status_code == 200, answer.text
    vectors = [{"values": [number, 0.5]} for number in range(count)]
    told = answer.json()
    assert told["usageMetadata"]["promptTokenCount"] == quota
    assert told["embedding" if count == 1 else "embeddings"] == (vectors[0] if count == 1 else vectors)
    (arrived,) = upstream.got
    assert arrived.path == "/v1/embeddings"
    assert arrived.json == {"model": "m-tokens", "input": ["a\nb", "c"][:count], "dimensions": 2}
    assert "what the vector" in answer.headers["x-gatewright-loss"]
    assert Row(gateway, answer.headers["x-request-id"]).quota == quota


@pytest.mark.parametrize(
    ("verb", "body", "word"),
    [
        ("embedContent", {}, "content"),
        ("embedContent", {"content": {"parts": [{"inlineData": {}}]}}, "text"),
        ("batchEmbedContents", {"requests": []}, "requests"),
        ("embedContent", {**content("a"), "outputDimensionality": 0}, "outputDimensionality"),
    ],
)
def test_bad_input_is_told_in_gemini_s_words(
    gateway: Gateway, upstream: Upstream, verb: str, body: Any, word: str
) -> None:
    answer = gemini(gateway, verb, body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert word in error["message"]
    assert not upstream.got


def test_gemini_s_sdk_reads_vectors(gateway: Gateway, upstream: Upstream) -> None:
    upstream.script = lambda say: say.whole({"data": [{"index": 0, "embedding": [0.25]}], "usage": usage(2, 0)})
    options: Any = {"base_url": gateway.base}
    with genai.Client(api_key=gateway.key, http_options=options) as sdk:
        told = sdk.models.embed_content(model="m-tokens", contents="Hello")
    assert told.embeddings is not None
    assert told.embeddings[0].values == [0.25]
