"""The kind of call that submits a task, and asks for what became of it.

A task is charged when its vendor has taken it: its row comes into being with the charge, in one transaction, and the
caller has its answer once that is in the database. What follows is ``following``'s; money goes back by ``moving``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.errors import CallError, MappingError
from engine.jsonbytes import dumps
from engine.kinds.plain.form import MEDIA_TYPE, read_form
from engine.kinds.task import asking, calling_back, images, keeping, operations, work
from engine.kinds.task import record as records
from engine.kinds.task.call import TaskCall
from engine.kinds.task.following import Follower
from engine.kinds.task.keeping import Keeping
from engine.kinds.task.moving import usage_of
from engine.kinds.task.record import slim
from engine.relay.call import Reply
from engine.relay.dialect import JSON
from engine.relay.ingress.body import asked_model, check_schema, parsed, read_body
from engine.relay.kind import Estimate, Kind, Outbound
from engine.relay.settle import settle
from engine.relay.upstream.answer import accepted, headers_back, note_id, read_whole
from engine.relay.upstream.failure import UNREADABLE, UpstreamFailure
from engine.relay.upstream.patches import named, patched
from engine.relay.upstream.refusal import parse, unreadable
from engine.relay.upstream.splice import splice
from engine.routing.channel import secret_mark
from engine.storage.rows.work.tasks import DRAWINGS

if TYPE_CHECKING:
    from engine.jobs import Job
    from engine.outbox import Sender
    from engine.program import Format, TaskRules
    from engine.relay.services import Services
    from engine.relay.snapshot import Snapshot
    from engine.routing.attempt import Attempt
    from engine.transport.leg import Answer, Handle
    from engine.transport.waiting import Waiting

_BOOKED_WITHIN = 5.0
"""Seconds that an answer waits for its row; later it is on its way in the journal all the same."""


class Task(Kind[TaskCall, Outbound]):
    """See the module."""

    name = "task"
    call = TaskCall

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._follower, self._keeping = Follower(services), Keeping(services)
        self.operations = {
            "fetch_task": partial(operations.fetch, services),
            "fetch_tasks": partial(operations.fetch_many, services),
            "ask_task": partial(operations.ask, services),
            "list_tasks": partial(operations.list_page, services),
            "cancel_task": partial(operations.cancel, services),
            "delete_task": partial(operations.delete, services),
            "task_content": partial(operations.content, services),
            "task_image": partial(images.image, services),
            "task_callback": partial(operations.callback, services),
        }

    def jobs(self, snapshot: Snapshot) -> Sequence[Job]:
        return [*self._follower.jobs(snapshot), *self._keeping.jobs(snapshot)]

    def senders(self, snapshot: Callable[[], Snapshot]) -> Mapping[str, Sender]:
        return {calling_back.KIND: calling_back.CallingBack(self.services, snapshot).send}

    def read(self, call: TaskCall, environ: dict[str, Any]) -> Reply | None:
        kind = call.headers.get("content-type", "")
        if call.format.form and (not call.format.form_or_json or kind.lower().lstrip().startswith(MEDIA_TYPE)):
            call.form = read_form(read_body(environ, self.services.settings.max_request_body), kind)
            call.wire = call.form.fields()
        elif (elsewhere := parsed(self.services, call, environ)) is not None:
            return elsewhere
        else:
            call.wire = call.body
        check_schema(call, call.wire)
        decode = call.format.decode_request
        body = call.wire if call.form is None else {**call.wire, **call.form.inline()}
        if decode is not None:
            try:
                body = decode(call.report, body, call.path, call.query, call.headers, call.ctx()) or {}
            except MappingError as ex:
                raise CallError("bad_request", f"{ex.path}: {ex.why}", param=ex.path) from ex
        call.body = body
        call.callback = calling_back.wanted(call)
        many = call.format.task.requests if call.format.task is not None else None
        if many is not None:
            work.take_up(self.services, call, many)
            assert call.work is not None
            body = {**body, "model": call.work.model}
        if body.get("origin"):
            self._from_origin(call, str(body["origin"]))
        named_by = body.get("model")
        call.asked = named_by if isinstance(named_by, str) and named_by else self._asked(call)
        call.body = {**body, "model": call.asked}
        return None

    def _asked(self, call: TaskCall) -> str:
        if call.origin is not None and call.endpoint.model is None:
            return str(call.origin.own.get("asked") or "")
        body, call.body = call.body, call.wire
        try:
            return asked_model(call, call.endpoint)
        finally:
            call.body = body

    def _from_origin(self, call: TaskCall, name: str) -> None:
        """What goes on from a task goes to its channel; only its owner may, and only when it is done."""
        assert call.account is not None
        origin = operations.found(self.services, call, name)
        checked = call.snapshot.options.get("MjActionCheckSuccessEnabled", "true") != "false"
        if origin.state != "SUCCESS" and checked and not call.body.get("origin_unfinished"):
            raise CallError(
                "bad_request", f"the task {name} is not done: it is {origin.state}", code="task_status_not_success"
            )
        channel = asking.channel_of(call.snapshot, origin)
        if channel is None:
            raise CallError("bad_request", f"the channel of the task {name} is not in use", code="origin_channel")
        call.origin, call.kept, call.bound = origin, channel.mark, True

    def estimate(self, call: TaskCall) -> Estimate:
        if call.work is not None:
            return Estimate(call.work.input, call.work.output, beside=call.work.usage())
        charges = [rules for rules in self._likely(call) if rules is not None]
        usages = [self._usage(call, rules, call.asked) for rules in charges] or [{"task": True}]
        return Estimate(0, 0, beside=max(usages, key=_size))

    def _likely(self, call: TaskCall) -> list[TaskRules | None]:
        """The tasks that may come of it: what they cost is held as the dearest costs."""
        tasks, formats = call.program.tasks, call.program.formats
        return [rules for name, rules in tasks.items() if call.speaks(call.format, formats[name])]

    def _usage(self, call: TaskCall, rules: TaskRules, model: str) -> dict[str, Any]:
        if call.work is not None:
            return call.work.usage()
        charge = rules.charge
        meters = charge.meters([], call.body, model) if charge.meters is not None else None
        factors = charge.factors([], call.body, model) if charge.factors is not None else None
        ratio = call.rule is not None and call.rule.ratio is not None
        return usage_of({"meters": meters or {}}, factors=factors or {}, ratio=ratio)

    def encode(self, call: TaskCall, attempt: Attempt) -> Outbound:
        rules = call.program.tasks.get(attempt.format.name)
        if rules is None:
            raise CallError("internal", f"the format {attempt.format.name} has no Task document")
        out = Outbound(b"", call.format.passthrough_as == attempt.format.passthrough_as)
        out.report = list(call.report)
        ctx = call.ctx(attempt)
        hub = {**call.body, "model": attempt.model}
        if out.same:
            self._same(call, attempt, out)
        else:
            out.body = dumps(_patched(call, attempt, _encoded(attempt.format, hub, ctx, out), out))
        hop = attempt.channel.provider.formats[attempt.format.name].path
        path = rules.path([], hub, ctx) if rules.path is not None else None
        if isinstance(path, str) and path:
            out.path = attempt.channel.path(path.replace("{submit}", hop))
        words = rules.words([], hub, ctx) if rules.words is not None else None
        out.words = {name: str(value) for name, value in (words or {}).items() if value is not None}
        return out

    def _same(self, call: TaskCall, attempt: Attempt, out: Outbound) -> None:
        """The caller's own body, under the model's name up there, and with the id that the origin has there."""
        body = named(call, attempt, call.wire, out.report)
        at = call.endpoint.model
        if at is not None and at[0] == "body" and len(at) == 2 and body.get(at[1]) == call.asked != attempt.model:
            body = {**body, at[1]: attempt.model}
        if call.origin is not None and call.origin.vendor_id != call.origin.name:
            public, theirs = call.origin.name, call.origin.vendor_id
            body = {key: theirs if value == public else value for key, value in body.items()}
        many = call.format.task.requests if call.format.task is not None else None
        if many is not None:
            body = work.listed(call, attempt, many, body, out.report)
        body = _patched(call, attempt, body, out)
        if call.form is not None:
            out.body = call.form.changed(call.wire, body)
            out.headers = {"content-type": call.form.media_type, "accept": JSON}
        else:
            out.body = splice(call.raw, call.wire, body)

    def deliver(
        self,
        call: TaskCall,
        attempt: Attempt,
        out: Outbound,
        answer: Answer,
        handle: Handle,
        unwatch: Callable[[], None],
        *,
        spare: bool,
    ) -> Waiting[Reply]:
        note_id(attempt, answer.headers)
        raw = yield from read_whole(answer, 0.0)
        attempt.outcome.first_byte = time.monotonic()
        body = parse(raw)
        rules = call.program.tasks[attempt.format.name]
        submission: dict[str, Any] = {}
        try:
            if isinstance(body, dict):
                report, ctx = attempt.outcome.report, call.ctx(attempt)
                submission = rules.submitted(report, body, answer.headers, call.body, ctx) or {}
        except UNREADABLE as ex:
            raise UpstreamFailure(unreadable(ex, call, attempt)) from ex
        if not submission.get("id"):
            accepted(call, attempt, answer.status, answer.headers, raw)
            raise UpstreamFailure({"meaning": "unknown", "message": "the provider took the task and told no id of it"})
        unwatch()
        return self._taken(call, attempt, rules, out, submission, answer.headers)

    def _taken(
        self,
        call: TaskCall,
        attempt: Attempt,
        rules: TaskRules,
        out: Outbound,
        submission: dict[str, Any],
        headers: Mapping[str, str],
    ) -> Reply:
        """A task that its vendor has: its row and its charge, then the caller's answer."""
        assert call.account is not None
        assert call.format.task is not None
        state = rules.state(submission.get("status")) or "SUBMITTED"
        usage = {} if state == "FAILURE" else self._usage(call, rules, attempt.model)
        views = call.format.task
        name = str(submission["id"])[:180] if views.rows == DRAWINGS else views.prefix + call.name.removeprefix("task_")
        account = call.account
        action = call.endpoint.action or call.body.get("action") or ""
        own = {
            "id": str(submission["id"]), "format": attempt.format.name, "asked_format": call.format.name,
            "asked": call.asked,
            "model": attempt.model, "channel": attempt.channel.mark, "channel_name": attempt.channel.name,
            "key": secret_mark(attempt.secret), "group": attempt.group, "user_group": account.user_group,
            "username": account.username, "token": account.token_id, "token_name": account.token_name,
            "call": call.request_id,
            "rule": call.rule.model if call.rule is not None else "",
            "request": slim(call.body), "words": dict(out.words),
            "factors": usage.get("factors") or {}, "meters": usage.get("meters") or {},
        }  # fmt: skip
        values = {
            "user_id": account.user_id, "group": attempt.group, "channel_id": attempt.channel.id,
            "action": str(action)[:40], "status": state,
        }  # fmt: skip
        if call.tags:
            own["tags"] = list(call.tags)
        if call.callback:
            own["callback"] = call.callback
        if call.reservation is not None and call.reservation.plan:
            own["plan"] = call.reservation.plan
        outcome = attempt.outcome
        outcome.born = records.born(views.rows, views.medium, name, values, own, submission)
        if state == "SUCCESS":
            begun = records.record(views.rows, {"id": 0, **outcome.born["values"]})
            outcome.born["results"] = keeping.wanted(call.snapshot, begun, rules)
        outcome.usage, outcome.usage_source, outcome.delivered = usage, "estimated" if call.work else "counted", True
        settle(self.services, call)
        self.services.ledger.flush(_BOOKED_WITHIN)
        view = operations.born_view(outcome.born, same=out.same, told=submission)
        body = views.submitted(outcome.report, view, call.ctx(attempt))
        back = headers_back(call, attempt, headers, same=out.same)
        return Reply(200, [("content-type", JSON), *back], dumps(body))

    def left(self, call: TaskCall, attempt: Attempt) -> None:
        """Nobody knows whether its vendor took it: nothing is charged that nobody can fetch."""


def _patched(call: TaskCall, attempt: Attempt, body: dict[str, Any], out: Outbound) -> dict[str, Any]:
    return patched(attempt, body, out.report, guarded=False, options=call.snapshot.values)


def _encoded(spoken: Format, hub: dict[str, Any], ctx: dict[str, Any], out: Outbound) -> dict[str, Any]:
    """The request in the provider's format; what it has no word for is told."""
    if spoken.encode_request is None:
        raise CallError("bad_request", f"a task in {spoken.name} can only be asked for in that format")
    reads = {path.partition(".")[0] for path in spoken.hub_reads}
    out.report += [
        (name, "the provider does not take it")
        for name, value in hub.items()
        if value is not None and name not in reads and name not in _ABOUT
    ]
    return spoken.encode_request(out.report, hub, ctx) or {}


_ABOUT = frozenset(("model", "action", "origin", "origin_unfinished"))


def _size(usage: Mapping[str, Any]) -> float:
    numbers = [*usage.get("meters", {}).values(), *usage.get("factors", {}).values()]
    return sum(float(value) for value in numbers if isinstance(value, int | float))
