"""A task goes to another state: the row, and the money that hangs on it, in one transaction that one mover wins.

``move`` takes what was told of a task (see Task documents, ``follow.answer``) and gives whether its row was moved.
A task never goes back, and never leaves its end. Knows nothing of how it was asked for.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.kinds.task import calling_back, keeping
from engine.kinds.task import record as records
from engine.ledger.pricing.amounts import multiply, rounded
from engine.ledger.pricing.book import Charge
from engine.program import FINAL, RANKS
from engine.storage.rows.log_rows import CONSUME, REFUND
from engine.storage.rows.posting import CORRECTION, Entry
from engine.storage.rows.work import kept, results, tasks
from engine.storage.rows.work.kept import KeptThing

if TYPE_CHECKING:
    from engine.kinds.task.record import TaskRecord
    from engine.kinds.task.work import Used
    from engine.program import TaskRules
    from engine.relay.services import Services
    from engine.relay.snapshot import Snapshot

log = logging.getLogger(__name__)


def move(
    services: Services, snapshot: Snapshot, one: TaskRecord, rules: TaskRules | None, told: Mapping[str, Any]
) -> bool:
    """See the module."""
    if one.final:
        return False
    state = next_state(one, rules, told)
    values = records.changed(one, state, told)
    if state == one.state and state not in FINAL and not _differs(one, values):
        return False
    correction = _correction(services, snapshot, one, rules, state, told) if state in FINAL else None
    if correction is not None:
        values["quota"] = one.quota + correction.quota

    wanted = keeping.wanted(snapshot, records.after(one, values), rules) if state == "SUCCESS" else []

    def decide(connection: Any) -> Entry | None:
        won.clear()
        if tasks.move(connection, services.db, one.rows, one.id, one.status, values):
            won.append(True)
            kept.add(connection, _owned(one, told))
            results.want(connection, one.rows, one.id, wanted)
            if state != one.state:
                calling_back.put(connection, services.db, one, state)
            return correction
        return None

    won: list[bool] = []
    services.ledger.together(decide)
    if won and correction is not None:
        log.info("task %s: %s, %+d quota", one.name, state, correction.quota)
    return bool(won)


def next_state(task: TaskRecord, rules: TaskRules | None, answer: Mapping[str, Any]) -> str:
    """The state that it goes to; its own where it is told nothing new, or what lies behind it."""
    state = answer.get("state") or (rules.state(answer.get("status")) if rules is not None else None)
    if state is None or RANKS[state] < RANKS.get(task.state, 0):
        return task.state
    return str(state)


def _differs(task: TaskRecord, values: Mapping[str, Any]) -> bool:
    shown = {name: value for name, value in values.items() if name not in ("updated_at", "properties", "private_data")}
    if any(task.row.get(name) != value for name, value in shown.items()):
        return True
    return bool(values.get("private_data", task.private) != task.private)


def _correction(
    services: Services,
    snapshot: Snapshot,
    task: TaskRecord,
    rules: TaskRules | None,
    state: str,
    answer: Mapping[str, Any],
) -> Entry | None:
    """What sets its charge right: all of it goes back, or what differs from what it used."""
    spent = answer.get("spent")
    if spent is not None:
        return _set_right(services, snapshot, task, spent)
    if state != "SUCCESS":
        keeps = rules is not None and rules.charge.failed == "keep"
        if rules is not None and rules.charge.lines is not None:  # nobody saw its end
            keeps = snapshot.terms.unknown_end_pays
        return (
            None if keeps or not task.quota else _entry(services, task, -task.quota, f"the task ended as {state}", {})
        )
    if task.own.get("asked") in services.settings.task_price_patch:
        return None
    charge = _final(snapshot, task, rules, answer)
    if charge is None or charge.quota == task.quota:
        return None
    return _entry(services, task, charge.quota - task.quota, "what the finished task used", charge.other())


def _set_right(services: Services, snapshot: Snapshot, task: TaskRecord, spent: Used) -> Entry:
    """What was held for answers goes over into what they cost."""
    own, usage = task.own, spent.usage
    exact = multiply(spent.usd, snapshot.book.unit)
    quota = rounded(exact) or int(exact > 0)
    charge = Charge(quota, spent.usd, str(own.get("rule") or own.get("asked")), "", tuple(spent.lines.values()))
    other = {**charge.other(), "usage": {name: value for name, value in usage.items() if value}}
    entry = _entry(services, task, quota - task.quota, "what the answers of the batch used", other)
    entry.row["prompt_tokens"] = usage.get("input_total", 0)
    entry.row["completion_tokens"] = usage.get("output_total", 0)
    return entry


def _final(snapshot: Snapshot, task: TaskRecord, rules: TaskRules | None, answer: Mapping[str, Any]) -> Charge | None:
    """The charge for what a finished task used, where only its end tells."""
    own = task.own
    if rules is None or rules.charge.final is None or not own:
        return None
    try:
        used = rules.charge.final([], answer, own.get("request") or {}, own.get("model"))
        rule = snapshot.book.find(own["asked"], None, task.submitted)
        if not used or rule is None or (rule.ratio is not None and rule.ratio.price is not None):
            return None
        used = {**used, "meters": {**(own.get("meters") or {}), **(used.get("meters") or {})}}
        usage = usage_of(used, factors=own.get("factors") or {}, ratio=rule.ratio is not None)
        charge = snapshot.book.charge(
            rule, usage, group=own.get("group") or "", user_group=own.get("user_group") or "",
            channel=own.get("channel_name") or "", request=own.get("request"), now=task.submitted,
        )  # fmt: skip
    except Exception:  # what was agreed to stands
        log.exception("task %s: what it used can't be priced; its charge stands", task.name)
        return None
    return None if charge.failed or charge.unpriced else charge


def _owned(task: TaskRecord, answer: Mapping[str, Any]) -> list[KeptThing]:
    """What came of a task that its provider keeps: its owner's own, at its channel."""
    own, things = task.own, list[KeptThing]()
    for resource in answer.get("owns") or ():
        name, shown = resource.get("id"), resource.get("shown")
        if isinstance(name, str) and 0 < len(name) <= kept.LONGEST:
            facts = {"channel": own.get("channel"), "key": own.get("key"), "format": resource["family"], "shown": shown}
            token = int(own.get("token") or 0)
            things.append(
                KeptThing(resource["family"], name, task.user_id, token, task.channel_id, int(time.time()), facts)
            )
    return things


def usage_of(used: Mapping[str, Any], *, factors: Mapping[str, Any], ratio: bool) -> dict[str, Any]:
    """The usage that prices go by: tokens, meters, and factors where the price is a ratio of older programs."""
    tokens = used.get("tokens")
    number = max(0, int(tokens)) if isinstance(tokens, int | float) else 0
    usage: dict[str, Any] = {"meters": used.get("meters") or {}}
    if number:
        usage |= {"input_fresh": number, "input_total": number, "total": number}
    else:
        usage["task"] = True
    if ratio:
        usage["factors"] = {**factors, **(used.get("factors") or {})}
    return usage


def _entry(services: Services, task: TaskRecord, quota: int, why: str, other: dict[str, Any]) -> Entry:
    own, now = task.own, int(time.time())
    name = own.get("username") or tasks.username(services.db, task.user_id)
    token = int(own.get("token") or task.private.get("token_id") or 0)
    request_id = tasks.end_of(task.rows, task.id, task.name)
    row: Any = {
        "user_id": task.user_id, "username": name, "token_id": token, "token_name": own.get("token_name") or "",
        "model_name": own.get("asked") or "", "channel_id": task.channel_id, "type": REFUND if quota < 0 else CONSUME,
        "content": f"{task.name}: {why}", "quota": abs(quota), "group": own.get("group") or "",
        "request_id": request_id, "created_at": now,
        "other": {**other, "task_id": task.name, "is_task": True, "reason": task.error, "first_charge": task.quota,
                  **({"tags": own["tags"]} if own.get("tags") else {})},
    }  # fmt: skip
    plan = int(task.private.get("subscription_id") or own.get("plan") or 0)
    return Entry(request_id, now, task.user_id, token, task.channel_id, quota, True, CORRECTION, row, plan=plan)
