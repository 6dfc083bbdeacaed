"""Tasks that carry out many requests: what they may use before, where they go, and what they used at their end.

Requests stand in the body, or in a kept file of the caller's, which then decides the channel. What came of them is
read once, line by line, when the task has ended; nothing of it is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.errors import CallError
from engine.jsonbytes import dumps, loads
from engine.kinds.kept import owned
from engine.kinds.kept.requests import IN_A_BATCH, Measuring, Work, at, changed, lines, measure, served_at
from engine.kinds.plain.batches import summed
from engine.ledger.pricing import amounts
from engine.ledger.pricing.amounts import ZERO
from engine.relay.metering import within_reason
from engine.relay.upstream.patches import named
from engine.relay.upstream.send import begin, failure
from engine.transport import faults
from engine.transport.leg import Timeouts

if TYPE_CHECKING:
    from engine.kinds.task.asking import Asker
    from engine.kinds.task.call import TaskCall
    from engine.kinds.task.record import TaskRecord
    from engine.ledger.pricing.book import Charge
    from engine.program.kept import ManyRequests
    from engine.relay.services import Services
    from engine.routing.attempt import Attempt, Report
    from engine.storage.rows.work.kept import KeptThing

_TIMES = Timeouts(connect=10, first_byte=120, idle=60, total=1800)
_BYTES_BESIDE = 1_048_576
"""Bytes that the request of one answer may have had, for what is within reason."""


def take_up(services: Services, call: TaskCall, rules: ManyRequests) -> None:
    """Measure what a task is to carry out, and bind it to the channel that has it."""
    if rules.list:
        measuring, entries = _measuring(call, rules), call.wire.get(rules.list)
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            measuring.entry(entry, len(dumps(entry)), f"{rules.list}[{number}]")
        call.work = measuring.done(rules.list)
        return
    name = call.wire.get(rules.file)
    if not isinstance(name, str):
        raise CallError("bad_request", f"{rules.file} must name a file of this API key", param=rules.file)
    file = owned.found(services, call, rules.family, name, rules.file)
    measured, attempt = file.facts.get("work"), owned.attempt_of(call, file)
    call.work = Work(**measured) if measured else _fetched(services, call, file, attempt, rules.file)
    call.kept, call.bound = attempt.channel.mark, True


def _measuring(call: TaskCall, rules: ManyRequests) -> Measuring:
    terms = call.snapshot.terms
    return Measuring(call.program, rules, usual=terms.max_tokens, most=terms.batch_output)


def _fetched(services: Services, call: TaskCall, file: KeptThing, attempt: Attempt, place: str) -> Work:
    """What the requests in a file may use that did not come through here as a whole."""
    rules = attempt.format.kept
    if rules is None or rules.requests is None:
        raise CallError("bad_request", f"{place} names no file of requests", param=place)
    path = f"{attempt.channel.path(attempt.channel.provider.formats[attempt.format.name].path)}/{file.name}/content"
    answer = begin(services, call, attempt, "GET", path, timeouts=_TIMES)
    try:
        return measure(_measuring(call, rules.requests), answer.pieces(), place)
    except faults.TransportError as ex:
        raise failure(ex) from None
    finally:
        answer.abort()


def listed(call: TaskCall, attempt: Attempt, rules: ManyRequests, body: dict[str, Any], report: Report) -> Any:
    """The body with its requests under the model's name up there, and with what an alias puts into them."""
    if not rules.list or (attempt.model == call.asked and attempt.alias is None):
        return body
    change = partial(named, call, attempt, report=report)
    entries = [changed(entry, rules, change) for entry in body[rules.list]]
    report[:] = list(dict.fromkeys(report))
    return {**body, rules.list: entries}


@dataclass(slots=True)
class Used:
    """What a task's answers used, and what that costs, each priced by itself: dollars, exact."""

    usage: dict[str, Any] = field(default_factory=dict)
    usd: Decimal = ZERO
    lines: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """The lines of the charges, added up by bucket and price."""

    def add(self, usage: dict[str, Any], charge: Charge) -> None:
        """Count an answer."""
        counted = {name: value for name, value in usage.items() if name != "raw"}
        self.usage = summed([self.usage, counted])
        self.usd = amounts.add(self.usd, charge.usd)
        for line in charge.lines:
            before = self.lines.setdefault((line["bucket"], str(line["price"])), {**line, "units": 0, "amount": ZERO})
            before["units"] += line["units"]
            before["amount"] = amounts.add(before["amount"], line["amount"])


def used(services: Services, asker: Asker, one: TaskRecord, told: Mapping[str, Any]) -> Used:
    """What the answers of a task that has ended used. Raises ``UpstreamFailure``."""
    rules, total, own = asker.rules.charge.lines, Used(), one.own
    where = told.get("used")
    if rules is None or not where:
        return total
    book, program = asker.call.snapshot.book, asker.call.program
    spoken = served_at(program, str(rules.speaks([], own.get("request") or {})))
    if spoken is None or spoken.usage.at is None:
        return total
    plan, model = asker.attempt.channel.plan(spoken), str(own.get("model") or "")
    rule = book.find(str(own.get("asked")), own.get("rule") or None, one.submitted)
    answer = begin(
        services, asker.call, asker.attempt, "GET", asker.path(rules.path, one, used=str(where)), timeouts=_TIMES
    )
    try:
        for line in lines(answer.pieces(), "results"):
            body = at(_parsed(line), rules.at)
            counts = spoken.usage.at([], body, model, {}) if isinstance(body, dict) else None
            if counts:
                usage = {**within_reason(plan.normalise(counts), _BYTES_BESIDE)}
                usage["raw"] = {**(usage.get("raw") or {}), **IN_A_BATCH}
                charge = book.charge(
                    rule, usage, group=own.get("group") or "", user_group=own.get("user_group") or "",
                    channel=own.get("channel_name") or "", request=own.get("request"), now=one.submitted,
                )  # fmt: skip
                total.add(usage, charge)
    except faults.TransportError as ex:
        raise failure(ex) from None
    finally:
        answer.abort()
    return total


def _parsed(line: bytes) -> Any:
    try:
        return loads(line)
    except (ValueError, RecursionError):
        return None
