"""Whatever reaches an upstream goes the metered way: each operation of each format is tried against one that counts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
import requests

from engine import paths
from engine.compiler.cache import load_or_compile
from engine.compiler.documents.schema import shape_of
from engine.program import load
from tests.formats.recorded import program
from tests.relay.test_background import Provider
from tests.relay.test_stored import answer_of
from tests.support import PATIENCE, until

ENDPOINTS = [
    pytest.param(name, endpoint, path, id=f"{name} {endpoint.method} {path}")
    for name, one in sorted(program().formats.items())
    if one.kind in ("conversation", "plain", "kept")  # tasks and sessions have tests of their own: tests/kinds
    for endpoint in one.endpoints
    for path in (endpoint.path, *endpoint.aliases)
]
MODELS = {
    "openai.chat": "chat-model",
    "openai.responses": "responses-model",
    "anthropic.messages": "claude-model",
    "gemini.generateContent": "gemini-model",
    "openai.embeddings": "embed-model",
    "gemini.embed": "embed-model",
    "gemini.embedContent": "embed-model",
    "openai.responses.compact": "kept-model",
    "openai.search": "kept-model",
    "cohere.chat": "cohere-model",
}
BODIES: dict[str, dict[str, Any]] = {
    "openai.chat": {"messages": [{"role": "user", "content": "x"}]},
    "openai.responses": {"input": "x"},
    "anthropic.messages": {"max_tokens": 5, "messages": [{"role": "user", "content": "x"}]},
    "gemini.generateContent": {"contents": [{"role": "user", "parts": [{"text": "x"}]}]},
    "openai.embeddings": {"input": "x"},
    "cohere.chat": {"messages": [{"role": "user", "content": "x"}]},
    "gemini.embedContent": {"content": {"parts": [{"text": "x"}]}},
    "gemini.embed": {"requests": [{"model": "models/embed-model", "content": {"parts": [{"text": "x"}]}}]},
    "openai.completions": {"prompt": "x"},
    "openai.moderations": {"input": "x"},
    "openai.images": {"prompt": "x"},
    "openai.speech": {"input": "x", "voice": "alloy"},
    "rerank": {"query": "x", "documents": ["y"]},
    "cohere.rerank": {"query": "x", "documents": ["y"]},
    "openai.responses.compact": {"input": "x"},
    "openai.search": {"commands": {}},
    "openai.uploads": {"purpose": "x", "filename": "y", "bytes": 1, "mime_type": "text/plain"},
}
FORMS = {
    "openai.images.edits": ({"prompt": "x"}, {"image": ("a.png", b"PNG", "image/png")}),
    "openai.images.variations": ({}, {"image": ("a.png", b"PNG", "image/png")}),
    "openai.transcriptions": ({}, {"file": ("a.wav", b"RIFF", "audio/wav")}),
    "openai.translations": ({}, {"file": ("a.wav", b"RIFF", "audio/wav")}),
    "openai.files": ({"purpose": "user_data"}, {"file": ("a.txt", b"x", "text/plain")}),
    "anthropic.files": ({}, {"file": ("a.txt", b"x", "text/plain")}),
}
"""Requests that are forms: members, and files."""


def request(fmt: str, endpoint: Any, path: str) -> dict[str, Any]:
    """What is sent to an endpoint, as `requests` takes it."""
    model = {} if "{model}" in path else {"model": MODELS.get(fmt, "host-model")}
    if endpoint.method != "POST" or "{id}" in path:
        return {}
    if fmt in FORMS:
        members, files = FORMS[fmt]
        return {"data": {**members, **model}, "files": files}
    return {"json": {**BODIES[fmt], **model}}


def booked(gateway, request_id: str) -> bool:
    with closing(sqlite3.connect(gateway.data / "gatewright.db")) as db:
        return bool(db.execute("SELECT 1 FROM logs WHERE type=2 AND request_id=?", (request_id,)).fetchone())


def background(gateway, one) -> tuple[str, str]:
    """An answer that is being made: its id, and that of its call. What is asked of it then ends it."""
    site = Provider(one)
    body = {"model": "responses-model", "input": "x", "background": True}
    made = gateway.post("/v1/responses", body)
    assert made.status_code == 200, made.text
    site.status = "completed"
    return made.json()["id"], made.headers["x-request-id"]


def test_every_operation_is_served_by_some_format() -> None:
    endpoints = shape_of("Format").schema["properties"]["endpoints"]["items"]["properties"]
    artefact, faults, _ = load_or_compile([paths.SPECS])
    assert artefact, faults
    served = {endpoint.operation for one in load(artefact).formats.values() for endpoint in one.endpoints}
    # no shipped vendor has this one; docs/examples/task-vendor.yaml serves it
    assert {*served, "task_callback"} == set(endpoints["operation"]["enum"])


def keep(gateway, one, fmt: str) -> tuple[str, str]:
    """A thing that a provider keeps: its id, and that of its call."""
    first = program().formats[fmt].endpoints[0]
    headers = {"authorization": f"Bearer {gateway.key}"}
    headers |= {mark[1]: "2023-06-01" for mark in first.when if mark[0] == "header"}
    made = requests.post(
        gateway.base + first.path, headers=headers, timeout=PATIENCE, **request(fmt, first, first.path)
    )
    assert made.status_code == 200, made.text
    return made.json()["id"], made.headers["x-request-id"]


@pytest.mark.parametrize(("fmt", "endpoint", "path"), ENDPOINTS)
def test_what_reaches_an_upstream_is_booked(gateway, one, fmt, endpoint, path) -> None:
    call_id = answer_id = ""
    if program().formats[fmt].kind == "kept":
        one.script = lambda say: say.whole({"id": f"{fmt}-{len(one.got)}", "object": "file"})
        if "{id}" in path:
            answer_id, call_id = keep(gateway, one, fmt)
    elif "{id}" in path:
        answer_id, call_id = background(gateway, one)
    else:
        one.script = lambda say: say.whole(answer_of(say.arrived.path, "Hello", 7))
    one.got.clear()
    headers = {"authorization": f"Bearer {gateway.key}", "x-goog-api-key": gateway.key, "x-api-key": gateway.key}
    headers |= {mark[1]: "2023-06-01" for mark in endpoint.when if mark[0] == "header"}
    url = gateway.base + path.replace("{model}", MODELS.get(fmt, "host-model")).replace("{id}", answer_id)
    got = requests.request(endpoint.method, url, headers=headers, timeout=PATIENCE, **request(fmt, endpoint, path))
    assert got.status_code < 500, got.text
    if endpoint.operation == "generate":
        assert one.got, f"{got.status_code}: {got.text}"
        call_id = got.headers["x-request-id"]
    if one.got:
        until(lambda: booked(gateway, call_id), words=lambda: f"{path} reached the upstream, and nothing was booked")
