"""What is not served is said so, with what is, in the dialect that the caller's headers show."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest
import requests
from google import genai
from google.genai import errors

from tests.support import PATIENCE, Gateway

NOT_SERVED = [
    "/v1/threads",
    "/v1/assistants",
    "/v1/fine_tuning/jobs",
    "/v1/vector_stores",
    "/v1beta/tunedModels",
    "/v1/x",
]
DIALECTS: list[tuple[dict[str, str], str, Any]] = [
    ({"authorization": "Bearer KEY"}, "POST /v1/chat/completions", lambda body: body["error"]["code"]),
    ({"x-api-key": "KEY", "anthropic-version": "2023-06-01"}, "POST /v1/messages", lambda body: body["error"]["type"]),
    ({"x-goog-api-key": "KEY"}, "POST /v1beta/models/{model}:generateContent", lambda body: body["error"]["status"]),
]
WORDS = ["unknown_url", "not_found_error", "NOT_FOUND"]


@pytest.mark.parametrize("path", NOT_SERVED)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_path_that_is_not_served_is_told_with_those_that_are(gateway: Gateway, path: str, method: str) -> None:
    for (headers, served, word), expected in zip(DIALECTS, WORDS, strict=True):
        sent = {name: value.replace("KEY", gateway.key) for name, value in headers.items()}
        answer = requests.request(method, gateway.base + path, headers=sent, timeout=PATIENCE)
        assert (answer.status_code, word(answer.json())) == (404, expected), answer.text
        message = answer.json()["error"]["message"]
        assert f"{method} {path};" in message
        assert served in message
        assert " ... " not in message, "the list of what is served is cut"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_official_clients_take_it_for_what_it_is(gateway: Gateway) -> None:
    with openai.OpenAI(api_key=gateway.key, base_url=f"{gateway.base}/v1", max_retries=0) as client:
        with pytest.raises(openai.NotFoundError, match="POST /v1/chat/completions"):
            client.fine_tuning.jobs.create(model="m", training_file="file-1")
        with pytest.raises(openai.NotFoundError, match="unknown URL: POST /v1/assistants"):
            client.beta.assistants.create(model="m")
    with (
        anthropic.Anthropic(api_key=gateway.key, base_url=gateway.base, max_retries=0) as claude,
        pytest.raises(anthropic.NotFoundError, match="POST /v1/messages"),
    ):
        claude.beta.skills.list()
    google = genai.Client(api_key=gateway.key, http_options={"base_url": gateway.base})
    with pytest.raises(errors.ClientError, match="generateContent"):
        google.caches.list()


def test_a_path_of_any_length_is_told_in_few_words(gateway: Gateway) -> None:
    answer = gateway.post("/v1/" + "x" * 4000, {})
    assert answer.status_code == 404
    assert len(answer.text) < 4000
