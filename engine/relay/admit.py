"""Admit: may this account spend on this call now? Holds an estimate of its price, or refuses with 402.

The estimate is cheap, and of what will go up: a token for each four bytes of the request, what an answer that it goes
on from had used, the media that stand at addresses, and the most output that it asks for. Only where it comes near the
balance, or a budget can't hold it, are the tokens counted. Knows no balances and no prices: ``engine.ledger`` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import CallError
from engine.ledger.budgets import Exceeded
from engine.relay.asks import most_output
from engine.relay.tally import alone, sent

if TYPE_CHECKING:
    from engine.ledger.budgets import Held
    from engine.ledger.reserve import Reservation
    from engine.ledger.terms import Terms
    from engine.relay.call import Call
    from engine.relay.state import RelayState
    from engine.storage.accounts import Account

_BYTES_PER_TOKEN = 4
_LOOKED_AT = 262_144
_ADDRESS, _ESCAPED = b"://", rb":\/\/"


def check_quota(account: Account, terms: Terms) -> None:
    """Refuse a key that has no quota left."""
    if terms.enforce and not account.spendable:
        raise CallError(
            "quota", "this API key has no quota left; ask for more, or use another key", code="insufficient_quota"
        )


def admit(state: RelayState, call: Call, account: Account, groups: Sequence[str]) -> Reservation:
    """Hold what the call may cost in the dearest of the groups that may serve it."""
    check_quota(account, state.terms)
    if not state.ledger.ready():
        raise CallError("unavailable", "the gateway's journal can't be written; its operator has to make room", wait=30)
    output = most_output(call.format.asks, call.body, state.terms.max_tokens)
    earlier = call.thread.used(call.format) if call.thread is not None else 0
    tokens = earlier + len(call.raw) // _BYTES_PER_TOKEN + _addressed(state, call)
    amount = _estimate(state, call, account, groups, tokens, output)
    ids = account.user_id, account.token_id
    counted = not state.counter.count_input  # then nobody looks twice
    if amount and state.terms.enforce and not counted:
        least = state.reserves.least(*ids)
        # Where the output alone is too much there is nothing to count.
        counted = least < amount * state.terms.near and least >= _estimate(
            state, call, account, groups, earlier, output
        )
        if counted:
            tokens = _counted(state, call, earlier)
            amount = _estimate(state, call, account, groups, tokens, output)
    if state.budgets.of(account):
        try:
            call.budget = _checked(state, call, account, amount, tokens + output)
        except CallError:
            if counted:
                raise
            tokens = _counted(state, call, earlier)
            amount = _estimate(state, call, account, groups, tokens, output)
            call.budget = _checked(state, call, account, amount, tokens + output)
    return state.reserves.hold(*ids, amount, state.terms)


def _checked(state: RelayState, call: Call, account: Account, quota: int, tokens: int) -> Held:
    """Hold the call's estimate of every budget that binds it."""
    try:
        return state.budgets.check(account, quota=quota, tokens=tokens, now=call.now)
    except Exceeded as ex:
        wait = max(1, ex.resets - call.now)
        raise CallError("quota", str(ex), code="budget_exceeded", wait=wait) from None


def _addressed(state: RelayState, call: Call) -> int:
    """Tokens that media at addresses may have: every address may be that of one."""
    # PERF: a longer request is held at so many tokens already that more addresses make little of it
    addresses = call.raw.count(_ADDRESS, 0, _LOOKED_AT) + call.raw.count(_ESCAPED, 0, _LOOKED_AT)
    return addresses * state.counter.at_address(call.asked) if addresses else 0


def _counted(state: RelayState, call: Call, earlier: int) -> int:
    """Tokens of the request, counted; of one that goes on from an answer, its own beside those before."""
    counter, model = state.counter, call.asked
    return earlier + alone(counter, call, model).tokens if earlier else sent(counter, call, model, hasty=True).tokens


def _estimate(
    state: RelayState, call: Call, account: Account, groups: Sequence[str], input_tokens: int, output: int
) -> int:
    if call.book is None or call.rule is None:
        return 0
    return max(
        call.book.estimate(
            call.rule,
            input_tokens=max(input_tokens, state.choices.least_input),
            max_tokens=output,
            group=group,
            user_group=account.user_group,
            request=call.body,
            now=call.now,
            headers=call.headers,
        )
        for group in groups
    )
