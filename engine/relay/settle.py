"""Settle: what a finished call used becomes a charge and one ledger entry, before its last bytes leave.

Whatever way a call ends, it is settled once: what was held for it is free again, and what it cost is in the journal.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.ledger import fees
from engine.ledger.amounts import ZERO
from engine.ledger.pricing import Charge
from engine.relay.call import Outcome
from engine.storage.log_rows import CONSUME, ERROR, LogRow
from engine.storage.posting import Entry

if TYPE_CHECKING:
    from engine.ledger.pricing import Book
    from engine.ledger.terms import Terms
    from engine.relay.call import Attempt, Call
    from engine.relay.state import RelayState
    from engine.storage.accounts import Account

log = logging.getLogger(__name__)
_LOSSES = 50


def settle(state: RelayState, call: Call) -> None:
    """Charge the call and put it into the journal, once. Never waits for the database, never fails a call.

    Only the attempt that ended the call is charged: what failed before it is the operator's loss.
    """
    if call.settled:
        return
    call.settled = True
    attempt = call.attempt
    outcome = attempt.outcome if attempt is not None else Outcome()
    if attempt is not None and outcome.pending and state.background.hand_over(state, call, attempt):
        outcome.booked = True
        return
    error = call.error or outcome.error
    failed = error is not None and (not outcome.delivered or not outcome.usage or outcome.barren)
    charge = _charge(state, call, attempt, outcome, failed)
    quota = charge.quota if charge is not None else 0
    _release(state, call, quota, outcome.usage)
    refused = failed and not quota
    if refused and not state.settings.error_log_enabled and not outcome.delivered:
        return
    account = call.account
    state.ledger.put(
        Entry(
            request_id=call.request_id,
            created_at=call.now,
            user_id=account.user_id if account else 0,
            token_id=account.token_id if account else 0,
            channel_id=attempt.channel.id if attempt else 0,
            quota=quota,
            counted=not refused,
            source=outcome.usage_source if outcome.usage else "",
            row=_row(call, attempt, outcome, refused, quota, charge.other() if charge is not None else {}),
            logged=state.settings.error_log_enabled if refused else state.choices.logged,
        )
    )
    outcome.booked = True


def _release(state: RelayState, call: Call, quota: int, usage: dict[str, Any]) -> None:
    """Give back what was held and tell budgets; the database has the exact count, so a failure here fails nothing."""
    try:
        if call.reservation is not None:
            call.reservation.settle(quota)
        if call.budget is not None:
            tokens = usage.get("input_total", 0) + usage.get("output_total", 0)
            state.budgets.add(call.budget, quota=quota, tokens=tokens)
    except Exception:
        log.exception("call %s: shared state does not take what it used", call.request_id)


def _charge(state: RelayState, call: Call, attempt: Attempt | None, outcome: Outcome, failed: bool) -> Charge | None:
    """What the policy and the price make of it; nothing when it is free or has no price book.

    An error that costs, in the midst of an answer, costs its fee beside what was produced.
    """
    account, book = call.account, call.book
    if account is None or attempt is None or book is None:
        return None
    used = _used(state, call, account, attempt, book, failed)
    if outcome.fee is None:
        return used
    shares = {"group": attempt.group, "user_group": account.user_group, "channel": attempt.channel.name}
    return fees.beside(used, fees.charge(book, outcome.fee, call.rule, call.asked, **shares))


def _used(state: RelayState, call: Call, account: Account, attempt: Attempt, book: Book, failed: bool) -> Charge | None:
    """The charge for what was produced."""
    outcome = attempt.outcome
    if not outcome.usage:
        return None
    if _free(state.terms, call, outcome, failed):
        return None
    try:
        made = book.charge(
            call.rule,
            outcome.usage,
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
    if made.failed and call.reservation is not None:
        return replace(made, quota=call.reservation.amount)
    return made


def _free(terms: Terms, call: Call, outcome: Outcome, failed: bool) -> bool:
    """Whether a Policy lets the caller off. An answer that the gateway itself failed to hand on was paid for."""
    if outcome.ended == "client_gone":
        return not (terms.left_pays if outcome.delivered else terms.left_early_pays)
    return failed and call.error is None and not terms.failed_pays


def _row(
    call: Call, attempt: Attempt | None, outcome: Outcome, refused: bool, quota: int, priced: dict[str, Any]
) -> LogRow:
    account, usage = call.account, outcome.usage
    return LogRow(
        user_id=account.user_id if account else 0,
        username=account.username if account else "",
        token_id=account.token_id if account else 0,
        token_name=account.token_name if account else "",
        model_name=call.asked,
        channel_id=attempt.channel.id if attempt else 0,
        type=ERROR if refused else CONSUME,
        content=_content(call, outcome, refused),
        quota=quota,
        prompt_tokens=usage.get("input_total", 0),
        completion_tokens=usage.get("output_total", 0),
        use_time=int(time.monotonic() - call.started),
        is_stream=call.stream,
        group=attempt.group if attempt else "",
        ip=call.ip if (account.logs_ip if account else refused) else "",
        request_id=call.request_id,
        upstream_request_id=outcome.upstream_id[:128],
        created_at=call.now,
        other={**priced, **_other(call, attempt, outcome)},
    )


def _content(call: Call, outcome: Outcome, refused: bool) -> str:
    error = call.error or outcome.error
    if refused:
        return error["message"] if error else ""
    return outcome.fee.says if outcome.fee is not None else ""


def _other(call: Call, attempt: Attempt | None, outcome: Outcome) -> dict[str, Any]:
    error = call.error or outcome.error
    other: dict[str, Any] = {
        "request_path": call.endpoint.path,
        "release": call.program.hash[:16],
        "admin_info": {"use_channel": [one.channel.name for one in call.attempts]},
    }
    if len(call.attempts) > 1:
        other["admin_info"]["failed"] = [
            [one.channel.name, one.outcome.error["meaning"]] for one in call.attempts if one.outcome.error
        ]
    if outcome.first_byte is not None:
        other["frt"] = round((outcome.first_byte - call.started) * 1000)
    if attempt is not None:
        other["channel"] = attempt.channel.name
        if attempt.format.name != call.format.name:
            other["request_conversion"] = [call.format.name, attempt.format.name]
        if attempt.model != call.asked:
            other["is_model_mapped"] = True
            other["upstream_model_name"] = attempt.model
    if outcome.usage:
        other["usage"] = {key: value for key, value in outcome.usage.items() if value and key != "raw"}
        other["usage_source"] = outcome.usage_source
    if call.budget is not None and call.budget.warnings:
        other["budget"] = list(call.budget.warnings)
    if outcome.report:
        other["losses"] = [list(loss) for loss in outcome.report[:_LOSSES]]
    if outcome.ended != "done":
        other["stream_status"] = {"status": "error", "end_reason": outcome.ended}
    if error is not None:
        other["error_type"] = error["meaning"]
        other["status_code"] = error.get("status")
    if error is not None and outcome.fee is not None:
        other["upstream_error_type"], other["upstream_error_code"] = error.get("type"), error.get("code")
    return other
