"""What is remembered of channels over all workers, and what a caller who may ask is told of its way."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.relay.conftest import provider
from tests.relay.scripted import Say, Upstream
from tests.relay.test_limits import ANSWER
from tests.support import PATIENCE, Gateway, serving, until

POLICY = """
apiVersion: gatewright/v1
kind: Policy
metadata: {name: zz}
spec:
  breaker: {failures: 3, window: 60, coolDown: 60}
  timeouts: {streamFirstByte: 1}
  debug: {headers: {x-team: "^operators$"}}
  rateLimits: {each: {by: [key], requests: 10000, per: hour, when: {models: ["^m$"]}}}
"""
COST = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: second}
spec: {cost: {channels: [second]}, models: [{names: [m], tokens: {input: 1, output: 2}}]}
"""
ROUTE = """
apiVersion: gatewright/v1
kind: Route
metadata: {name: two}
spec:
  strategies: [{priority: {}}, {latency: {}}]
  channels:
    - {name: first, provider: p-first, models: [m], priority: 5}
    - {name: second, provider: p-second, models: [m, long]}
    - {name: short, provider: p-first, models: [long, stays], priority: 5, modelMapping: {long: small}}
    - {name: large, provider: p-second, models: [long, stays], priority: 1, modelMapping: {long: big}}
"""
MODELS = """
apiVersion: gatewright/v1
kind: Model
metadata: {name: small}
spec: {names: [small], context: 1000}
---
apiVersion: gatewright/v1
kind: Model
metadata: {name: big}
spec: {names: [big], context: 100000}
"""


pytestmark = pytest.mark.xdist_group("choosing")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Gateway]:
    documents = [
        provider("p-first", f"{upstream.base}/first", "openai.chat"),
        provider("p-second", f"{upstream.base}/second", "openai.chat"),
        ROUTE,
        COST,
        MODELS,
        POLICY,
    ]
    made = Gateway(
        tmp_path_factory.mktemp("choosing"),
        specs={"test.yaml": "---".join(documents)},
        workers=4,
        env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}"},
    )
    with serving(made):
        yield made


def ask(gateway: Gateway, model: str = "m", **more: Any) -> requests.Response:
    """One call over a connection of its own, so that all workers get some."""
    headers = {"connection": "close", "x-gatewright-debug": "1", **more.pop("headers", {})}
    body = {"model": model, "messages": [{"role": "user", "content": "River?"}], **more}
    return gateway.post("/v1/chat/completions", body, headers=headers)


OPERATOR = {"headers": {"x-team": "operators"}}


def asked(upstream: Upstream) -> Counter[str]:
    return Counter(arrived.path.split("/")[1] for arrived in upstream.got)


def test_a_request_too_long_for_one_channel_goes_to_one_that_takes_more_and_to_no_other(
    gateway: Gateway, upstream: Upstream
) -> None:
    error = {"error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}}
    upstream.got.clear()
    upstream.script = lambda say: say.whole(error, 400) if say.arrived.path.startswith("/first") else say.whole(ANSWER)
    assert ask(gateway, "long").status_code == 200
    assert [arrived.json["model"] for arrived in upstream.got] == ["small", "big"]
    upstream.got.clear()
    assert ask(gateway, "stays").status_code == 400, "nobody says that the other takes more"
    assert len(upstream.got) == 1


def test_a_silent_stream_costs_a_caller_seconds(gateway: Gateway, upstream: Upstream) -> None:
    event = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"River"},"finish_reason":"stop"}]}\n\n'

    def script(say: Say) -> None:
        if say.arrived.path.startswith("/first"):
            say.wait_until_left(PATIENCE)
        else:
            say.events(event, b"data: [DONE]\n\n")

    upstream.got.clear()
    upstream.script = script
    reply = ask(gateway, "m", stream=True, **OPERATOR)
    assert "River" in reply.text
    assert reply.elapsed.total_seconds() < 60
    told = json.loads(reply.headers["x-gatewright-debug"])
    assert [attempt.get("failed") for attempt in told["tried"]] == ["timeout", None]


def test_a_dead_account_sees_three_calls_of_all_workers_and_callers_who_may_ask_are_told_why(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.script = lambda say: (
        say.whole({"error": {"message": "down"}}, 503) if say.arrived.path.startswith("/first") else say.whole(ANSWER)
    )
    upstream.got.clear()
    replies = [ask(gateway, **OPERATOR) for _ in range(3)]
    with ThreadPoolExecutor(8) as pool:
        replies += pool.map(lambda _: ask(gateway, **OPERATOR), range(40))
    assert {reply.status_code for reply in replies} == {200}
    assert asked(upstream) == {"first": asked(upstream)["first"], "second": 43}
    assert asked(upstream)["first"] <= 3
    told = json.loads(replies[-1].headers["x-gatewright-debug"])
    assert told["route"] == "two"
    assert told["strategies"] == ["priority", "latency"]
    assert set(told["candidates"]["default"]) == {"first", "second"}
    assert 40 <= told["aside"]["first"] <= 67
    assert [attempt["channel"] for attempt in told["tried"]] == ["second"]
    assert told["limits"]["each"] < 10000
    assert "127.0.0.1" not in replies[-1].headers["x-gatewright-debug"]
    assert "x-gatewright-debug" not in ask(gateway).headers, "this caller may not ask"


def test_the_log_row_has_the_short_form(gateway: Gateway, upstream: Upstream) -> None:
    upstream.script = lambda say: say.whole(ANSWER)
    assert ask(gateway).status_code == 200

    def row() -> Any:
        with sqlite3.connect(gateway.data / "gatewright.db") as db:
            rows = db.execute("select other from logs where type=2 order by id desc limit 1").fetchall()
        db.close()
        return json.loads(rows[0][0])["admin_info"] if rows else None

    # rows of earlier calls may come later; 30 tokens for 1 and 10 for 2 dollars a million
    wanted = {"aside": ["first"], "route": "two", "cost": "0.00005"}
    until(lambda: wanted.items() <= (row() or {}).items(), words=row)


def counted(gateway: Gateway) -> dict[str, float]:
    """What ``/metrics`` says, by series."""
    bearer = {"authorization": f"Bearer {gateway.key}"}
    reply = requests.get(f"{gateway.base}/metrics", headers=bearer, timeout=PATIENCE)
    assert reply.status_code == 200, reply.text
    lines = [line.rpartition(" ") for line in reply.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


SERVED = 'gatewright_calls_total{format="openai.chat",ended="ok"}'


def hold(over: threading.Event) -> Callable[[Say], None]:
    """A stream that says a word, and ends when that is over."""

    def script(say: Say) -> None:
        say.head(200, "text/event-stream")
        say.chunk(b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n')
        over.wait(PATIENCE)
        say.chunk(b"data: [DONE]\n\n")
        say.end()

    return script


def test_metrics_are_those_of_all_workers_and_for_operators_alone(gateway: Gateway, upstream: Upstream) -> None:
    upstream.script = lambda say: say.whole(ANSWER)

    def served() -> float:
        return metrics().get(SERVED, 0.0)

    def metrics() -> dict[str, float]:
        return counted(gateway)

    before = served()
    for _ in range(12):
        assert ask(gateway).status_code == 200
    assert served() == before + 12
    assert metrics()["gatewright_calls_open"] == 0

    over = threading.Event()
    upstream.script = hold(over)
    with ThreadPoolExecutor() as pool:
        streams = [pool.submit(ask, gateway, stream=True) for _ in range(3)]
        try:
            until(lambda: metrics()["gatewright_calls_open"] == 3)
            assert metrics()["gatewright_streams_open"] == 3
        finally:
            over.set()
        assert [stream.result().status_code for stream in streams] == [200] * 3
    until(lambda: metrics()["gatewright_calls_open"] == 0)
    counts = metrics()
    assert any(name.startswith('gatewright_attempts_total{channel="first",failed=') for name in counts)
    assert counts["gatewright_channels_aside"] == 1
    assert counts["gatewright_streams_open"] == 0
    for metric in ("gatewright_calls_waiting", "gatewright_entries_waiting"):
        assert sum(name.startswith(metric + "{worker=") for name in counts) >= 4, "each worker for itself"
    assert counts['gatewright_call_seconds_bucket{le="+Inf"}'] == counts["gatewright_call_seconds_count"]
    assert counts['gatewright_tokens_total{kind="output"}'] >= 120
    for headers in ({}, {"authorization": "Bearer nobody"}):
        reply = requests.get(f"{gateway.base}/metrics", headers=headers, timeout=PATIENCE)
        assert reply.status_code == 401
        assert "gatewright_" not in reply.text


def beside(gateway: Gateway, word: str) -> list[int]:
    """Children of the master that are called so."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
            if int(rest.split()[1]) == gateway.process.pid and (not word or name == word):
                pids.append(int(folder.name))
    return pids


def test_metrics_are_exact_after_a_worker_died_and_are_told_by_a_process_of_their_own(
    gateway: Gateway, upstream: Upstream
) -> None:
    over = threading.Event()
    until(lambda: counted(gateway)["gatewright_calls_open"] == 0)
    upstream.script = lambda say: say.whole(ANSWER)
    for _ in range(5):
        assert ask(gateway).status_code == 200
    before = counted(gateway)
    (teller,) = beside(gateway, "metrics")
    workers = [pid for pid in beside(gateway, "") if pid not in {*beside(gateway, "watcher"), teller}]
    upstream.script = hold(over)
    with ThreadPoolExecutor() as pool:
        streams = [pool.submit(ask, gateway, stream=True) for _ in range(6)]
        try:
            until(lambda: counted(gateway)["gatewright_streams_open"] == 6)
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
            until(lambda: not set(workers) & set(beside(gateway, "")))
            until(lambda: _open(gateway) == 0)
        finally:
            over.set()
        assert sum(stream.exception() is not None or "[DONE]" not in stream.result().text for stream in streams) == 6
    after = counted(gateway)
    kept = {name: count for name, count in before.items() if "_total" in name or "_seconds" in name}
    assert {name: after[name] for name in kept} == kept, "no count of a dead worker is lost, and none is made up"
    os.kill(teller, signal.SIGKILL)
    until(lambda: teller not in beside(gateway, "metrics") and _open(gateway) == 0)
    assert counted(gateway)[SERVED] == before[SERVED]


def _open(gateway: Gateway) -> float | None:
    with suppress(requests.RequestException, AssertionError):
        return counted(gateway)["gatewright_calls_open"]
    return None
