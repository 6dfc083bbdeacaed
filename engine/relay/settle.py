"""Settle: what a finished call used becomes a charge and one ledger entry, before its last bytes leave.

Whatever way a call ends, it is settled once: what was held for it is free again, and what it cost is in the journal.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any, Protocol

from engine.hub.usage import joined
from engine.ledger.pricing import fees
from engine.ledger.pricing.amounts import ZERO, add, plain
from engine.ledger.pricing.book import Charge
from engine.relay.attempts import explained
from engine.relay.upstream.failure import UpstreamFailure
from engine.routing.attempt import Outcome
from engine.storage.rows.log_rows import CONSUME, ERROR, LogRow
from engine.storage.rows.posting import Entry

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.ledger.budgets import Budgets
    from engine.ledger.commit import Ledger
    from engine.ledger.pricing.book import Book
    from engine.ledger.terms import Terms
    from engine.relay.attempts.health import Health
    from engine.relay.attempts.limits import Limits
    from engine.relay.call import Call
    from engine.relay.metrics.counting import Metrics
    from engine.relay.upstream.troubles import Troubles
    from engine.routing.attempt import Attempt
    from engine.settings import Settings
    from engine.storage.rows.accounts import Account

log = logging.getLogger(__name__)
_LOSSES = 50


class SettleServices(Protocol):
    """What settling takes of a worker's services."""

    @property
    def ledger(self) -> Ledger: ...
    @property
    def budgets(self) -> Budgets: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def health(self) -> Health: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def troubles(self) -> Troubles: ...


def settle(services: SettleServices, call: Call) -> None:
    """Charge the call and put it into the journal, once. Never waits for the database, never fails a call.

    Only the attempt that ended the call is charged: what failed before it is the operator's loss.
    """
    if call.settled:
        return
    call.settled = True
    services.metrics.over(call)
    last = attempt = call.attempt
    if attempt is not None and len(call.attempts) > 1:
        attempt = _as_one(call, attempt)
    outcome = attempt.outcome if attempt is not None else Outcome()
    if attempt is not None and outcome.delivered and outcome.ended != "client_gone":
        _tell(services, call, call.attempts[-1])
    if attempt is not None and outcome.successor is not None and outcome.successor(call, attempt):
        outcome.booked = True
        if call.taken:
            services.limits.settle(call, None, served=True)
        return
    error = call.error or outcome.error
    failed = error is not None and (not outcome.delivered or not outcome.usage or outcome.empty_answer)
    charge = _charge(call, attempt, outcome, failed)
    quota = charge.quota if charge is not None else 0
    _release(services, call, quota, outcome.usage, served=not failed)
    if not call.mirrors:
        services.metrics.ended(call, outcome, error if failed else None, charge)
    refused = failed and not quota
    if refused and not services.settings.error_log_enabled and not outcome.delivered and call.canary is None:
        return
    account = call.account
    services.ledger.put(
        Entry(
            request_id=call.request_id,
            created_at=call.now,
            user_id=account.user_id if account else 0,
            token_id=account.token_id if account else 0,
            channel_id=attempt.channel.id if attempt else 0,
            quota=quota,
            counted=not refused and not call.mirrors,
            source=outcome.usage_source if outcome.usage else "",
            row=_row(call, attempt, outcome, refused, quota, charge.other() if charge is not None else {}),
            logged=services.settings.error_log_enabled if refused else call.snapshot.groups.logged,
            born=outcome.born,
            plan=call.reservation.plan if call.reservation is not None else 0,
        )
    )
    if last is not None:
        last.outcome.booked = True


def _as_one(call: Call, last: Attempt) -> Attempt:
    """The attempt that answered; where several made the answer one after the other, the first with what all made.

    The caller pays what one answer would have cost there: what was sent again to go on is the operator's loss.
    """
    begun = _begun(call)
    if not begun:
        return last
    usage = begun[0].outcome.usage
    for attempt in (*begun[1:], last):
        usage = joined(usage, attempt.outcome.usage)
    outcome = replace(last.outcome, usage=usage, first_byte=begun[0].outcome.first_byte)
    outcome.report = list(dict.fromkeys(line for attempt in (*begun, last) for line in attempt.outcome.report))
    if any(attempt.outcome.usage_source != "upstream" for attempt in begun):
        outcome.usage_source = begun[0].outcome.usage_source
    outcome.empty_answer = False
    return replace(begun[0], outcome=outcome)


def _begun(call: Call) -> list[Attempt]:
    """The attempts whose answer broke off and was gone on with."""
    return [attempt for attempt in call.attempts[:-1] if attempt.outcome.gone_on]


def _tell(services: SettleServices, call: Call, attempt: Attempt) -> None:
    """What an answer that reached its caller says of its channel: it is well, or it broke off."""
    error = attempt.outcome.error
    if error is None:
        services.troubles.worked(attempt)
    else:
        services.health.failed(call.snapshot.health, attempt, UpstreamFailure(error))
        services.troubles.failed(call, attempt, error, None)


def _release(services: SettleServices, call: Call, quota: int, usage: dict[str, Any], *, served: bool) -> None:
    """Give back what was held and tell budgets; the database has the exact count, so a failure here fails nothing."""
    try:
        if call.reservation is not None:
            call.reservation.settle(quota)
        tokens = usage.get("input_total", 0) + usage.get("output_total", 0)
        if call.taken:
            services.limits.settle(call, tokens, served=served)
        if call.budget is not None:
            services.budgets.add(call.budget, quota=quota, tokens=tokens)
    except Exception:
        log.exception("call %s: shared services does not take what it used", call.request_id)


def _charge(call: Call, attempt: Attempt | None, outcome: Outcome, failed: bool) -> Charge | None:
    """What the policy and the price make of it; nothing when it is free or has no price book.

    An error that costs, in the midst of an answer, costs its fee beside what was produced.
    """
    account, book = call.account, call.book
    if account is None or attempt is None or book is None:
        return None
    used = _used(call, account, attempt, book, failed)
    if used is not None and len(call.attempts) > 1 and call.snapshot.hedge is not None and call.snapshot.hedge.charged:
        for other in _lost(call):
            used = fees.beside(used, _used(call, account, other, book, failed=False, sent_alone=True))
    if outcome.fee is None:
        return used
    shares = {"group": attempt.group, "user_group": account.user_group, "channel": attempt.channel.name}
    return fees.beside(used, fees.charge(book, outcome.fee, call.rule, call.asked, **shares))


def _used(
    call: Call, account: Account, attempt: Attempt, book: Book, failed: bool, *, sent_alone: bool = False
) -> Charge | None:
    """The charge for what was produced, or for what was sent alone."""
    outcome = attempt.outcome
    usage = _sent(outcome.usage) if sent_alone else outcome.usage
    if not usage:
        return None
    if _free(call.snapshot.terms, call, outcome, failed):
        return None
    try:
        charge = book.charge(
            call.rule,
            usage,
            group=attempt.group,
            user_group=account.user_group,
            channel=attempt.channel.name,
            request=call.body,
            now=call.now,
            headers=call.headers,
        )
    except Exception:  # a price that can't be worked out must not lose the call: the estimate is what was agreed to
        log.exception("call %s can't be priced; its reservation stands as its price", call.request_id)
        return Charge(call.reservation.amount if call.reservation else 0, ZERO, "", "", failed="see the log")
    if charge.failed and call.reservation is not None:
        return replace(charge, quota=call.reservation.amount)
    return charge


def _sent(usage: dict[str, Any]) -> dict[str, Any]:
    """What of a usage is its request's."""
    sent = {name: value for name, value in usage.items() if name.startswith(("input", "cache", "tool_use"))}
    return {**sent, "total": usage.get("input_total", 0)} if sent else {}


def _free(terms: Terms, call: Call, outcome: Outcome, failed: bool) -> bool:
    """Whether a Policy lets the caller off. An answer that the gateway itself failed to hand on was paid for."""
    if outcome.ended == "client_gone":
        return not (terms.left_pays if outcome.delivered else terms.left_early_pays)
    return failed and call.error is None and not terms.failed_pays


def _row(
    call: Call, attempt: Attempt | None, outcome: Outcome, refused: bool, quota: int, priced: dict[str, Any]
) -> LogRow:
    account, usage = call.account, outcome.usage
    tags = {"tags": list(call.tags)} if call.tags else {}
    return {  # PERF: a literal is a third of a call with as many names
        "user_id": account.user_id if account else 0,
        "username": account.username if account else "",
        "token_id": account.token_id if account else 0,
        "token_name": account.token_name if account else "",
        "model_name": call.asked,
        "channel_id": attempt.channel.id if attempt else 0,
        "type": ERROR if refused else CONSUME,
        "content": _content(call, outcome, refused),
        "quota": quota,
        "prompt_tokens": usage.get("input_total", 0),
        "completion_tokens": usage.get("output_total", 0),
        "use_time": int(time.monotonic() - call.started),
        "is_stream": call.stream,
        "group": attempt.group if attempt else "",
        "ip": call.ip if (account.logs_ip if account else refused) else "",
        "request_id": call.request_id,
        "upstream_request_id": outcome.upstream_id[:128],
        "created_at": call.now,
        "other": {**priced, **_other(call, attempt, outcome), **tags},  # last: lists look for them there
    }


def _content(call: Call, outcome: Outcome, refused: bool) -> str:
    error = call.error or outcome.error
    if refused:
        return error["message"] if error else ""
    return outcome.fee.says if outcome.fee is not None else ""


def _other(call: Call, attempt: Attempt | None, outcome: Outcome) -> dict[str, Any]:
    error = call.error or outcome.error
    other: dict[str, Any] = {
        "request_path": call.endpoint.path,
        "release": call.snapshot.program.hash[:16],
        "admin_info": _for_operators(call, attempt),
    }
    if call.snapshot.rows:
        other["rows"] = call.snapshot.rows
    if outcome.first_byte is not None:
        other["frt"] = round((outcome.first_byte - call.started) * 1000)
    if attempt is not None:
        other |= _way(call, attempt)
    if outcome.usage:
        other["usage"] = {key: value for key, value in outcome.usage.items() if value and key != "raw"}
        other["usage_source"] = outcome.usage_source
    if call.reservation is not None and call.reservation.plan:
        other["billing_source"] = "subscription"
        other["subscription_id"] = call.reservation.plan
        other["subscription_pre_consumed"] = call.reservation.amount
    if call.budget is not None and call.budget.warnings:
        other["budget"] = list(call.budget.warnings)
    if outcome.report:
        other["losses"] = [list(loss) for loss in outcome.report[:_LOSSES]]
    if outcome.ended != "done":
        other["stream_status"] = {"status": "error", "end_reason": outcome.ended}
    if error is not None:
        other |= _failure(error, outcome)
    return other


def _for_operators(call: Call, attempt: Attempt | None) -> dict[str, Any]:
    """What only operators see: the channels that were used, what failed, why, and what it cost them."""
    facts: dict[str, Any] = {"use_channel": [tried.channel.name for tried in call.attempts]}
    lost: list[tuple[str, Decimal | None]] = []
    if len(call.attempts) > 1:
        facts["failed"] = [
            [tried.channel.name, tried.outcome.error["meaning"]]
            for tried in call.attempts
            if tried.outcome.error and not tried.outcome.lost
        ]
        lost = [(tried.channel.name, _cost(call, tried)) for tried in _lost(call)]
        if lost:
            facts["lost"] = [[name, None if cost is None else plain(cost)] for name, cost in lost]
        if begun := _begun(call):
            facts["parts"] = [_part(call, tried) for tried in (*begun, call.attempts[-1])]
    if call.choice is not None:
        facts |= explained.short(call)
    cost = _sum([_cost(call, tried) for tried in (*_begun(call), *call.attempts[-1:])] + [more for _, more in lost])
    if cost is not None:
        facts["cost"] = plain(cost)
    if call.mirrors:
        facts["mirrors"] = call.mirrors
    if call.canary is not None:
        facts["canary"] = _measured(call, attempt)
    return facts


def _part(call: Call, attempt: Attempt) -> list[Any]:
    """What one upstream made of an answer: its channel, tokens in and out, and what that cost the operator."""
    usage, cost = attempt.outcome.usage, _cost(call, attempt)
    tokens = [usage.get("input_total", 0), usage.get("output_total", 0)]
    return [attempt.channel.name, *tokens, None if cost is None else plain(cost)]


def _sum(costs: list[Decimal | None]) -> Decimal | None:
    known = [cost for cost in costs if cost is not None]
    return reduce(add, known) if known else None


def _measured(call: Call, attempt: Attempt | None) -> list[Any]:
    """What a canary is told of the call, as ``engine.storage.releases.canaries`` counts it."""
    outcome = attempt.outcome if attempt is not None else Outcome()
    first = outcome.first_byte
    ms = None if first is None else round((first - call.started) * 1000)
    return [*(call.canary or ()), (call.error or outcome.error) is not None, ms, len(outcome.report)]


def _lost(call: Call) -> list[Attempt]:
    """The attempts that another one outran, of which something may have to be paid."""
    return [attempt for attempt in call.attempts[:-1] if attempt.outcome.lost]


def _cost(call: Call, attempt: Attempt) -> Decimal | None:
    """Dollars that an attempt cost the operator; nothing where no document says of it."""
    channel = attempt.channel
    if call.book is None or not attempt.outcome.usage:
        return None
    try:
        if not call.book.costs.declared(channel.cost_factor):
            return None
        return call.book.costs.of(
            call.rule,
            attempt.outcome.usage,
            call.asked,
            channel.name,
            channel.provider.name,
            channel.cost_factor,
            call.body,
            call.now,
        )
    except Exception:  # what it cost the operator must not lose the entry
        log.exception("call %s: what it cost can't be worked out", call.request_id)
        return None


def _failure(error: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    """What the row says of what ended the call; of an error that costs, in its provider's own words too."""
    failure: dict[str, Any] = {"error_type": error["meaning"], "status_code": error.get("status")}
    if outcome.fee is not None:
        failure["upstream_error_type"], failure["upstream_error_code"] = error.get("type"), error.get("code")
    return failure


def _way(call: Call, attempt: Attempt) -> dict[str, Any]:
    """By which channel the call went, in which format, and under which name of the model."""
    way: dict[str, Any] = {"channel": attempt.channel.name}
    if attempt.format.name != call.format.name:
        way["request_conversion"] = [call.format.name, attempt.format.name]
    if attempt.model != call.asked:
        way["is_model_mapped"] = True
        way["upstream_model_name"] = attempt.model
    return way
