"""Vertex AI by service account and by API key, read by official SDKs; tokens are shared and renewed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import openai
import pytest
import requests
from google import genai
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from tests.relay.scripted import Upstream
from tests.support import PATIENCE, Gateway, serving
from tests.upstreams import google
from tests.upstreams.strict import channel, route

MODELS = ("gemini-2.5-flash", "claude-opus-4-1-20250805", "claude-opus-4-8", "meta/llama-3.3-70b-instruct-maas")


def documents(base: str) -> str:
    """Channels of an account, of an API key, of an account that nobody knows, and one whose key has a wrong form."""
    mapped = {"by-key": "gemini-2.5-flash"}
    return route(
        channel("account", "vertex", base, "V", *MODELS, parameters={"region": "europe-west1"}),
        channel("key", "vertex-express", base, "E", "by-key", modelMapping=mapped),
        channel("stranger", "vertex", base, "X", "stranger"),
        channel("formless", "vertex", base, "E", "formless"),
    )


PLACE = "/v1/projects/my-project/locations/europe-west1"


@pytest.fixture(scope="module")
def vertex() -> Iterator[google.Vertex]:
    made = google.Vertex()
    yield made
    made.upstream.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, vertex: google.Vertex) -> Iterator[Gateway]:
    account = google.account(vertex.upstream.base)
    env = {
        "GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{vertex.upstream.port}",
        "GATEWRIGHT_KEY_V": json.dumps(account),
        "GATEWRIGHT_KEY_X": json.dumps({**account, "client_email": "stranger@x.test"}),
        "GATEWRIGHT_KEY_E": google.API_KEY,
    }
    specs = {"own.yaml": documents(vertex.upstream.base)}
    made = Gateway(tmp_path_factory.mktemp("google"), specs=specs, env=env, workers=2)
    with serving(made):
        yield made
        assert "PRIVATE KEY" not in made.output
        assert "must be a JSON object with the members client_email, private_key, project_id" in made.output


@pytest.fixture
def gateway(running: Gateway, vertex: google.Vertex) -> Gateway:
    vertex.upstream.got.clear()
    return running


def chat(gateway: Gateway, model: str) -> requests.Response:
    return gateway.post("/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": "Hello"}]})


def test_all_workers_have_one_token(gateway: Gateway, vertex: google.Vertex) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: chat(gateway, "gemini-2.5-flash"), range(24)))
    assert {one.status_code for one in answers} == {200}
    assert len(vertex.tokens) == 1
    assert sum(one.path == "/token" for one in vertex.upstream.got) == 1


def test_a_token_that_is_refused_is_renewed_once(gateway: Gateway, vertex: google.Vertex) -> None:
    assert chat(gateway, "gemini-2.5-flash").status_code == 200
    before = len(vertex.tokens)
    vertex.withdrawn.update(vertex.tokens)
    assert [chat(gateway, "gemini-2.5-flash").status_code for _ in range(6)] == [200] * 6
    assert len(vertex.tokens) == before + 1


def test_an_account_that_is_refused_is_told_without_its_key(gateway: Gateway) -> None:
    answer = chat(gateway, "stranger")
    assert answer.status_code == 502, answer.text
    assert "refused the gateway's credential" in answer.text
    assert "stranger@" not in answer.text
    assert "grant" not in answer.text


def test_gemini_is_read_by_its_sdk(gateway: Gateway, vertex: google.Vertex) -> None:
    options: Any = {"base_url": gateway.base}
    with genai.Client(api_key=gateway.key, http_options=options) as sdk:
        whole = sdk.models.generate_content(model="gemini-2.5-flash", contents="Hello")
        pieces = list(sdk.models.generate_content_stream(model="gemini-2.5-flash", contents="Hello"))
    assert whole.text == "Hi!"
    assert "".join(one.text or "" for one in pieces) == "Hi!"
    called = [one for one in vertex.upstream.got if one.path != "/token"]
    path = f"{PLACE}/publishers/google/models/gemini-2.5-flash"
    assert [one.path for one in called] == [f"{path}:generateContent", f"{path}:streamGenerateContent?alt=sse"]
    assert called[0].headers["x-goog-user-project"] == "my-project"


def test_claude_is_read_by_its_sdk(gateway: Gateway, vertex: google.Vertex) -> None:
    said: Any = {"model": "claude-opus-4-8", "max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}
    with anthropic.Anthropic(api_key=gateway.key, base_url=gateway.base, max_retries=0) as sdk:
        whole = sdk.messages.create(**said)
        with sdk.messages.stream(**said) as stream:
            told = stream.get_final_message()
    assert whole.content[0].text == told.content[0].text == "Hi!"
    assert (told.usage.input_tokens, told.usage.output_tokens) == (9, 3)
    called = [one.path for one in vertex.upstream.got if one.path != "/token"]
    path = f"{PLACE}/publishers/anthropic/models/claude-opus-4-8"
    assert called == [f"{path}:rawPredict", f"{path}:streamRawPredict"]


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("claude-opus-4-1-20250805", f"{PLACE}/publishers/anthropic/models/claude-opus-4-1@20250805:rawPredict"),
        ("gemini-2.5-flash", f"{PLACE}/publishers/google/models/gemini-2.5-flash:generateContent"),
        ("meta/llama-3.3-70b-instruct-maas", f"{PLACE.replace('v1', 'v1beta1')}/endpoints/openapi/chat/completions"),
        ("by-key", f"/v1/publishers/google/models/gemini-2.5-flash:generateContent?key={google.API_KEY}"),
    ],
)
def test_a_model_is_spoken_to_in_its_vendors_format(
    gateway: Gateway, vertex: google.Vertex, model: str, path: str
) -> None:
    with openai.OpenAI(api_key=gateway.key, base_url=f"{gateway.base}/v1", max_retries=0) as sdk:
        answer = sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}])
    assert answer.choices[0].message.content == "Hi!"
    assert [one.path for one in vertex.upstream.got if one.path != "/token"] == [path]


# -- the service itself


def authorised(vertex: google.Vertex, **changes: str) -> service_account.Credentials:
    info = {**google.account(vertex.upstream.base), **changes}
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
    made = service_account.Credentials.from_service_account_info(info, scopes=scopes)
    session = requests.Session()
    with session:
        made.refresh(Request(session))
    return made


def test_the_vendors_sdks_are_served(vertex: google.Vertex) -> None:
    token = authorised(vertex).token
    with anthropic.AnthropicVertex(
        region="europe-west1", project_id="my-project", base_url=f"{vertex.upstream.base}/v1", access_token=token
    ) as sdk:
        said: Any = {"max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}
        assert sdk.messages.create(model="claude-opus-4-8", **said).content[0].text == "Hi!"


HEAD = "/v1/projects/my-project/locations/global/publishers"
OPEN = "/v1beta1/projects/my-project/locations/l/endpoints/openapi/chat/completions"
GOOD = {"contents": [{"parts": [{"text": "Hello"}]}]}
CLAUDE = {"anthropic_version": "vertex-2023-10-16", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
REFUSED: dict[str, tuple[str, Any, str, int]] = {
    "no token": (f"{HEAD}/google/models/g:generateContent", GOOD, "", 401),
    "a made-up token": (f"{HEAD}/google/models/g:generateContent", GOOD, "ya29.x", 401),
    "another project": (f"{HEAD.replace('my-', 'your-')}/google/models/g:generateContent", GOOD, "ok", 403),
    "no contents": (f"{HEAD}/google/models/g:generateContent", {}, "ok", 400),
    "the model in the body": (f"{HEAD}/google/models/g:generateContent", {**GOOD, "model": "g"}, "ok", 400),
    "an unknown method": (f"{HEAD}/google/models/g:generate", GOOD, "ok", 404),
    "a stream of JSON": (f"{HEAD}/google/models/g:streamGenerateContent", GOOD, "ok", 400),
    "claude with its model": (f"{HEAD}/anthropic/models/c:rawPredict", {**CLAUDE, "model": "c"}, "ok", 400),
    "claude without version": (f"{HEAD}/anthropic/models/c:rawPredict", {"max_tokens": 5}, "ok", 400),
    "claude by its date": (f"{HEAD}/anthropic/models/c-20250805:rawPredict", CLAUDE, "ok", 404),
    "a wrong API key": ("/v1/publishers/google/models/g:generateContent?key=x", GOOD, "", 400),
    "a model without publisher": (OPEN, {"model": "x"}, "ok", 400),
    "no grant": ("/token", {}, "", 400),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_the_service_refuses(vertex: google.Vertex, case: str) -> None:
    path, body, token, status = REFUSED[case]
    if token == "ok":
        token = (
            vertex.tokens[-1]
            if vertex.tokens and vertex.tokens[-1] not in vertex.withdrawn
            else authorised(vertex).token
        )
    headers = {"authorization": f"Bearer {token}"} if token else {}
    assert (
        requests.post(vertex.upstream.base + path, json=body, headers=headers, timeout=PATIENCE).status_code == status
    )


WRONG: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
    lambda form: {**form, "assertion": form["assertion"][:-8] + "AAAAAAAA"},
    lambda form: {**form, "grant_type": "client_credentials"},
    lambda form: {**form, "assertion": "x"},
]


@pytest.mark.parametrize("change", WRONG)
def test_a_wrong_assertion_gets_no_token(
    vertex: google.Vertex, change: Callable[[Any], Any], upstream_form: Any
) -> None:
    form = change(upstream_form)
    assert requests.post(f"{vertex.upstream.base}/token", data=form, timeout=PATIENCE).status_code == 400


@pytest.fixture
def upstream_form(vertex: google.Vertex) -> dict[str, str]:
    authorised(vertex)
    last: Upstream = vertex.upstream
    body = next(one.body for one in reversed(last.got) if one.path == "/token").decode()
    return dict(pair.split("=", 1) for pair in body.split("&")) | {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"
    }
