"""A stream that breaks off is gone on with: the SDK has the answer of an unbroken one, the ledger has both parts."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
import requests

from tests.faults.clients import close, told
from tests.formats.recorded import program as shipped
from tests.relay import plain
from tests.relay.conftest import provider
from tests.relay.failing import PAGE, example
from tests.relay.scripted import Say, Upstream
from tests.relay.test_metering import Row
from tests.support import PATIENCE, Gateway, until

pytestmark = [pytest.mark.xdist_group("continued")]
WORDS = ("Once ", "upon ", "a ", "time ", "there was.")
BEGUN = 2
USED = {"first": (100, 40), "second": (130, 24)}
OWN = """
apiVersion: gatewright/v1
kind: Format
metadata: {name: own.chat, version: 1, description: a dialect that goes on from text and from thought}
extends: deepseek.chat
spec:
  passthroughAs: openai.chat
  endpoints: []
  shape: {continues: [text, thinking]}
  fragments:
    assistant_out:
      args: [m, ctx]
      do:
        role: assistant
        content: "{{ m.parts | kinds('text') | pluck('text') | join('') }}"
        reasoning_content: {$nonempty: "{{ m.parts | kinds('thinking') | pluck('text') | join('') }}"}
        prefix: "{{ m.unfinished }}"
"""
DOCUMENTS = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: asked}
spec: {channels: {second: 3}, models: [{names: [m, other, claude-sonnet-4-6], tokens: {input: 4, output: 16}}]}
---
apiVersion: gatewright/v1
kind: Price
metadata: {name: paid}
spec: {cost: {channels: [first, second]}, models: [{names: [m], tokens: {input: 1, output: 1}}]}
---
apiVersion: gatewright/v1
kind: Route
metadata: {name: zz}
spec:
  channels:
    - {name: first, provider: p-first, models: [m, other, claude-sonnet-4-6], priority: 5}
    - {name: second, provider: p-second, models: [m, other, claude-sonnet-4-6]}
---
apiVersion: gatewright/v1
kind: Policy
metadata: {name: zz}
spec: {timeouts: {idle: 1}, breaker: {failures: 0}}
"""
Break = Callable[[Say, str], None]


class Site:
    """Two upstreams of some formats, of which the first breaks off; ``play`` says how, and what the second says."""

    def __init__(self, folder: Any, formats: tuple[str, str]) -> None:
        self.formats = dict(zip(USED, formats, strict=True))
        self.upstreams = {name: Upstream() for name in USED}
        path = {"own.chat": "{path: /chat/completions}"}
        documents = [
            provider(f"p-{name}", self.upstreams[name].base, "openai.chat").replace("openai.chat:", "own.chat:")
            if fmt in path
            else provider(f"p-{name}", self.upstreams[name].base, fmt)
            for name, fmt in self.formats.items()
        ]
        policy = example("go-on").replace("^m$", "^(m|claude.*)$")
        allowed = ",".join(f"127.0.0.1:{upstream.port}" for upstream in self.upstreams.values())
        specs = {"test.yaml": "\n---\n".join([OWN, *documents, DOCUMENTS, policy])}
        self.gateway = Gateway(folder, specs=specs, priced=True, env={"GATEWRIGHT_EGRESS_ALLOW": allowed}).ready()

    def play(self, broken: Break, rest: tuple[str, ...] = WORDS[BEGUN:]) -> None:
        first, second = (fmt.replace("own.chat", "openai.chat") for fmt in self.formats.values())
        for upstream in self.upstreams.values():
            upstream.got.clear()

        def begins(say: Say) -> None:
            say.head(200, "text/event-stream")
            for event in [*plain.opening(first, USED["first"]), *plain.speech(first, WORDS[: BEGUN - 1])]:
                say.chunk(plain.wire(event))
            time.sleep(0.2)
            broken(say, first)

        self.upstreams["first"].script = begins
        self.upstreams["second"].script = lambda say: say.events(
            *map(plain.wire, plain.events(second, rest, USED["second"], "2"))
        )

    def told(self, client: str, model: str = "m") -> Any:
        had = told(client, self.gateway.base, self.gateway.key, model, True)
        close(self.gateway.base, self.gateway.key)
        return had

    @property
    def went_up(self) -> Any:
        """What the second was sent."""
        (arrived,) = self.upstreams["second"].got
        return arrived.json

    def close(self) -> None:
        self.gateway.stop()
        for upstream in self.upstreams.values():
            upstream.close()
        assert "Traceback" not in self.gateway.output, self.gateway.output


def word(say: Say, fmt: str) -> None:
    """The last word before it breaks off."""
    say.chunk(plain.wire(plain.speech(fmt, WORDS[BEGUN - 1 : BEGUN])[0]))
    time.sleep(0.1)


def closed(say: Say, fmt: str) -> None:
    word(say, fmt)
    raise OSError


def reset(say: Say, fmt: str) -> None:
    word(say, fmt)
    say.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    say.sock.close()
    raise OSError


def ended(say: Say, fmt: str) -> None:
    """Its stream ends properly as HTTP, without its last event."""
    word(say, fmt)
    say.end()


def silent(say: Say, fmt: str) -> None:
    word(say, fmt)
    say.wait_until_left(PATIENCE)
    raise OSError


def error(say: Say, fmt: str) -> None:
    word(say, fmt)
    say.chunk(plain.wire(plain.error_event(fmt)))
    say.end()


def joined(say: Say, fmt: str) -> None:
    """The error in one packet with a word."""
    say.chunk(b"".join(map(plain.wire, [*plain.speech(fmt, WORDS[BEGUN - 1 : BEGUN]), plain.error_event(fmt)])))
    say.end()


def garbage(say: Say, fmt: str) -> None:
    word(say, fmt)
    say.chunk(b'data: {"id": "c1", "choices": [{"delta": {"con\n\n')
    say.end()


BREAKS = {each.__name__: each for each in (closed, reset, ended, silent, error, joined, garbage)}


@pytest.fixture(scope="module", params=plain.FORMATS)
def site(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("continued"), (request.param, "anthropic.messages"))
    yield made
    made.close()


@pytest.mark.parametrize("broken", BREAKS)
def test_the_sdk_has_the_answer_of_an_unbroken_stream(site: Site, broken: str) -> None:
    for client in plain.FORMATS:
        rest = WORDS[BEGUN:]
        if broken == "joined" and site.formats["first"] == client:  # what came beside the error passes to nobody
            rest = WORDS[BEGUN - 1 :]
        site.play(BREAKS[broken], rest)
        had = site.told(client)
        assert had.error is None, (client, had.error)
        assert had.text == "".join(WORDS), client
        last = site.went_up["messages"][-1]
        assert last["role"] == "assistant"
        said = json.dumps(last["content"])
        assert ("Once upon" in said) == (len(rest) == len(WORDS) - BEGUN)
        assert not re.search(r"(Once|upon) \"", said), "the provider refuses a blank at its end"


CLIENTS: dict[str, Callable[[str, str], Any]] = {
    "openai.responses": lambda base, key: _responses(base, key),
    "anthropic.messages": lambda base, key: _claude(base, key),
}


def _responses(base: str, key: str) -> Any:
    client = openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0)
    with client, client.responses.stream(model="m", input="hi") as stream:
        return stream.get_final_response().model_dump()


def _claude(base: str, key: str) -> Any:
    asked: Any = {"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": "hi"}]}
    client = anthropic.Anthropic(base_url=base, api_key=key, max_retries=0)
    with client, client.messages.stream(**asked) as stream:
        return stream.get_final_message().model_dump()


@pytest.mark.parametrize("client", CLIENTS)
def test_what_the_sdk_accumulates_is_what_it_has_of_an_unbroken_stream(site: Site, client: str) -> None:
    """A part that broke off is one part, and none is left open."""
    had = []
    for broken in (True, False):
        site.play(closed)
        if not broken:
            fmt = site.formats["first"]
            events = [plain.wire(event) for event in plain.events(fmt, WORDS, USED["first"])]
            site.upstreams["first"].script = lambda say, events=events: say.events(*events)
        had.append(_bare(CLIENTS[client](site.gateway.base, site.gateway.key)))
    assert had[0] == had[1]


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        said = ("output", "content", "type", "role", "stop_reason", "text")
        return {name: bare for name in said if (bare := _bare(value.get(name)))}
    return [_bare(each) for each in value] if isinstance(value, list) else value


def charged(site: Site, reply: requests.Response) -> Row:
    return Row(site.gateway, reply.headers["x-request-id"])


def ask(site: Site, model: str = "m", **more: Any) -> requests.Response:
    body = {"model": model, "max_tokens": 100, "stream": True, "messages": [{"role": "user", "content": "River?"}]}
    return site.gateway.post("/v1/chat/completions", {**body, **more}, headers={"connection": "close"})


def test_the_ledger_has_both_parts_and_the_caller_pays_one_answer(site: Site) -> None:
    """What the first told of its usage, or a count; the second's is told. Its price of three times is not asked."""
    site.play(closed)
    reply = ask(site, stream_options={"include_usage": True})
    row = charged(site, reply)
    (first, *begun, _), (second, *rest, _) = row.other["admin_info"]["parts"]
    assert (first, second, rest) == ("first", "second", list(USED["second"]))
    assert (row.input, row.output) == (begun[0], begun[1] + rest[1])
    assert min(begun) > 0
    assert row.quota == 2 * row.input + 8 * row.output
    assert float(row.other["admin_info"]["cost"]) == pytest.approx((sum(begun) + sum(rest)) / 1e6)
    assert row.other["admin_info"]["use_channel"] == ["first", "second"]
    assert row.other["admin_info"]["failed"] == [["first", "cut"]]
    assert "stream_status" not in row.other
    (usage,) = [event["usage"] for event in events(reply) if event.get("usage")]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (row.input, row.output)
    assert site.went_up["max_tokens"] < 100


def events(reply: requests.Response) -> list[dict[str, Any]]:
    lines = [line[6:] for line in reply.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


@pytest.mark.parametrize("model", ["other", "claude-sonnet-4-6"])
def test_no_policy_or_no_prefill_ends_in_an_error_as_ever(site: Site, model: str) -> None:
    site.play(closed)
    reply = ask(site, model)
    assert "Once upon" in reply.text.replace('"}', "") or "upon" in reply.text
    assert "error" in events(reply)[-1]
    assert not site.upstreams["second"].got
    assert charged(site, reply).other["stream_status"]["status"] == "error"


def test_where_the_second_fails_too_the_caller_has_the_first_error_and_pays_what_was_said(site: Site) -> None:
    site.play(closed)
    site.upstreams["second"].script = lambda say: say.whole(plain.error("anthropic.messages", status=529), 529)
    reply = ask(site)
    assert "broke off" in events(reply)[-1]["error"]["message"]
    row = charged(site, reply)
    assert row.output > 0
    assert row.quota == 2 * row.input + 8 * row.output
    assert row.other["channel"] == "first"
    assert row.other["admin_info"]["use_channel"] == ["second", "first"]


def test_a_second_that_breaks_off_ends_it_with_all_that_was_said_charged(site: Site) -> None:
    site.play(closed)

    def breaks(say: Say) -> None:
        say.head(200, "text/event-stream")
        fmt = "anthropic.messages"
        for event in [*plain.opening(fmt, USED["second"]), *plain.speech(fmt, ("a ", "time "))]:
            say.chunk(plain.wire(event))
        time.sleep(0.2)
        raise OSError

    site.upstreams["second"].script = breaks
    reply = ask(site)
    said = "".join(
        choice["delta"].get("content") or "" for event in events(reply) for choice in event.get("choices", ())
    )
    assert said == "".join(WORDS[:4])
    assert "broke off" in events(reply)[-1]["error"]["message"]
    row = charged(site, reply)
    (_, *begun, _), (_, *rest, _) = row.other["admin_info"]["parts"]
    assert row.output == begun[1] + rest[1] > begun[1]
    assert row.quota == 2 * row.input + 8 * row.output


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Both speak a format of the operator's own."""
    made = Site(tmp_path_factory.mktemp("own"), ("own.chat", "own.chat"))
    yield made
    made.close()


def chunk(**delta: Any) -> bytes:
    return plain.wire({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                       "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})  # fmt: skip


def test_a_format_of_ones_own_goes_on_from_thought_and_marks_the_message(own: Site) -> None:
    own.play(closed)

    def thinks(say: Say) -> None:
        say.head(200, "text/event-stream")
        say.chunk(chunk(role="assistant", reasoning_content="Let me "))
        say.chunk(chunk(reasoning_content="see"))
        time.sleep(0.2)
        raise OSError

    def goes_on(say: Say) -> None:
        say.events(chunk(role="assistant", reasoning_content=" it."), *map(plain.wire, plain.events("openai.chat")))

    own.upstreams["first"].script, own.upstreams["second"].script = thinks, goes_on
    reply = ask(own)
    deltas = [choice["delta"] for event in events(reply) for choice in event.get("choices", ())]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "Let me see it."
    assert "".join(delta.get("content") or "" for delta in deltas) == "ok"
    last = own.went_up["messages"][-1]
    assert (last["reasoning_content"], last["prefix"]) == ("Let me see", True)


def test_half_a_call_is_not_gone_on_with(own: Site) -> None:
    own.play(closed)

    def calls(say: Say) -> None:
        say.head(200, "text/event-stream")
        call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a'}}
        say.chunk(chunk(role="assistant", tool_calls=[call]))
        time.sleep(0.2)
        raise OSError

    own.upstreams["first"].script = calls
    reply = ask(own, tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}])
    assert "error" in events(reply)[-1]
    assert not own.upstreams["second"].got


def test_who_leaves_while_another_is_asked_pays_what_was_said(own: Site) -> None:
    own.play(closed)
    own.upstreams["second"].script = lambda say: (say.wait_until_left(PATIENCE), None)[1]
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "River?"}]}
    headers = {"authorization": f"Bearer {own.gateway.key}"}
    with requests.post(own.gateway.base + "/v1/chat/completions", json=body, headers=headers, stream=True) as reply:
        until(lambda: len(own.upstreams["second"].got) == 1)
    assert own.upstreams["second"].got[0].left.wait(PATIENCE)
    row = charged(own, reply)
    assert row.other["channel"] == "first"
    assert row.output > 0


def test_the_page_names_the_formats_that_go_on() -> None:
    formats = shipped().formats
    table = {name: fmt.continues for name, fmt in formats.items() if fmt.continues}
    rows = re.findall(r"^\| (.*?) \| (yes|no) \| (yes|no) \| no \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = {name: frozenset(kind for kind, word in zip(("text", "thinking"), words, strict=True) if word == "yes")
            for names, *words in rows for name in re.findall(r"`([a-z.A-Z]+)`", names) if "." in name}  # fmt: skip
    assert told == table
