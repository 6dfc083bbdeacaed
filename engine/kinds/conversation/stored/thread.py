"""Requests that go on from a kept answer, and the keeping of answers, for formats that declare ``stored``.

A provider that holds the answer itself gets the id untouched; any other gets the conversation so far as input. What
the fields are called, and how an item goes to whom, the format says.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.cluster.store import StoreError
from engine.errors import CallError
from engine.kinds.conversation import options
from engine.kinds.conversation.stored.chain import Thread, channel_name
from engine.kinds.conversation.stored.store import Record, ResponseStore

if TYPE_CHECKING:
    from engine.kinds.conversation.call import ConversationCall
    from engine.program import Stored
    from engine.routing.attempt import Attempt, Report

log = logging.getLogger(__name__)


def take_up(call: ConversationCall, answers: ResponseStore, limit: int) -> None:
    """Find what the call goes on from, of ``limit`` bytes at most. Refuses what may be another key's."""
    rules = call.format.stored
    if rules is None or call.account is None:
        return
    many = call.program.policy.get("accountOwner") != "one"
    keep, previous = call.body.get(rules.keep), call.body.get(rules.field)
    if keep is not None and not isinstance(keep, bool):
        raise CallError("bad_request", f"{rules.keep} must be true or false", param=rules.keep)
    call.thread = thread = Thread(answers, options.of(call.snapshot).stored, call.account.token_id, many)
    thread.background = bool(rules.background and call.body.get(rules.background))
    if thread.background and not call.snapshot.terms.background_seconds:
        raise CallError(
            "bad_request",
            f"{rules.background}: answers are not made in the background here; leave it out",
            param=rules.background,
        )
    if previous is None:
        return
    if not isinstance(previous, str):
        raise CallError("bad_request", f"{rules.field} must be a string", param=rules.field)
    thread.previous = previous
    thread.chain = answers.chain(thread.owner, previous, limit, thread.terms)
    if not thread.chain.records and (many or answers.closed(thread.owner, previous)):
        raise _unknown(rules, previous)


def prefer(call: ConversationCall, tries: list[Attempt]) -> list[Attempt]:
    """Return the attempts with the channel first that holds the answer gone on from."""
    thread = call.thread
    if thread is None or not thread.chain.records:
        return tries
    return sorted(tries, key=lambda attempt: not thread.held_by(attempt))


def native_body(call: ConversationCall, attempt: Attempt, report: Report) -> dict[str, Any]:
    """Return the body for a provider of the caller's own format; the call's own where nothing has to change."""
    thread, rules = call.thread, call.format.stored
    body: dict[str, Any] = call.body
    if thread is None or rules is None:
        return body
    there = channel_name(attempt.channel)
    new = _resolved(rules, thread, body.get(rules.input), lambda record: record.held and record.channel == there)
    if thread.previous is None or not thread.chain.records or thread.held_by(attempt):
        return body if new is body.get(rules.input) else {**body, rules.input: new}
    whole = _expanded(rules, thread, new, True, report)
    return {key: value for key, value in body.items() if key != rules.field} | {rules.input: whole}


def full_body(call: ConversationCall) -> dict[str, Any]:
    """Return the body with the whole conversation as input, for a provider of any other format."""
    thread, rules = call.thread, call.format.stored
    body: dict[str, Any] = call.body
    if thread is None or rules is None:
        return body
    new = _resolved(rules, thread, body.get(rules.input), None)
    if thread.previous is None:
        return body if new is body.get(rules.input) else {**body, rules.input: new}
    return {**body, rules.input: _expanded(rules, thread, new, False, call.report)}


def _expanded(rules: Stored, thread: Thread, new: Any, same: bool, report: Report) -> list[Any]:
    if not thread.chain.records or not thread.chain.whole:
        raise _unknown(rules, thread.previous or "")
    items: list[Any] = []
    for record in thread.chain.records:
        # A reference among earlier items is put in place here, as the provider that held it may not be asked now.
        earlier = _resolved(rules, thread, [*record.input, *(record.answer.get(rules.output) or ())], None)
        items += earlier if rules.carry is None else _some(rules.carry(report, item, same) for item in earlier)
    return items + _items(rules, new)


def _items(rules: Stored, value: Any) -> list[Any]:
    items = rules.items([], value)
    return items if isinstance(items, list) else []


def _some(values: Any) -> list[Any]:
    return [value for value in values if value is not None]


def _resolved(rules: Stored, thread: Thread, items: Any, may_stay: Callable[[Record], bool] | None) -> Any:
    """The items with references to kept ones put in place; the same object where there are none.

    ``may_stay`` says of a record whether the provider knows its items; None: it knows no reference at all.
    """
    if rules.reference is None or not isinstance(items, list):
        return items
    resolved: list[Any] = []
    changed = False
    for item in items:
        name = rules.reference([], item) if isinstance(item, dict) else None
        if isinstance(name, str):
            record = thread.answers.holder(thread.owner, name)
            if record is not None and not (may_stay and may_stay(record)):
                item, changed = _named(rules, record, name), True
            elif record is None and (may_stay is None or thread.shared):
                raise CallError(
                    "not_found",
                    f"there is no kept item {name!r}; send it whole",
                    param=rules.input,
                    code="item_not_found",
                )
        resolved.append(item)
    return resolved if changed else items


def _named(rules: Stored, record: Record, name: str) -> Any:
    items = [item for item in record.answer.get(rules.output) or () if isinstance(item, dict)]
    return next((item for item in items if item.get("id") == name), None)


def _unknown(rules: Stored, previous: str) -> CallError:
    return CallError(
        "not_found",
        f"previous response {previous!r} not found: it is not kept here for this key (not any more, or never was); "
        f"send the conversation in {rules.input} instead",
        param=rules.field,
        code="previous_response_not_found",
    )


def own_id(call: ConversationCall, attempt: Attempt) -> str | None:
    """Return the id of an answer that comes from another format: the gateway's own, as it is the one that keeps it."""
    rules = call.format.stored
    if rules is None or not rules.prefix or attempt.format.passthrough_as == call.format.passthrough_as:
        return None
    return rules.prefix + call.request_id


def keep(call: ConversationCall, attempt: Attempt, answer: Any, same: bool, report: Report) -> None:
    """Keep an answer as the caller saw it, unless it asked not to. ``same``: the provider made it under this id."""
    rules, thread = call.format.stored, call.thread
    if rules is None or thread is None or not isinstance(answer, dict) or call.body.get(rules.keep) is False:
        return
    answer_id = answer.get(rules.id)
    if not isinstance(answer_id, str) or not thread.terms.keeps:
        return
    record = Record(
        id=answer_id,
        at=time.time(),
        channel=channel_name(attempt.channel),
        held=same and answer.get(rules.keep) is not False,
        previous=thread.previous,
        input=_items(rules, call.body.get(rules.input)),
        answer=answer,
    )
    output = answer.get(rules.output)
    ids = [item.get("id") for item in output if isinstance(item, dict)] if isinstance(output, list) else []
    try:
        kept = thread.answers.keep(thread.owner, record, [name for name in ids if isinstance(name, str)], thread.terms)
    except StoreError as ex:
        log.error("call %s: its answer can't be kept: %s", call.request_id, ex)
        report.append((rules.keep, "the answer could not be kept, and can't be gone on from"))
        return
    if not kept:
        report.append((rules.keep, "the answer is too large to be kept, and can't be gone on from"))
