"""Vendors with habits that no shipped one has: declared in documents alone."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.relay import plain
from tests.relay.scripted import Say, Upstream
from tests.reports.places import events_of
from tests.support import Gateway

SECRET = "odd-secret-51c0"
DOCUMENTS = """
apiVersion: gatewright/v1
kind: Format
metadata: {name: odd.talk}
spec:
  request:
    encode:
      prompt: [{$for: "m in request.messages", $do: "{{ m.parts | pluck('text') | join(' ') }}"}]
      live: "{{ request.stream }}"
  response:
    decode:
      parts: [{type: text, text: "{{ body.said }}"}]
      finish: {reason: stop}
  stream:
    framing: {type: sse}
    ends: {finish: true}
    decode:
      - {type: part_delta, kind: text, so_far: true, text: "{{ data.said_so_far }}"}
      - $if: "{{ data.over }}"
        $then:
          - {type: usage, counts: {tokens_in: "{{ header['x-tokens-in'] | int }}", tokens_out: "{{ data.spent }}"}}
          - {type: finish, reason: stop}
  usage:
    at: {tokens_in: "{{ header['x-tokens-in'] | int }}", tokens_out: "{{ header['x-tokens-out'] | int }}"}
    counts: {input: tokens_in, output: tokens_out}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: odd}
spec:
  baseUrl: BASE
  formats: {odd.talk: {path: /talk}}
  auth: {scheme: body, name: account.key}
  models: [odd-1]
  credential: {secretRef: {env: GATEWRIGHT_KEY_ODD}}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: renaming}
extends: openai-compatible
spec:
  baseUrl: BASE/v1
  models: [renaming-1, renaming-2]
  auth: {scheme: none}
  headersWhen:
    - {when: "model == 'renaming-2'", set: {X-Team: second}}
  responsePatches:
    - {when: "body.usages is present", rename: {usages: usage}, drop: [chatter]}
    - {default: {system_fingerprint: fp}}
"""


def _answer(say: Say) -> None:
    body = say.arrived.json
    if say.arrived.path == "/talk" and body.get("live"):
        say.head(200, "text/event-stream", x_tokens_in="31")
        for told in (
            {"said_so_far": "Gr"},
            {"said_so_far": "Grüß"},
            {"said_so_far": "Grüß dich", "over": True, "spent": 7},
        ):
            say.chunk(plain.wire(told))
        say.end()
    elif say.arrived.path == "/talk":
        say.whole({"said": "Grüß dich"}, x_tokens_in="31", x_tokens_out="7")
    elif body.get("stream"):
        part = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        usages = {"prompt_tokens": 31, "completion_tokens": 7, "total_tokens": 38}
        say.events(
            plain.wire({**part, "choices": [{"index": 0, "delta": {"content": "Hi"}}]}),
            plain.wire({**part, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
            plain.wire({**part, "choices": [], "usages": usages, "chatter": 1}), plain.wire("[DONE]"),
        )  # fmt: skip
    else:
        said = {**plain.whole("openai.chat"), "usages": {"prompt_tokens": 31, "completion_tokens": 7}, "chatter": 1}
        del said["usage"]
        say.whole(said)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Upstream]]:
    upstream = Upstream()
    upstream.script = _answer
    specs = {"odd.yaml": DOCUMENTS.replace("BASE", upstream.base)}
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}", "GATEWRIGHT_KEY_ODD": SECRET}
    gateway = Gateway(tmp_path_factory.mktemp("odd"), specs=specs, env=env)
    try:
        gateway.ready()
        yield gateway, upstream
    finally:
        gateway.stop()
        upstream.close()


def _ask(odd: tuple[Gateway, Upstream], model: str, *, stream: bool = False, **more: object):
    gateway, upstream = odd
    upstream.got.clear()
    body = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}], "stream": stream, **more}
    answer = gateway.post("/v1/messages", body, stream=False)
    assert answer.status_code == 200, answer.text
    return answer, upstream.got[-1]


def test_a_key_in_the_body_and_counts_in_headers(odd: tuple[Gateway, Upstream]) -> None:
    answer, asked = _ask(odd, "odd-1", account={"key": "the caller's"})
    assert asked.json["account"] == {"key": SECRET}
    assert SECRET not in str(asked.headers)
    said = answer.json()
    assert said["content"] == [{"type": "text", "text": "Grüß dich"}]
    assert (said["usage"]["input_tokens"], said["usage"]["output_tokens"]) == (31, 7)


def test_deltas_that_say_all_so_far_are_told_once(odd: tuple[Gateway, Upstream]) -> None:
    answer, _ = _ask(odd, "odd-1", stream=True)
    events = [data for _, data in events_of(answer.content.decode())]
    texts = [data["delta"]["text"] for data in events if data["type"] == "content_block_delta"]
    assert texts == ["Gr", "üß", " dich"]
    last = next(data for data in events if data["type"] == "message_delta")
    assert (last["usage"]["input_tokens"], last["usage"]["output_tokens"]) == (31, 7)


@pytest.mark.parametrize("stream", [False, True])
def test_answers_are_patched_before_anything_reads_them(odd: tuple[Gateway, Upstream], stream: bool) -> None:
    answer, _ = _ask(odd, "renaming-1", stream=stream)
    text = answer.content.decode()
    assert '"output_tokens":7' in text
    gateway, _ = odd
    body = {"model": "renaming-1", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    passed = gateway.post("/v1/chat/completions", body).content.decode()
    told = [json.loads(passed)] if not stream else [data for _, data in events_of(passed) if data != "[DONE]"]
    assert all(one["system_fingerprint"] == "fp" and "usages" not in one and "chatter" not in one for one in told)


def test_a_header_of_one_model(odd: tuple[Gateway, Upstream]) -> None:
    assert "x-team" not in _ask(odd, "renaming-1")[1].headers
    assert _ask(odd, "renaming-2")[1].headers["x-team"] == "second"
