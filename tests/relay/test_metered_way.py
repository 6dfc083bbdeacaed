"""Whatever reaches an upstream goes the metered way: each operation of each format is tried against one that counts."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import Any

import pytest
import requests

from engine.relay.app import _OPERATIONS
from tests.formats.recorded import program
from tests.relay.test_background import Provider
from tests.relay.test_stored import answer_of

ENDPOINTS = [
    pytest.param(name, endpoint, path, id=f"{name} {endpoint.method} {path}")
    for name, one in sorted(program().formats.items())
    for endpoint in one.endpoints
    for path in (endpoint.path, *endpoint.aliases)
]
MODELS = {
    "openai.chat": "chat-model",
    "openai.responses": "responses-model",
    "anthropic.messages": "claude-model",
    "gemini.generateContent": "gemini-model",
}
BODIES: dict[str, dict[str, Any]] = {
    "openai.chat": {"messages": [{"role": "user", "content": "x"}]},
    "openai.responses": {"input": "x"},
    "anthropic.messages": {"max_tokens": 5, "messages": [{"role": "user", "content": "x"}]},
    "gemini.generateContent": {"contents": [{"role": "user", "parts": [{"text": "x"}]}]},
}


def booked(gateway, request_id: str, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while True:
        with closing(sqlite3.connect(gateway.data / "gatewright.db")) as db:
            if db.execute("SELECT 1 FROM logs WHERE type=2 AND request_id=?", (request_id,)).fetchone():
                return True
        if time.monotonic() > end:
            return False
        time.sleep(0.1)


def background(gateway, one) -> tuple[str, str]:
    """An answer that is being made: its id, and that of its call. What is asked of it then ends it."""
    site = Provider(one)
    body = {"model": "responses-model", "input": "x", "background": True}
    made = gateway.post("/v1/responses", body)
    assert made.status_code == 200, made.text
    site.status = "completed"
    return made.json()["id"], made.headers["x-request-id"]


def test_every_operation_is_served_by_some_format() -> None:
    assert {endpoint.operation for one in program().formats.values() for endpoint in one.endpoints} == set(_OPERATIONS)


@pytest.mark.parametrize(("fmt", "endpoint", "path"), ENDPOINTS)
def test_what_reaches_an_upstream_is_booked(gateway, one, fmt, endpoint, path) -> None:
    call_id = answer_id = ""
    if "{id}" in path:
        answer_id, call_id = background(gateway, one)
    else:
        one.script = lambda say: say.whole(answer_of(say.arrived.path, "Hello", 7))
    one.got.clear()
    headers = {"authorization": f"Bearer {gateway.key}", "x-goog-api-key": gateway.key, "x-api-key": gateway.key}
    headers |= {mark[1]: "2023-06-01" for mark in endpoint.when if mark[0] == "header"}
    url = gateway.base + path.replace("{model}", MODELS[fmt]).replace("{id}", answer_id)
    body = {**BODIES[fmt], **({} if "{model}" in path else {"model": MODELS[fmt]})}
    sent = body if endpoint.method == "POST" and "{id}" not in path else None
    got = requests.request(endpoint.method, url, json=sent, headers=headers, timeout=60)
    assert got.status_code < 500, got.text
    if endpoint.operation == "generate":
        assert one.got, f"{got.status_code}: {got.text}"
        call_id = got.headers["x-request-id"]
    if one.got:
        assert booked(gateway, call_id, 20), f"{path} reached the upstream, and nothing was booked"
