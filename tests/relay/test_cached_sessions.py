"""Sessions of agents over three accounts that each cache prompts: with affinity most of their tokens are cached ones.

Nothing is declared for it: the model's cached input costs less, which is all that the shipped rule asks. The same
sessions are played without affinity, and what callers are charged is checked against what the accounts told.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.relay.conftest import provider
from tests.relay.scripted import Say, Upstream
from tests.support import Gateway, serving, until

ACCOUNTS = ("red", "green", "blue")
SESSIONS, STEPS = 6, 8
DOCUMENTS = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: cached}
spec: {models: [{names: [m], tokens: {input: 10, cache_read: 1, output: 20}}]}
---
apiVersion: gatewright/v1
kind: Route
metadata: {name: without}
spec: {when: {headers: {x-without: "^yes$"}}, strategies: [{priority: {}}, {weighted: {}}]}
---
apiVersion: gatewright/v1
kind: Policy
metadata: {name: zz}
spec: {breaker: {failures: 1, coolDown: 600}}
"""


class Accounts:
    """Three accounts, each with a cache of its own: what it was sent before it knows, up to where it differs."""

    def __init__(self) -> None:
        self.upstream = Upstream()
        self.upstream.script = self._script
        self.known: dict[str, set[str]] = {name: set() for name in ACCOUNTS}
        self.usage: list[tuple[int, int]] = []
        self.asked: list[str] = []
        self.down = ""

    def _script(self, say: Say) -> None:
        name = say.arrived.path.split("/")[1]
        if name == self.down:
            say.whole({"error": {"message": "down"}}, 503)
            return
        self.asked.append(name)
        prefix, total, cached = "", 0, 0
        for message in say.arrived.json["messages"]:
            prefix += json.dumps(message)
            count = len(message["content"].split())
            total += count
            cached += count if prefix in self.known[name] else 0
            self.known[name].add(prefix)
        self.usage.append((total, cached))
        told = {"prompt_tokens": total, "completion_tokens": 5, "total_tokens": total + 5}
        message = {"role": "assistant", "content": "done"}
        say.whole(
            {
                "id": "c",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {**told, "prompt_tokens_details": {"cached_tokens": cached}},
            }
        )


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    made = Accounts()
    yield made
    made.upstream.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, accounts: Accounts) -> Iterator[Gateway]:
    documents = [provider(name, f"{accounts.upstream.base}/{name}", "openai.chat", "m") for name in ACCOUNTS]
    made = Gateway(
        tmp_path_factory.mktemp("sessions"),
        specs={"zz.yaml": "---".join([*documents, DOCUMENTS])},
        workers=2,
        priced=True,
        env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{accounts.upstream.port}"},
    )
    with serving(made):
        yield made


def session(number: int) -> Iterator[list[dict[str, Any]]]:
    """The messages of each step: an agent sends all that was before."""
    words = random.Random(number)
    text = " ".join(words.choice(("river", "stone", "cloud", "field")) for _ in range(1500))
    messages = [{"role": "system", "content": text}, {"role": "user", "content": f"task {number}"}]
    for step in range(STEPS):
        yield list(messages)
        messages += [{"role": "assistant", "content": "done"}, {"role": "user", "content": f"step {step} " * 20}]


def play(gateway: Gateway, accounts: Accounts, first: int, **headers: str) -> tuple[float, list[set[str]]]:
    """The sessions side by side; the share of cached tokens, and the accounts of each session."""
    accounts.usage.clear()
    places: list[set[str]] = [set() for _ in range(SESSIONS)]
    playing = [session(number) for number in range(first, first + SESSIONS)]
    for _ in range(STEPS):
        for number, steps in enumerate(playing):
            body = {"model": "m", "messages": next(steps)}
            reply = gateway.post("/v1/chat/completions", body, headers={"connection": "close", **headers})
            assert reply.status_code == 200, reply.text
            places[number].add(accounts.asked[-1])
    return sum(cached for _, cached in accounts.usage) / sum(total for total, _ in accounts.usage), places


def rows(gateway: Gateway, count: int) -> list[tuple[int, int]]:
    """Charge and input of the last calls, once all are booked."""
    with closing(sqlite3.connect(Path(gateway.data) / "gatewright.db")) as db:
        sql = "SELECT quota, prompt_tokens FROM logs WHERE type=2 ORDER BY id DESC LIMIT ?"
        return [(int(quota), int(tokens)) for quota, tokens in db.execute(sql, (count,)).fetchall()]


def test_sessions_stay_where_their_beginning_is_cached_and_cost_less(gateway: Gateway, accounts: Accounts) -> None:
    share, places = play(gateway, accounts, 100)
    assert [len(each) for each in places] == [1] * SESSIONS, "each session has one account"
    assert share > 0.8, share
    units = sum(Decimal(total - cached) * 10 + cached + 5 * 20 for total, cached in accounts.usage) / 1_000_000
    wanted = {total for total, _ in accounts.usage}

    def booked() -> bool:
        return {tokens for _, tokens in rows(gateway, SESSIONS * STEPS)} == wanted

    until(booked)
    charged = sum(quota for quota, _ in rows(gateway, SESSIONS * STEPS))
    assert abs(charged - units * 500_000) <= SESSIONS * STEPS / 2, "each call is rounded once"
    without, spread = play(gateway, accounts, 200, **{"x-without": "yes"})
    assert max(len(each) for each in spread) > 1
    assert share > without * 1.25, f"{share} with affinity, {without} without"


def test_a_session_leaves_an_account_at_once_when_that_is_set_aside(gateway: Gateway, accounts: Accounts) -> None:
    steps = session(300)
    assert gateway.post("/v1/chat/completions", {"model": "m", "messages": next(steps)}).status_code == 200
    accounts.down = accounts.asked[-1]
    arrived = len(accounts.upstream.got)
    for _ in range(3):
        assert gateway.post("/v1/chat/completions", {"model": "m", "messages": next(steps)}).status_code == 200
    down = [one for one in accounts.upstream.got[arrived:] if one.path.startswith(f"/{accounts.down}/")]
    assert len(down) == 1, "it failed once, and is not asked again"
    assert len(set(accounts.asked[-3:])) == 1, "the session has a new place, and keeps it"
    accounts.down = ""
