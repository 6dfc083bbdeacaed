"""Limits of callers and channels: exact over all workers, told in the caller's dialect, given back by what failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import anthropic
import openai
import pytest
import requests

from tests.relay.conftest import provider
from tests.relay.scripted import Say, Upstream
from tests.support import PATIENCE, Gateway, serving, until

ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "River"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 30, "completion_tokens": 10, "total_tokens": 40},
}
POLICY = """
apiVersion: gatewright/v1
kind: Policy
metadata: {name: limits}
spec:
  ledger: {maxTokens: 100}
  waiting: {seconds: 1.5, calls: 2}
  rateLimits:
    each: {by: [key, model], requests: 5, per: hour, when: {models: ["^few"]}}
    tokens: {by: [user], tokens: 300, per: hour, when: {models: ["^long$"]}}
    once: {by: [address], parallel: 2, when: {models: ["^slow$"]}}
    streams: {requests: 1, per: hour, when: {models: ["^streams$"], stream: true}}
    tools: {requests: 1, per: hour, when: {models: ["^tools$"], tools: true, headers: {x-team: "^red$"}}}
    account: {by: [channel], parallel: 1, when: {models: ["^narrow$", "^wide$"]}}
"""


pytestmark = pytest.mark.xdist_group("limits")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Gateway]:
    models = ("few", "few-claude", "few-failing", "long", "slow", "streams", "tools")
    documents = [
        provider("p", upstream.base, "openai.chat", *models),
        provider("n", upstream.base + "/narrow", "openai.chat", "narrow", "wide"),
        provider("w", upstream.base + "/wide", "openai.chat", "wide"),
        POLICY,
    ]
    made = Gateway(
        tmp_path_factory.mktemp("limits"),
        specs={"test.yaml": "---".join(documents)},
        workers=2,
        env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}"},
    )
    with serving(made):
        yield made


def ask(gateway: Gateway, model: str, **more: Any) -> requests.Response:
    """One call over a connection of its own, so that both workers get some."""
    headers = more.pop("headers", {})
    body = {"model": model, "messages": [{"role": "user", "content": "River?"}], "max_tokens": 10, **more}
    return gateway.post("/v1/chat/completions", body, headers={"connection": "close", **headers})


def told(gateway: Gateway, key: int, query: str = "") -> dict[str, dict[str, Any]]:
    """What binds a key now, by its name."""
    reply = requests.get(f"{gateway.base}/api/v2/keys/{key}/limits{query}", headers=gateway.root(), timeout=PATIENCE)
    assert reply.status_code == 200, reply.text
    return {one["name"]: one for one in reply.json()["items"]}


def answers(upstream: Upstream) -> None:
    upstream.script = lambda say: say.whole(ANSWER)
    upstream.got.clear()


def test_callers_at_once_get_as_many_as_allowed_and_the_rest_a_429_that_names_the_limit(
    gateway: Gateway, upstream: Upstream
) -> None:
    answers(upstream)
    assert told(gateway, 1, "?model=few")["each"]["resets_at"] is None, "nothing counts yet"
    with ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda _: ask(gateway, "few"), range(30)))
    served = [reply for reply in replies if reply.status_code == 200]
    refused = [reply for reply in replies if reply.status_code != 200]
    assert len(served) == len(upstream.got) == 5
    assert sorted(reply.headers["x-ratelimit-remaining-requests"] for reply in served) == list("01234")
    assert {reply.headers["x-ratelimit-limit-requests"] for reply in replies} == {"5"}
    assert {reply.status_code for reply in refused} == {429}
    assert all(3600 <= int(reply.headers["retry-after"]) <= 3840 for reply in refused)
    error = refused[0].json()["error"]
    assert error["code"] == "rate_limit_exceeded"
    assert "'each' of 5 requests in an hour for each key and model is used up" in error["message"]
    assert refused[0].headers["x-ratelimit-reset-requests"].startswith("1h")
    client = openai.OpenAI(base_url=f"{gateway.base}/v1", api_key=gateway.key, max_retries=0)
    with client, pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="few", messages=[{"role": "user", "content": "x"}])


def test_another_dialect_is_told_in_its_own_headers(gateway: Gateway, upstream: Upstream) -> None:
    answers(upstream)
    client = anthropic.Anthropic(base_url=gateway.base, api_key=gateway.key, max_retries=0)
    with client:
        for left in (4, 3, 2, 1, 0):
            reply = client.messages.with_raw_response.create(
                model="few-claude", max_tokens=5, messages=[{"role": "user", "content": "x"}]
            )
            assert reply.headers["anthropic-ratelimit-requests-remaining"] == str(left)
            assert reply.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
        with pytest.raises(anthropic.RateLimitError) as refused:
            client.messages.create(model="few-claude", max_tokens=5, messages=[{"role": "user", "content": "x"}])
    assert int(refused.value.response.headers["retry-after"]) >= 3600


def test_tokens_are_taken_by_an_estimate_and_settled_by_what_was_used(gateway: Gateway, upstream: Upstream) -> None:
    answers(upstream)
    left = []
    while (reply := ask(gateway, "long", max_tokens=50)).status_code == 200:
        left.append(int(reply.headers["x-ratelimit-remaining-tokens"]))
    assert len(left) in (6, 7), "300 / 40, the last of which needs room for its estimate"
    assert [before - after for before, after in pairwise(left)] == [40] * (len(left) - 1)
    assert "'tokens' of 300 tokens in an hour for each user" in reply.json()["error"]["message"]
    assert reply.headers["x-ratelimit-remaining-tokens"] == "0"


def test_calls_at_once_are_bounded_and_room_is_there_when_one_ends_or_its_caller_leaves(
    gateway: Gateway, upstream: Upstream
) -> None:
    go, came = threading.Event(), threading.Semaphore(0)

    def slow(say: Say) -> None:
        came.release()
        go.wait(PATIENCE)
        say.whole(ANSWER)

    upstream.script = slow
    with ThreadPoolExecutor(2) as pool:
        two = [pool.submit(ask, gateway, "slow") for _ in range(2)]
        for _ in two:
            assert came.acquire(timeout=PATIENCE)
        refused = ask(gateway, "slow")
        go.set()
        assert [each.result().status_code for each in two] == [200, 200]
    assert refused.status_code == 429
    assert "'once' of 2 calls at once" in refused.json()["error"]["message"]
    answers(upstream)
    assert ask(gateway, "slow").status_code == 200


def test_conditions_bind_only_the_calls_that_they_name(gateway: Gateway, upstream: Upstream) -> None:
    answers(upstream)
    assert [ask(gateway, "streams").status_code for _ in range(3)] == [200, 200, 200]
    event = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n'
    upstream.script = lambda say: say.events(event, b"data: [DONE]\n\n")
    assert [ask(gateway, "streams", stream=True).status_code for _ in range(2)] == [200, 429]
    answers(upstream)
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    red = {"x-team": "red"}
    assert [ask(gateway, "tools", tools=tools).status_code for _ in range(2)] == [200, 200]
    assert [ask(gateway, "tools", headers=red).status_code for _ in range(2)] == [200, 200]
    assert [ask(gateway, "tools", headers=red, tools=tools).status_code for _ in range(2)] == [200, 429]


def test_a_full_channel_is_passed_over_and_where_all_are_calls_wait_in_a_line(
    gateway: Gateway, upstream: Upstream
) -> None:
    """One call at once to each account: the second goes to the other, the third waits, and is served when one ends."""
    came, go = threading.Semaphore(0), threading.Event()

    def slow(say: Say) -> None:
        came.release()
        go.wait(PATIENCE)
        say.whole(ANSWER)

    upstream.got.clear()
    upstream.script = slow
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(ask, gateway, "wide") for _ in range(2)]
        for _ in calls:
            assert came.acquire(timeout=PATIENCE)
        assert {arrived.path.split("/")[1] for arrived in upstream.got} == {"narrow", "wide"}
        calls.append(pool.submit(ask, gateway, "wide"))
        assert not came.acquire(timeout=0.3), "the third is not there while both are full"
        go.set()
        assert [each.result().status_code for each in calls] == [200, 200, 200]


def test_who_waits_too_long_or_finds_the_line_full_gets_a_429(gateway: Gateway, upstream: Upstream) -> None:
    came, go = threading.Semaphore(0), threading.Event()

    def slow(say: Say) -> None:
        came.release()
        go.wait(PATIENCE)
        say.whole(ANSWER)

    upstream.script = slow
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(ask, gateway, "narrow")
        assert came.acquire(timeout=PATIENCE)
        others = [pool.submit(ask, gateway, "narrow") for _ in range(7)]
        refused = [each.result() for each in others]
        go.set()
        assert first.result().status_code == 200
    assert {reply.status_code for reply in refused} == {429}
    assert {reply.json()["error"]["code"] for reply in refused} == {"channels_full"}
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
    waited = [reply.elapsed.total_seconds() >= 1.4 for reply in refused]
    assert 2 <= sum(waited) <= 4, "two of each worker's wait, the others are refused at once"


def test_the_holder_of_a_key_is_told_what_binds_it_and_how_much_is_left(gateway: Gateway, upstream: Upstream) -> None:
    """By the account and by the key itself: rules of a time with their counts, budgets, balance, and their sources."""
    root, base = gateway.root(), f"{gateway.base}/api/v2"
    key = requests.post(
        f"{base}/keys", json={"name": "fresh", "unlimited": True}, headers=root, timeout=PATIENCE
    ).json()
    budget = {"holder": "key", "holder_id": key["id"], "period": "day", "unit": "tokens", "amount": 5000}
    assert requests.post(f"{base}/budgets", json=budget, headers=root, timeout=PATIENCE).status_code == 201
    holder = {"authorization": f"Bearer {key['key']}"}
    answers(upstream)
    assert ask(gateway, "few-failing", headers=holder).status_code == 200
    every, model = told(gateway, key["id"]), told(gateway, key["id"], "?model=few-failing")
    assert set(every) == {"root", "each", "tokens", "once", "streams", "tools", "key"}, "limits of channels bind no key"
    each = every["each"]
    assert (each["kind"], each["counts"], each["most"], each["source"]) == ("rate", "requests", 5, "Policy limits")
    assert (each["by"], each["when"], each["period"]) == (["key", "model"], {"models": ["^few"]}, "an hour")
    assert (each["used"], each["left"]) == (None, None), "each model has its own"
    assert (model["each"]["used"], model["each"]["left"]) == (1, 4)
    assert 3600 - 600 <= model["each"]["resets_at"] - time.time() <= 3600 * 17 / 15
    assert every["tokens"]["most"] == 300
    assert (every["once"]["counts"], every["once"]["used"]) == ("parallel", None), "each address has its own"
    assert every["streams"]["when"] == {"models": ["^streams$"], "stream": True}
    until(lambda: told(gateway, key["id"])["key"]["used"] == 40)
    of_day = told(gateway, key["id"])["key"]
    assert (of_day["kind"], of_day["held"], of_day["left"], of_day["period"]) == ("budget", 0, 4960, "a day")
    assert of_day["source"].startswith("budget ")
    assert of_day["resets_at"] > time.time()
    assert every["root"]["kind"] == "balance"
    own = requests.get(f"{gateway.base}/api/usage/limits", headers=holder, timeout=PATIENCE).json()
    assert [one["name"] for one in own["data"]] == list(every)
    for path in ("keys/99999/limits", "teams/99999/keys/1/limits"):
        assert requests.get(f"{base}/{path}", headers=root, timeout=PATIENCE).status_code == 404
