"""Large requests are served beside the workers: as any other, and without anybody waiting for them."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import requests

from engine.bounds import HERE, ITEMS, MARKS_HERE, VALUES, VALUES_HERE
from engine.errors import CallError
from engine.relay.ingress import body as ingress
from engine.relay.ingress import structure
from engine.relay.ingress.lane import is_heavy
from tests.relay.conftest import provider
from tests.relay.scripted import Upstream, leave
from tests.support import PATIENCE, Gateway, until

CHAT = "/v1/chat/completions"
ANSWER = {
    "id": "x",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "seen"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}
CHUNK = b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
LONG = "word " * (HERE.most // 4)


@pytest.fixture(scope="module")
def upstream():
    made = Upstream()
    yield made
    made.close()


@pytest.fixture
def one(upstream):
    upstream.got.clear()
    upstream.script = lambda say: say.whole(ANSWER)
    return upstream


def start(data, upstream, **env):
    documents = [
        provider("p-chat", upstream.base, "openai.chat", "chat-model"),
        provider("p-claude", upstream.base, "anthropic.messages", "claude-model"),
    ]
    allow = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}"}
    return Gateway(data, specs={"test.yaml": "---".join(documents)}, env={**allow, **env}).ready()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, upstream):
    # a path longer than a socket's may be
    made = start(tmp_path_factory.mktemp("d" * 120), upstream)
    try:
        yield made
    finally:
        made.stop()
        assert "Traceback" not in made.output, made.output


def chat(content, model="chat-model", **more):
    return json.dumps({"model": model, "messages": [{"role": "user", "content": content}], **more}).encode()


def post(gateway, data, path=CHAT, **headers):
    known = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}
    return requests.post(gateway.base + path, data=data, headers={**known, **headers}, timeout=PATIENCE, stream=True)


def large(gateway):
    headers = {"authorization": f"Bearer {gateway.key}"}
    return requests.get(f"{gateway.base}/readyz", headers=headers, timeout=PATIENCE).json()["large"]


def children(gateway):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(gateway.process.pid)], capture_output=True, check=True)
    return {int(pid) for pid in listed.stdout.split()}


def test_a_large_request_is_served_as_any_other_and_told_by_the_same_id(gateway, one):
    before = large(gateway)["served"]
    data = chat(LONG)
    for body, more in (
        (data, {}),
        (gzip.compress(data, 1), {"content-encoding": "gzip"}),
        ((data[at : at + 70_000] for at in range(0, len(data), 70_000)), {}),
    ):
        answer = post(gateway, body, **more)
        assert answer.json()["choices"][0]["message"]["content"] == "seen"
        assert one.got[-1].body == data
        assert len(answer.headers["x-request-id"]) == 32
        assert answer.headers["x-request-id"] == answer.headers["x-oneapi-request-id"]
        assert answer.headers["access-control-allow-origin"] == "*"
    assert large(gateway) == {"open": 0, "served": before + 3}


def test_many_values_are_large_too_and_a_long_text_is_not(gateway, one):
    before = large(gateway)["served"]
    post(gateway, chat([{"type": "text", "text": "x"}] * (VALUES_HERE.most // 2)))
    assert large(gateway)["served"] == before + 1
    for text in ("word " * 150_000, "x, " * 30_000):
        post(gateway, chat(text))
        assert large(gateway)["served"] == before + 1


def test_a_text_that_may_be_json_of_many_values_is_large(gateway, one):
    before = large(gateway)["served"]
    function = {"name": "f", "arguments": json.dumps({"a": [[]] * (MARKS_HERE.most // 2 + 1)})}
    turns = [{"role": "assistant", "tool_calls": [{"id": "i", "type": "function", "function": function}]}]
    turns.append({"role": "tool", "tool_call_id": "i", "content": "x"})
    body = {"model": "claude-model", "messages": [{"role": "user", "content": "x"}, *turns]}
    assert post(gateway, json.dumps(body).encode()).status_code == 200
    assert large(gateway)["served"] == before + 1


def test_an_answer_comes_as_it_is_said(gateway, one):
    def script(say):
        say.events(CHUNK, end=False)
        time.sleep(1.5)
        say.chunk(b"data: [DONE]\n\n")
        say.end()

    one.script = script
    answer = post(gateway, chat(LONG, stream=True))
    pieces = answer.iter_content(None)
    first, began = next(pieces), time.monotonic()
    assert CHUNK in first
    rest = b"".join(pieces)
    assert time.monotonic() - began > 0.7
    assert rest.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("stream", [True, False])
def test_a_caller_who_leaves_ends_the_call_upstream(gateway, one, stream):
    gone, asked = [], []

    def script(say):
        asked.append(say)
        if stream:
            say.events(CHUNK, end=False)
        gone.append(say.wait_until_left(PATIENCE))

    one.script = script
    leave(gateway, CHAT, chat(LONG, stream=stream), lambda: asked)
    assert until(lambda: gone) == [True]
    until(lambda: large(gateway)["open"] == 0)


@pytest.mark.parametrize("key", ["sk-nobody", ""])
def test_a_large_request_without_a_good_key_is_refused_here(gateway, one, key):
    before = large(gateway)["served"]
    answer = post(gateway, chat(LONG), authorization=f"Bearer {key}")
    assert answer.status_code == 401
    assert large(gateway)["served"] == before


def test_callers_cannot_pass_for_workers(gateway, one):
    answer = post(gateway, chat("hi"), **{"x-gatewright-request": "chosen", "x-gatewright-peer": "203.0.113.9"})
    assert answer.headers["x-request-id"] != "chosen"
    answer = post(gateway, chat(LONG), **{"x-gatewright-request": "chosen", "x-gatewright-peer": "203.0.113.9"})
    assert answer.status_code == 200
    assert answer.headers["x-request-id"] != "chosen"
    assert oct((gateway.data / "heavy.sock").stat().st_mode & 0o777) == "0o600"


def test_refusals_come_back_in_the_callers_dialect(gateway, one):
    answer = post(gateway, chat(LONG, model="nobody"), "/v1/messages")
    assert answer.status_code == 404
    assert answer.json()["type"] == "error"
    answer = post(gateway, chat(LONG)[:-1] + b',"model":"other"}')
    assert answer.status_code == 400
    assert "model: this stands twice" in answer.text


def test_the_process_for_large_requests_is_started_again(tmp_path, one):
    gateway = start(tmp_path, one)
    try:
        assert post(gateway, chat(LONG)).status_code == 200
        lane = _lane(gateway)
        os.kill(lane, signal.SIGKILL)
        assert post(gateway, chat(LONG)).status_code == 200
        assert lane not in children(gateway)
    finally:
        gateway.stop()


def _lane(gateway):
    """The child that bears the name."""
    (lane,) = [pid for pid in children(gateway) if Path(f"/proc/{pid}/comm").read_text().strip() == "requests"]
    return lane


def test_a_large_stream_is_ended_with_a_word_when_the_gateway_must_stop(tmp_path, one):
    def script(say):
        say.events(CHUNK, end=False)
        say.wait_until_left(PATIENCE)

    one.script = script
    gateway = start(tmp_path, one, SHUTDOWN_TIMEOUT_SECONDS="6")
    answer = post(gateway, chat(LONG, stream=True))
    pieces = answer.iter_content(None)
    assert CHUNK in next(pieces)
    gateway.process.send_signal(signal.SIGTERM)
    rest = b"".join(pieces)
    assert b'"error"' in rest
    assert gateway.process.wait(PATIENCE) == 0
    gateway.stop()


def test_values_are_counted_outside_of_texts():
    assert is_heavy(b"x" * (HERE.most + 1))
    assert not is_heavy(b"x" * HERE.most)
    assert is_heavy(b"[" * 70_000)
    texts = b'{"a":"' + b'\\"[,{' * 600_000 + b'"}'
    assert structure.values(texts) < 10
    assert structure.values(b'{"a":[' + b'[],"[",' * 700_000 + b"1]}") == 2 + 3 * 700_000


def test_more_values_than_are_read_are_refused():
    with pytest.raises(CallError, match="values"):
        ingress._parse(b"[" + b"0," * VALUES.most + b"0]", None)


def test_more_items_than_are_mapped_are_refused(gateway, one):
    body = {"model": "claude-model", "messages": [{"role": "user", "content": "x"}] * (ITEMS.most + 1)}
    answer = post(gateway, json.dumps(body).encode())
    assert answer.status_code == 400
    assert f"messages: {ITEMS.most + 1} items" in answer.text
    parts = [{"type": "text", "text": "x"}] * (ITEMS.most + 1)
    answer = post(gateway, chat(parts, model="claude-model"))
    assert answer.status_code == 400
    assert "messages[]: " in answer.text
    assert not one.got
