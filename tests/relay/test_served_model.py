"""The header that a Policy declares: which model served, when another channel than the first of the order did."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from engine.compiler import compile_set, read_set
from tests.relay import plain
from tests.relay.failing import Play, Site, answer, example, wants_stream
from tests.relay.scripted import Say
from tests.relay.test_attempts import DIALECTS
from tests.relay.test_passing import body_of
from tests.support import PATIENCE

pytestmark = pytest.mark.xdist_group("served-model")
HEADER, SECOND = "x-served-model", "org/gr%C3%B6%C3%9Fe:2"
"""The name of the second's model, as a header can hold it."""
DOCUMENTS = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: chat}
spec: {models: [{names: [chat-large, chat-full, plain], tokens: {input: 4, output: 16}}]}
---
apiVersion: gatewright/v1
kind: Route
metadata: {name: mapped}
spec:
  channels:
    - name: one
      provider: p-first
      models: [chat-large, chat-full, plain]
      priority: 5
      modelMapping: {chat-large: large-1, chat-full: large-1, plain: large-1}
    - name: two
      provider: p-second
      models: [chat-large, chat-full, plain]
      modelMapping: {chat-large: "org/größe:2", chat-full: "org/größe:2", plain: "org/größe:2"}
"""
POLICY = """
apiVersion: gatewright/v1
kind: Policy
metadata: {name: zz}
spec:
  breaker: {failures: 0}
  pings: {every: 0.2}
  hedging: {after: 0.1, when: {headers: {x-hedge: "^yes$"}}}
  retries: {sameChannel: {overloaded: {times: 1}}}
"""
ASIDE = """
apiVersion: gatewright/v1
kind: Policy
metadata: {name: zz}
spec:
  breaker: {failures: 1, coolDown: 600}
  rateLimits: {full: {by: [channel], requests: 1, per: day, when: {models: ["^chat-full$"]}}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    formats = ("openai.chat", "anthropic.messages")
    made = Site(tmp_path_factory.mktemp("served"), example("served"), DOCUMENTS, POLICY, formats=formats)
    yield made
    made.close()


def ask(site: Site, dialect: str = "chat", model: str = "chat-large", **more: Any) -> requests.Response:
    path, body = body_of(dialect, model)
    if more.pop("streamed", False):
        path = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
        body = body if dialect == "gemini" else {**body, "stream": True}
    reply: requests.Response = site.gateway.post(path, body, headers={"connection": "close", **more})
    return reply


def failing(site: Site, which: str = "first", status: int = 503) -> Play:
    return lambda say: say.whole(plain.error(site.formats[which], status=status), status)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_who_is_served_by_another_channel_is_told_its_model(site: Site, dialect: str, streamed: bool) -> None:
    site.play(failing(site))
    reply = ask(site, dialect, streamed=streamed)
    assert "second:Hello" in reply.text
    assert reply.headers[HEADER] == SECOND
    assert site.upstreams["second"].got[0].json["model"] == "org/größe:2"
    assert "chat-large" in reply.text, "the answer names what was asked for"
    assert "org/" not in reply.text
    assert reply.headers["access-control-expose-headers"] == "*", "pages of other origins may read it"
    site.play()
    reply = ask(site, dialect, streamed=streamed)
    assert "first:Hello" in reply.text
    assert HEADER not in reply.headers


def test_other_calls_and_errors_have_no_header(site: Site) -> None:
    site.play(failing(site))
    reply = ask(site, model="plain")
    assert "second:Hello" in reply.text
    assert HEADER not in reply.headers
    site.play(failing(site), failing(site, "second"))
    reply = ask(site)
    assert reply.status_code == 503
    assert HEADER not in reply.headers


def test_the_same_channel_a_second_time_is_no_other(site: Site) -> None:
    first = iter([failing(site, status=529)])
    site.play(lambda say: next(first, lambda say: answer("first", say))(say))
    reply = ask(site)
    assert site.asked == (2, 0)
    assert HEADER not in reply.headers


@pytest.mark.parametrize("streamed", [False, True])
def test_a_channel_that_outran_the_first_is_told(site: Site, streamed: bool) -> None:
    def silent(say: Say) -> None:
        say.wait_until_left(PATIENCE)
        raise OSError

    site.play(silent)
    reply = ask(site, streamed=streamed, **{"x-hedge": "yes"})
    assert "second:Hello" in reply.text
    assert reply.headers[HEADER] == SECOND


def test_a_head_that_has_gone_out_says_nothing_and_the_log_row_does(site: Site) -> None:
    def late(say: Say) -> None:
        time.sleep(0.2 + 0.4 * wants_stream(say))
        say.whole(plain.error(site.formats["first"]), 503)

    site.play(late)
    reply = ask(site, streamed=True)
    assert "second:Hello" in reply.text
    assert HEADER not in reply.headers
    other = site.row(reply).other
    assert (other["channel"], other["upstream_model_name"]) == ("two", "org/größe:2")
    assert ask(site).headers[HEADER] == SECOND, "a whole answer has its head last"


def test_a_channel_that_is_set_aside_or_full_is_still_the_first(tmp_path: Path) -> None:
    site = Site(tmp_path, example("served"), DOCUMENTS, ASIDE)
    try:
        assert HEADER not in ask(site, model="chat-full").headers
        reply = ask(site, model="chat-full")
        assert "second:Hello" in reply.text
        assert reply.headers[HEADER] == SECOND
        site.play(failing(site))
        assert ask(site).headers[HEADER] == SECOND
        site.play()
        reply = ask(site)
        assert site.asked == (0, 1), "it is set aside"
        assert reply.headers[HEADER] == SECOND
    finally:
        site.close()


def test_every_answer_tells_where_a_policy_says_so(tmp_path: Path) -> None:
    site = Site(tmp_path, example("served").replace("x-served-model,", "x-served-model, always: true,"), DOCUMENTS)
    try:
        assert ask(site).headers[HEADER] == "large-1"
        assert HEADER not in ask(site, model="plain").headers
    finally:
        site.close()


@pytest.mark.parametrize(
    "name", ["x-request-id", "x-gatewright-debug", "x-ratelimit-limit-tokens", "set-cookie", "x-a b"]
)
def test_a_header_that_the_gateway_says_itself_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "served.yaml").write_text(example("served").replace("x-served-model", f'"{name}"'))
    sources, shared, _ = read_set([tmp_path])
    (fault,) = compile_set(sources, shared).faults
    assert fault.place.line == 4
    assert fault.message == "spec.servedModel.header does not look right"
    assert repr(name) in (fault.found or "")
