"""Requests that go on from a kept answer, and the keeping of answers, for formats that declare ``stored``.

A provider that holds the answer itself gets the id untouched; any other gets the conversation so far as input. What
the fields are called, and how an item goes to whom, the format says.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.cluster.store import StoreError
from engine.errors import CallError
from engine.hub.usage import EMPTY, Plan
from engine.ledger.terms import terms
from engine.relay.asks import refuse_kept, shared
from engine.relay.stored import Answers, Chain, Record

if TYPE_CHECKING:
    from engine.program import Format, Stored
    from engine.relay.call import Attempt, Call, Report
    from engine.relay.table import LiveChannel

log = logging.getLogger(__name__)
_BYTES_PER_TOKEN = 4


@dataclass(slots=True)
class Thread:
    """What a call goes on from: the id that it names, if any, and the turns that are kept here."""

    answers: Answers
    owner: int
    shared: bool = True
    """Whether many people share the provider's account, so that what is not known as the owner's may be another's."""
    background: bool = False
    """The answer is asked to be made in the background."""
    previous: str | None = None
    chain: Chain = field(default_factory=lambda: Chain([]))

    def used(self, speaker: Format) -> int:
        """Tokens of what is gone on from: those that its last answer told, else one for each four bytes."""
        if not self.chain.records:
            return 0
        at, answer = speaker.usage.at, self.chain.records[-1].answer
        told = Plan(speaker.usage).normalise(at([], answer, "")) if at else EMPTY
        return int(told["total"]) or self.chain.size // _BYTES_PER_TOKEN

    def held_by(self, attempt: Attempt) -> bool:
        """Whether the attempt's provider holds the answer that is gone on from."""
        last = self.chain.records[-1]
        return last.held and last.channel == channel_name(attempt.channel)


def channel_name(channel: LiveChannel) -> str:
    """Return what tells a channel from any other for as long as answers are kept."""
    return f"{channel.id}:{channel.name}"


def take_up(call: Call, answers: Answers, limit: int) -> None:
    """Find what the call goes on from, of ``limit`` bytes at most. Refuses what may be another key's."""
    rules, many = call.format.stored, shared(call)
    if many:
        refuse_kept(call)
    if rules is None or call.account is None:
        return
    keep, previous = call.body.get(rules.keep), call.body.get(rules.field)
    if keep is not None and not isinstance(keep, bool):
        raise CallError("bad_request", f"{rules.keep} must be true or false", param=rules.keep)
    call.thread = thread = Thread(answers, call.account.token_id, many)
    thread.background = bool(rules.background and call.body.get(rules.background))
    if thread.background and not terms(call.program.policy).background_seconds:
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
    thread.chain = answers.chain(thread.owner, previous, limit)
    if not thread.chain.records and (many or answers.closed(thread.owner, previous)):
        raise _unknown(rules, previous)


def prefer(call: Call, tries: list[Attempt]) -> list[Attempt]:
    """Return the attempts with the channel first that holds the answer gone on from."""
    thread = call.thread
    if thread is None or not thread.chain.records:
        return tries
    return sorted(tries, key=lambda attempt: not thread.held_by(attempt))


def spoken(call: Call, attempt: Attempt, report: Report) -> dict[str, Any]:
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


def told(call: Call) -> dict[str, Any]:
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
    made = rules.items([], value)
    return made if isinstance(made, list) else []


def _some(values: Any) -> list[Any]:
    return [value for value in values if value is not None]


def _resolved(rules: Stored, thread: Thread, items: Any, may_stay: Callable[[Record], bool] | None) -> Any:
    """The items with references to kept ones put in place; the same object where there are none.

    ``may_stay`` says of a record whether the provider knows its items; None: it knows no reference at all.
    """
    if rules.reference is None or not isinstance(items, list):
        return items
    made: list[Any] = []
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
        made.append(item)
    return made if changed else items


def _named(rules: Stored, record: Record, name: str) -> Any:
    found = [item for item in record.answer.get(rules.output) or () if isinstance(item, dict)]
    return next((item for item in found if item.get("id") == name), None)


def _unknown(rules: Stored, previous: str) -> CallError:
    return CallError(
        "not_found",
        f"previous response {previous!r} not found: it is not kept here for this key (not any more, or never was); "
        f"send the conversation in {rules.input} instead",
        param=rules.field,
        code="previous_response_not_found",
    )


def own_id(call: Call, attempt: Attempt) -> str | None:
    """Return the id of an answer that comes from another format: the gateway's own, as it is the one that keeps it."""
    rules = call.format.stored
    if rules is None or not rules.prefix or attempt.format.passthrough_as == call.format.passthrough_as:
        return None
    return rules.prefix + call.request_id


def keep(call: Call, attempt: Attempt, answer: Any, same: bool, report: Report) -> None:
    """Keep an answer as the caller saw it, unless it asked not to. ``same``: the provider made it under this id."""
    rules, thread = call.format.stored, call.thread
    if rules is None or thread is None or not isinstance(answer, dict) or call.body.get(rules.keep) is False:
        return
    answer_id = answer.get(rules.id)
    if not isinstance(answer_id, str) or not thread.answers.keeps:
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
        kept = thread.answers.keep(thread.owner, record, [name for name in ids if isinstance(name, str)])
    except StoreError as ex:
        log.error("call %s: its answer can't be kept: %s", call.request_id, ex)
        report.append((rules.keep, "the answer could not be kept, and can't be gone on from"))
        return
    if not kept:
        report.append((rules.keep, "the answer is too large to be kept, and can't be gone on from"))
