"""A fault of the gateway itself, once the provider has answered: charged by what the provider told, and in a row."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engine.compiler import compile_set, read_set
from engine.errors import CallError
from engine.hub.usage import EMPTY
from engine.ledger.terms import Terms
from engine.paths import SPECS
from engine.relay.failover import ended
from engine.relay.upstream.failure import UpstreamFailure
from tests.ledger.books import book
from tests.relay.inprocess import answered

USED = {**EMPTY, "input_fresh": 100, "input_total": 100, "output_text": 40, "output_total": 40, "total": 140}
PRICE = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: p}
spec: {models: [{names: [m], tokens: {input: 2, output: 8}}]}
"""


@pytest.fixture(scope="module")
def program() -> Any:
    """The shipped documents."""
    sources, shared, _ = read_set([SPECS])
    return compile_set(sources, shared).program()


@pytest.fixture
def services() -> Any:
    """What settling needs of a worker; ``entries`` is what reached the ledger."""
    entries: list[Any] = []
    return SimpleNamespace(
        entries=entries,
        ledger=SimpleNamespace(put=entries.append),
        settings=SimpleNamespace(error_log_enabled=False),
        metrics=SimpleNamespace(ended=lambda *_: None, over=lambda *_: None),
    )


@pytest.fixture
def call(program: Any) -> Any:
    """A call whose attempt has an answer with a usage, of which the caller has nothing yet."""
    began = answered(program, "openai.chat", "openai.chat")
    call, attempt = began.call, began.attempt
    attempt.channel.id, attempt.channel.name = 7, "c"
    attempt.outcome.usage = USED
    call.attempts.append(attempt)
    call.book = book(PRICE, shipped=False)
    call.rule = call.book.find("m")
    call.snapshot.terms, call.snapshot.groups, call.snapshot.rows = Terms(), SimpleNamespace(logged=True), 0
    call.account = SimpleNamespace(
        user_id=1, username="u", token_id=2, token_name="t", user_group="default", logs_ip=False
    )
    return call


def entries(services: Any, call: Any, error: BaseException) -> list[Any]:
    ended(services, call, error)
    ended(services, call, RuntimeError())  # whatever comes after it changes nothing
    return services.entries


@pytest.mark.parametrize("fault", [RuntimeError("x"), KeyboardInterrupt(), CallError("internal", "x")])
def test_a_fault_of_the_gateway_is_charged_by_what_was_told(services: Any, call: Any, fault: BaseException) -> None:
    (entry,) = entries(services, call, fault)
    assert (entry.quota, entry.counted, entry.channel_id) == (260, True, 7)
    assert entry.row["other"]["error_type"] == "internal"
    assert (entry.row["prompt_tokens"], entry.row["completion_tokens"]) == (100, 40)


def test_a_fault_before_anything_was_told_is_free(services: Any, call: Any) -> None:
    call.attempt.outcome.usage = {}
    assert entries(services, call, RuntimeError("x")) == []


def test_an_upstreams_fault_is_free_whatever_it_told(services: Any, call: Any) -> None:
    call.attempt.outcome.error = {"meaning": "cut", "message": "x"}
    assert entries(services, call, UpstreamFailure({"meaning": "cut", "message": "x"})) == []


def test_a_price_that_cannot_be_worked_out_costs_what_was_held(services: Any, call: Any) -> None:
    call.book = SimpleNamespace(charge=lambda *_, **__: 1 / 0)
    call.reservation = SimpleNamespace(amount=99, plan=0, settle=lambda spent: None)
    (entry,) = entries(services, call, RuntimeError("x"))
    assert entry.quota == 99
