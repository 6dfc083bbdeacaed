"""Models that draw behind chat, and models that converse behind the Images API; each price worked out by hand.

A dollar is 500,000 units, so two dollars a million tokens are a unit a token.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
import requests
from google import genai

from tests.relay.scripted import Upstream
from tests.relay.test_metering import Row
from tests.support import PATIENCE, Gateway, serving
from tests.upstreams import pictures
from tests.upstreams.pictures import KEY, PNG
from tests.upstreams.strict import channel, route

PRICES = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: own}
spec:
  models:
    - {names: [gpt-image-1], tokens: {input: 4, input_image: 8, output: 40}}
    - names: [dall-e-3]
      pictures:
        - {size: 1024x1024, quality: standard, unsaid: true, price: 0.04}
        - {size: 1024x1792, quality: standard, price: 0.08}
        - {size: 1024x1792, quality: hd, price: 0.12}
    - {names: [gemini-2.5-flash-image, google/gemini-2.5-flash-image], tokens: {input: 2, output: 4, output_image: 20}}
"""
PICTURE = f"![image](data:image/png;base64,{PNG})"


@pytest.fixture(scope="module")
def drawn() -> Iterator[Upstream]:
    made = pictures.draws()
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, drawn: Upstream) -> Iterator[Gateway]:
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{drawn.port}", "GATEWRIGHT_KEY_D": KEY}
    documents = route(
        channel("openai", "openai", drawn.base, "D", "gpt-image-1", "dall-e-3"),
        channel("gemini", "gemini", drawn.base, "D", "gemini-2.5-flash-image"),
        channel("openrouter", "openrouter", drawn.base, "D", "google/gemini-2.5-flash-image"),
    )
    made = Gateway(
        tmp_path_factory.mktemp("pictures"), specs={"own.yaml": documents, "p.yaml": PRICES}, env=env, priced=True
    )
    with serving(made):
        yield made


@pytest.fixture
def gateway(running: Gateway, drawn: Upstream) -> Gateway:
    drawn.got.clear()
    return running


def sdk(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(api_key=gateway.key, base_url=f"{gateway.base}/v1", max_retries=0)


def asked(*said: Any, **more: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(said)], **more}


# 7 words at 2 units, 1,056 tokens of a picture at 20; 9 words, 200 tokens of a picture shown at 4. Pictures at 4, 8 and
# 12 cents.
CHATS: list[tuple[str, dict[str, Any], str, dict[str, Any], str, int]] = [
    ("gpt-image-1", asked("A cat."), "/v1/images/generations", {"prompt": "A cat."}, PICTURE, 7 * 2 + 1056 * 20),
    (
        "gpt-image-1",
        asked("A cat.", size="1024x1536", quality="high"),
        "/v1/images/generations",
        {"prompt": "A cat.", "size": "1024x1536", "quality": "high"},
        PICTURE,
        21_134,
    ),
    (
        "gpt-image-1",
        asked("A cat.", PICTURE, "With a hat."),
        "/v1/images/edits",
        {"prompt": "With a hat.", "images": [{"image_url": f"data:image/png;base64,{PNG}"}]},
        PICTURE,
        9 * 2 + 200 * 4 + 1056 * 20,
    ),
    (
        "dall-e-3",
        asked("A cat."),
        "/v1/images/generations",
        {"prompt": "A cat."},
        "![image](https://x.example/a.png)\nA black cat.",
        20_000,
    ),
    (
        "dall-e-3",
        asked("A cat.", size="1024x1792", quality="hd"),
        "/v1/images/generations",
        {"prompt": "A cat.", "size": "1024x1792", "quality": "hd"},
        "![image](https://x.example/a.png)\nA black cat.",
        60_000,
    ),
    (
        "dall-e-3",
        asked("A cat.", size="1024x1792", quality="standard"),
        "/v1/images/generations",
        {"prompt": "A cat.", "size": "1024x1792", "quality": "standard"},
        "![image](https://x.example/a.png)\nA black cat.",
        40_000,
    ),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("model", "body", "path", "sent", "said", "quota"), CHATS)
def test_a_picture_is_the_answer_of_a_chat(
    gateway: Gateway, drawn: Upstream, model: str, body: Any, path: str, sent: Any, said: str, quota: int, stream: bool
) -> None:
    extra = {name: body[name] for name in ("size", "quality") if name in body}
    with sdk(gateway) as client:
        raw = client.chat.completions.with_raw_response.create(
            model=model, messages=body["messages"], stream=stream, extra_body=extra
        )
        if stream:
            pieces = list(raw.parse())
            text = "".join(one.choices[0].delta.content or "" for one in pieces if one.choices)
        else:
            text = raw.parse().choices[0].message.content
    assert text == said
    (arrived,) = drawn.got
    assert (arrived.path, arrived.json) == (path, {"model": model, **sent})
    assert Row(gateway, raw.headers["x-request-id"]).quota == quota


def test_other_dialects_get_the_picture_in_their_own_place(gateway: Gateway, drawn: Upstream) -> None:
    options: Any = {"base_url": gateway.base, "api_version": "v1beta"}
    with genai.Client(api_key=gateway.key, http_options=options) as client:
        answer = client.models.generate_content(model="gpt-image-1", contents="A cat.")
    assert [part.inline_data.data for part in answer.candidates[0].content.parts] == [base64.b64decode(PNG)]
    shown = {"type": "base64", "media_type": "image/png", "data": PNG}
    content: Any = [{"type": "image", "source": shown}, {"type": "text", "text": "With a hat."}]
    with anthropic.Anthropic(api_key=gateway.key, base_url=gateway.base, max_retries=0) as claude:
        raw = claude.messages.with_raw_response.create(
            model="gpt-image-1", max_tokens=9, messages=[{"role": "user", "content": content}]
        )
    assert drawn.got[-1].path == "/v1/images/edits"
    assert "max_tokens" in raw.headers["x-gatewright-loss"]
    with sdk(gateway) as client:
        told = client.responses.create(model="gpt-image-1", input="A cat.")
    assert told.status == "completed"


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (asked("A forbidden thing."), 400, None),
        (asked("A cat.", size="7x7"), 400, "size"),
        (
            asked([{"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}], model="dall-e-3"),
            400,
            None,
        ),
    ],
)
def test_what_can_not_be_drawn_is_refused(gateway: Gateway, body: Any, status: int, param: str | None) -> None:
    answer = gateway.post("/v1/chat/completions", {"model": "gpt-image-1", **body})
    assert answer.status_code == status, answer.text
    assert param is None or answer.json()["error"]["param"] == param


def test_what_a_model_that_draws_takes_no_notice_of_is_told(gateway: Gateway) -> None:
    body = asked("A cat.", "Which?", "Black.", temperature=0.5, tools=[{"type": "function", "function": {"name": "f"}}])
    answer = gateway.post("/v1/chat/completions", {"model": "gpt-image-1", **body})
    assert answer.status_code == 200, answer.text
    lost = answer.headers["x-gatewright-loss"]
    assert all(word in lost for word in ("messages", "temperature", "tools")), lost


# 6 words at 1, 10 words out at 2, 1,290 tokens of the picture at 10.
ONE = 6 + 10 * 2 + 1290 * 10
IMAGES: list[tuple[str, dict[str, Any], int, dict[str, Any], int]] = [
    ("gemini-2.5-flash-image", {}, 1, {"responseModalities": ["IMAGE"]}, ONE),
    (
        "gemini-2.5-flash-image",
        {"size": "1536x1024", "n": 3},
        3,
        {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "3:2"}},
        3 * ONE,
    ),
    (
        "gemini-2.5-flash-image",
        {"size": "21:9", "quality": "high"},
        1,
        {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "21:9", "imageSize": "2K"}},
        ONE,
    ),
]


@pytest.mark.parametrize(("model", "more", "count", "config", "quota"), IMAGES)
def test_a_model_that_converses_serves_the_images_api(
    gateway: Gateway, drawn: Upstream, model: str, more: Any, count: int, config: Any, quota: int
) -> None:
    with sdk(gateway) as client:
        raw = client.images.with_raw_response.generate(model=model, prompt="A cat.", **more)
    answer = raw.parse()
    assert [one.b64_json for one in answer.data or ()] == [PNG] * count
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (6 * count, 1300 * count)
    assert [one.json["generationConfig"] for one in drawn.got] == [config] * count
    assert Row(gateway, raw.headers["x-request-id"]).quota == quota


def test_it_serves_edits_and_openrouters_as_well(gateway: Gateway, drawn: Upstream) -> None:
    with sdk(gateway) as client:
        picture = ("a.png", base64.b64decode(PNG), "image/png")
        edited = client.images.edit(model="gemini-2.5-flash-image", prompt="A hat.", image=picture)
        raw = client.images.with_raw_response.generate(model="google/gemini-2.5-flash-image", prompt="A cat.")
    assert edited.data is not None
    assert edited.data[0].b64_json == PNG
    first, second = drawn.got
    parts = first.json["contents"][0]["parts"]
    assert parts == [{"inlineData": {"mimeType": "image/png", "data": PNG}}, {"text": "A hat."}]
    assert second.path == "/v1/chat/completions"
    assert raw.parse().data[0].b64_json == PNG
    assert Row(gateway, raw.headers["x-request-id"]).quota == 5 + 10 * 2 + 1290 * 10


def test_a_chat_with_it_is_asked_for_words_and_pictures(gateway: Gateway, drawn: Upstream) -> None:
    body = asked("A cat.", image_config={"aspect_ratio": "16:9"}, reasoning_effort="high")
    answer = gateway.post("/v1/chat/completions", {"model": "gemini-2.5-flash-image", **body})
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == f"Here it is.{PICTURE}"
    config = drawn.got[0].json["generationConfig"]
    assert config == {"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspectRatio": "16:9"}}


@pytest.mark.parametrize("model", ["gemini-2.5-flash-image", "gpt-image-1"])
def test_a_refused_prompt_is_the_callers_fault(gateway: Gateway, model: str) -> None:
    answer = gateway.post("/v1/images/generations", {"model": model, "prompt": "forbidden"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] in ("content_policy_violation", "moderation_blocked"), answer.text


# -- the services themselves

CREATE, EDIT = "/v1/images/generations", "/v1/images/edits"
DRAW = "/v1beta/models/gemini-2.5-flash-image:generateContent"
HI = [{"parts": [{"text": "Hi"}]}]
REFUSED: dict[str, tuple[str, Any, int]] = {
    "no key": (CREATE, None, 401),
    "another path": ("/v1/images", {}, 404),
    "no JSON": (CREATE, "{", 400),
    "a chat's model": (CREATE, {"model": "gpt-4o", "prompt": "x"}, 400),
    "no prompt": (CREATE, {"model": "gpt-image-1"}, 400),
    "an unknown member": (CREATE, {"model": "gpt-image-1", "prompt": "x", "temperature": 1}, 400),
    "an odd size": (CREATE, {"model": "gpt-image-1", "prompt": "x", "size": "1x1"}, 400),
    "two of DALL-E": (CREATE, {"model": "dall-e-3", "prompt": "x", "n": 2}, 400),
    "DALL-E's quality": (CREATE, {"model": "gpt-image-1", "prompt": "x", "quality": "hd"}, 400),
    "no picture to change": (EDIT, {"model": "gpt-image-1", "prompt": "x", "images": []}, 400),
    "a picture by path": (EDIT, {"model": "gpt-image-1", "prompt": "x", "images": [{"image_url": "/a.png"}]}, 400),
    "a model that draws, in a chat": ("/v1/chat/completions", {"model": "gpt-image-1", "messages": []}, 404),
    "Gemini: no contents": (DRAW, {"contents": []}, 400),
    "Gemini: words alone": (DRAW, {"contents": HI, "generationConfig": {"responseModalities": ["TEXT"]}}, 400),
    "Gemini: an odd ratio": (DRAW, {"contents": HI, "generationConfig": {"imageConfig": {"aspectRatio": "7:1"}}}, 400),
    "Gemini: thinking": (DRAW, {"contents": HI, "generationConfig": {"thinkingConfig": {}}}, 400),
    "Gemini: OpenAI's words": (DRAW, {"prompt": "x"}, 400),
    "Gemini: another model": (DRAW.replace("-image", ""), {"contents": HI}, 404),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_services_refuse(drawn: Upstream, case: str) -> None:
    path, body, status = REFUSED[case]
    headers = {} if body is None else {"authorization": f"Bearer {KEY}", "x-goog-api-key": KEY}
    data = {"data": body} if isinstance(body, str) else {"json": body}
    assert requests.post(drawn.base + path, headers=headers, timeout=PATIENCE, **data).status_code == status
