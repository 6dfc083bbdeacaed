"""Admit: may this account spend on this call now? Holds an estimate of its price, or refuses with 402.

The estimate is the kind's, and cheap. Only where it comes near the balance, or a budget can't hold it, are the tokens
counted. Knows no balances and no prices: ``engine.ledger`` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import CallError
from engine.ledger.budgets import Exceeded

if TYPE_CHECKING:
    from engine.ledger.budgets import Budgets, Held
    from engine.ledger.commit import Ledger
    from engine.ledger.funding import Funding
    from engine.ledger.reserve import Reservation, Reserves
    from engine.ledger.terms import Terms
    from engine.relay.call import Call
    from engine.relay.kind import Estimate, Kind
    from engine.storage.rows.accounts import Account


class AdmitServices(Protocol):
    """What admitting takes of a worker's services."""

    @property
    def ledger(self) -> Ledger: ...
    @property
    def reserves(self) -> Reserves: ...
    @property
    def funding(self) -> Funding: ...
    @property
    def budgets(self) -> Budgets: ...


def check_quota(account: Account, terms: Terms) -> None:
    """Refuse a key that has no quota left."""
    if terms.enforce and not account.spendable:
        raise CallError(
            "quota", "this API key has no quota left; ask for more, or use another key", code="insufficient_quota"
        )


def admit(
    services: AdmitServices,
    kind: Kind[Any, Any],
    call: Call,
    account: Account,
    groups: Sequence[str],
    estimate: Estimate,
) -> Reservation:
    """Hold what the call may cost in the dearest of the groups that may serve it."""
    terms = call.snapshot.terms
    check_quota(account, terms)
    if not services.ledger.ready():
        raise CallError("unavailable", "the gateway's journal can't be written; its operator has to make room", wait=30)
    tokens, output = estimate.input, estimate.output
    amount = _cost(call, account, groups, tokens, estimate)
    ids = account.user_id, account.token_id
    purses = services.funding.of(account, call.asked) if account.funding else services.reserves
    counted = not call.snapshot.counter.count_input  # then nobody looks twice
    if amount and terms.enforce and not counted:
        least = purses.least(*ids)
        # Where the output alone is too much there is nothing to count.
        counted = least < amount * terms.near and least >= _cost(call, account, groups, estimate.least, estimate)
        if counted:
            tokens = kind.count(call, estimate)
            amount = _cost(call, account, groups, tokens, estimate)
    if services.budgets.of(account, call.tags):
        try:
            call.budget = _checked(services, call, account, amount, tokens + output)
        except CallError:
            if counted:
                raise
            tokens = kind.count(call, estimate)
            amount = _cost(call, account, groups, tokens, estimate)
            call.budget = _checked(services, call, account, amount, tokens + output)
    return purses.hold(*ids, amount, terms)


def _checked(services: AdmitServices, call: Call, account: Account, quota: int, tokens: int) -> Held:
    """Hold the call's estimate of every budget that binds it."""
    try:
        return services.budgets.check(account, quota=quota, tokens=tokens, now=call.now, tags=call.tags)
    except Exceeded as ex:
        wait = max(1, ex.resets - call.now)
        raise CallError("quota", str(ex), code="budget_exceeded", wait=wait) from None


def _cost(call: Call, account: Account, groups: Sequence[str], input_tokens: int, estimate: Estimate) -> int:
    if call.book is None or call.rule is None:
        return 0
    return max(
        call.book.estimate(
            call.rule,
            input_tokens=max(input_tokens, call.snapshot.groups.least_input),
            max_tokens=estimate.output,
            group=group,
            user_group=account.user_group,
            request=call.body,
            now=call.now,
            headers=call.headers,
            beside=estimate.beside,
        )
        for group in groups
    )
