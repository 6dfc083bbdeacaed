"""A curl command and its answer become a Provider whose own test passes; the key is written nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from engine.cli import main
from engine.compiler import spectests
from engine.errors import Invalid
from engine.moving import curl, proof

CHAT = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "acme-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}  # fmt: skip
MESSAGES = {
    "id": "m1", "type": "message", "role": "assistant", "model": "x-2", "stop_reason": "end_turn",
    "stop_sequence": None,
    "content": [{"type": "text", "text": "Hello."}], "usage": {"input_tokens": 3, "output_tokens": 2},
}  # fmt: skip
GENERATED = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello."}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}, "modelVersion": "g-1",
}  # fmt: skip
CASES = [
    (
        "curl -s https://llm.acme.example/api/v3/chat/completions -H 'Authorization: Bearer sk-hidden-1' \\\n"
        " -H 'Content-Type: application/json' -H 'X-Team: search' -d '{\"model\": \"acme-1\", \"messages\": []}'",
        CHAT, "openai.chat", "/api/v3/chat/completions", {"scheme": "bearer"}, "acme-1",
    ),
    (
        "curl --request POST --url=https://x.example/v1/messages --header 'x-api-key: sk-hidden-1'"
        " --data-raw '{\"model\":\"x-2\",\"max_tokens\":5,\"messages\":[]}'",
        MESSAGES, "anthropic.messages", "/v1/messages", {"scheme": "header", "name": "x-api-key"}, "x-2",
    ),
    (
        "curl 'https://g.example/v1beta/models/g-1:generateContent?key=sk-hidden-1&alt=json'"
        " --json '{\"contents\": []}'",
        GENERATED, "gemini.generateContent", "/v1beta/models/{model}:generateContent?alt=json",
        {"scheme": "query", "name": "key"}, "g-1",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("command", "answer", "spoken", "path", "auth", "model"), CASES, ids=lambda one: None)
def test_a_call_that_works_becomes_a_provider(command, answer, spoken, path, auth, model) -> None:
    text = curl.provider(command, answer, proof.shipped(), "acme")
    assert "sk-hidden" not in text
    document = yaml.safe_load(text)
    spec = document["spec"]
    assert spec["formats"] == {spoken: {"path": path}}
    assert (spec["auth"], spec["models"]) == (auth, [model])
    result = proof.compiled({"acme.yaml": text})
    assert proof.errors(result) == []
    outcomes = spectests.run(result, lambda definition: definition.title == "Provider/acme")
    assert [(one.ok, one.difference) for one in outcomes] == [(True, "")]


@pytest.mark.parametrize(
    ("command", "answer", "words"),
    [
        ("curl 'unclosed", CHAT, "can't be read"),
        ("curl ftp://x/y", CHAT, "no http or https"),
        ("", CHAT, "no http or https"),
        ("curl https://x.example/v1 -d @body.json", CHAT, "no JSON"),
        ("curl https://x.example/v1 -d '[1]'", CHAT, "no JSON object"),
        ("curl https://x.example/v1 -d '{}'", CHAT, "names a model"),
        ('curl https://x.example/v1 -d \'{"model": "m"}\'', {"odd": 1}, "no format reads"),
    ],
)
def test_what_is_no_such_call_is_told(command: str, answer: dict, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        curl.provider(command, answer, proof.shipped(), "acme")


def test_the_command_writes_a_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEWRIGHT_DATA", str(tmp_path / "data"))
    (tmp_path / "answer.json").write_text(json.dumps(CHAT))
    words = ["init", "provider", "--from-curl", CASES[0][0], "--answer", "answer.json", "--name", "acme"]
    told = CliRunner().invoke(main, words)
    assert (told.exit_code, "acme.key" in told.output) == (0, True), told.output
    assert "sk-hidden" not in (tmp_path / "acme.yaml").read_text() + told.output
    again = CliRunner().invoke(main, words)
    assert (again.exit_code, "there already" in again.output) == (1, True)
