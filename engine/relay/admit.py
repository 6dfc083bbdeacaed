"""Admit: may this account spend on this call now? Holds an estimate of its price, or refuses with 402.

The estimate is cheap (a token for each four bytes of the request, and the most output that it asks for); only where
the balance is nearly spent are the tokens counted. Knows no balances and no prices: ``engine.ledger`` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from engine.errors import CallError
from engine.ledger.budgets import Exceeded
from engine.relay.tally import sent

if TYPE_CHECKING:
    from engine.ledger.reserve import Reservation
    from engine.relay.call import Call
    from engine.relay.state import RelayState
    from engine.storage.accounts import Account

_BYTES_PER_TOKEN = 4
_CHOICES = ("n", "candidatecount")


def admit(state: RelayState, call: Call, account: Account, groups: Sequence[str]) -> Reservation:
    """Hold what the call may cost in the dearest of the groups that may serve it."""
    if not account.unlimited and account.remain_quota <= 0 and state.terms.enforce:
        raise CallError(
            "quota", "this API key has no quota left; ask for more, or use another key", code="insufficient_quota"
        )
    if not state.ledger.ready():
        raise CallError("unavailable", "the gateway's journal can't be written; its operator has to make room", wait=30)
    amount = _estimate(state, call, account, groups, len(call.raw) // _BYTES_PER_TOKEN)
    ids = account.user_id, account.token_id
    exactly = amount and state.terms.enforce and state.counter.exact(call.asked)
    if exactly and state.reserves.least(*ids) < amount * state.terms.near:
        amount = _estimate(state, call, account, groups, sent(state.counter, call, call.asked).tokens)
    _budgets(state, call, account, amount)
    return state.reserves.hold(*ids, amount, state.terms)


def _budgets(state: RelayState, call: Call, account: Account, quota: int) -> None:
    """Hold the call's estimate of every budget that binds it."""
    if not state.budgets.of(account):
        return
    tokens = len(call.raw) // _BYTES_PER_TOKEN + most_output(call.body, state.terms.max_tokens)
    try:
        call.budget = state.budgets.check(account, quota=quota, tokens=tokens, now=call.now)
    except Exceeded as ex:
        wait = max(1, ex.resets - call.now)
        raise CallError("quota", f"{ex}; it begins anew in {wait} seconds", code="budget_exceeded", wait=wait) from None


def _estimate(state: RelayState, call: Call, account: Account, groups: Sequence[str], input_tokens: int) -> int:
    if call.book is None or call.rule is None:
        return 0
    max_tokens = most_output(call.body, state.terms.max_tokens)
    return max(
        call.book.estimate(
            call.rule,
            input_tokens=max(input_tokens, state.choices.least_input),
            max_tokens=max_tokens,
            group=group,
            user_group=account.user_group,
            request=call.body,
            now=call.now,
            headers=call.headers,
        )
        for group in groups
    )


def most_output(body: dict[str, Any], default: int) -> int:
    """The most output tokens that a request asks for, in whatever format; ``default`` where it names no maximum.

    Any whole number under a name with "max" and "token" in it, at the top or one below; times the choices asked for.
    """
    most, choices = 0, 1
    for name, value in _numbers(body):
        lowered = name.lower()
        if "max" in lowered and "token" in lowered:
            most = max(most, value)
        elif lowered in _CHOICES and value > 1:
            choices = value
    return (most or default) * choices


def _numbers(body: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for name, value in body.items():
        if type(value) is int:
            yield name, value
        elif isinstance(value, dict):
            yield from ((inner, one) for inner, one in value.items() if type(one) is int)
