"""What callers may ask about their own tasks: fetch one or several, list, cancel, delete, and the file of one.

Answers come from the rows, as the follow-up keeps them; only a cancellation and a file go to the vendor. A task of
another user is as unknown as none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine import bounds
from engine.errors import CallError
from engine.jsonbytes import dumps
from engine.kinds.task import images
from engine.kinds.task import record as records
from engine.kinds.task.asking import Asker, channel_of, key_of, spoken_of
from engine.kinds.task.call import TaskCall
from engine.kinds.task.contents import deliver
from engine.kinds.task.moving import move
from engine.kinds.task.record import TaskRecord, record, view
from engine.relay.call import Reply
from engine.relay.dialect import JSON
from engine.relay.ingress.body import parsed, path_id
from engine.relay.ingress.identify import identify
from engine.storage.rows.work import results, tasks
from engine.storage.rows.work.tasks import OWN

if TYPE_CHECKING:
    from engine.program import Function, TaskViews
    from engine.relay.services import Services

_PAGE, _LONGEST_PAGE = 20, 100


def fetch(services: Services, call: TaskCall, environ: dict[str, Any]) -> Reply:
    """What became of one."""
    call.account = identify(call, services.keys)
    task = found(services, call, _names(services, call, environ)[0])
    views = _views(call)
    return _told(views.fetched or views.submitted, call, task)


def fetch_many(services: Services, call: TaskCall, environ: dict[str, Any]) -> Reply:
    """What became of several; those that the caller has not are left out."""
    call.account = identify(call, services.keys)
    views = _views(call)
    names = _names(services, call, environ)
    bounds.TASKS.check(len(names), "the list of ids")
    rows = tasks.find(services.db, views.rows, call.account.user_id, names)
    ones = [record(views.rows, row) for row in rows]
    return _listed(call, [task for task in ones if views.owner == "user" or _seen_by(call, views, task)], more=False)


def list_page(services: Services, call: TaskCall, environ: dict[str, Any]) -> Reply:
    """A page of the caller's tasks, newest first unless ``order`` says ``asc``; ``after`` is the last one seen."""
    call.account = identify(call, services.keys)
    views, query = _views(call), call.query
    size = query.get("limit", str(_PAGE))
    if not size.isdecimal() or not 1 <= int(size) <= _LONGEST_PAGE:
        raise CallError("bad_request", f"limit must be a number from 1 to {_LONGEST_PAGE}", param="limit")
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise CallError("bad_request", "order must be asc or desc", param="order")
    after = found(services, call, query[views.after]).id if query.get(views.after) else 0
    user, newest = call.account.user_id, order == "desc"
    limit, ones, last = int(size), list[TaskRecord](), after
    while len(ones) <= limit:
        rows = tasks.page(services.db, user, views.medium, limit + 1, after=last, before_first=newest)
        ones += [task for task in (record(tasks.TASKS, row) for row in rows) if _seen_by(call, views, task)]
        if len(rows) <= limit:
            break
        last = int(rows[-1]["id"])
    return _listed(call, ones[:limit], more=len(ones) > limit)


def ask(services: Services, call: TaskCall, environ: dict[str, Any]) -> Reply:
    """What its vendor says of one beside its state, as the ``questions`` of a Task document have it."""
    call.account = identify(call, services.keys)
    name = _names(services, call, environ)[0]
    task = found(services, call, name)
    asker = _asker(services, call, task)
    question = asker.rules.questions.get(call.endpoint.action)
    if question is None:
        raise CallError("bad_request", f"this can't be asked of tasks of this provider: {name}")
    return Reply(200, [("content-type", JSON)], dumps(asker.ask(question, task)))


def cancel(services: Services, call: TaskCall, environ: dict[str, Any]) -> Reply:
    """Cancel one at its vendor, who may refuse; what it costs then is told by its end."""
    call.account = identify(call, services.keys)
    name = _names(services, call, environ)[0]
    task = found(services, call, name)
    views = _views(call)
    asker = _asker(services, call, task)
    if asker.rules.cancel is None:
        raise CallError("bad_request", f"tasks of this provider can't be cancelled: {name}", code="not_cancellable")
    if task.final:
        raise CallError("bad_request", f"the task {name} has ended already: {task.state}", code="task_ended")
    answer = asker.cancel(task)
    if answer:
        move(services, call.snapshot, task, asker.rules, answer)
    return _told(views.cancelled or views.fetched or views.submitted, call, found(services, call, name))


def delete(services: Services, call: TaskCall, environ: dict[str, Any]) -> Reply:
    """Show one no more; only when it has ended, as its charge is not settled before. What is kept of it goes."""
    call.account = identify(call, services.keys)
    name = _names(services, call, environ)[0]
    task = found(services, call, name)
    views = _views(call)
    if not task.final:
        raise CallError(
            "bad_request", f"the task {name} has not ended: it is {task.state}", code="task_running", status=409
        )
    values = {"private_data": {**task.private, OWN: {**task.own, "deleted": True}}}

    def work(connection: Any) -> None:
        if tasks.move(connection, services.db, task.rows, task.id, task.status, values):
            results.end(connection, task.rows, task.id)

    services.db.write(work)
    return _told(views.deleted or views.fetched or views.submitted, call, task)


def content(services: Services, call: TaskCall, environ: dict[str, Any]) -> Reply:
    """The file that came of one, or a part of it."""
    call.account = identify(call, services.keys)
    name = _names(services, call, environ)[0]
    task = found(services, call, name)
    if task.state != "SUCCESS":
        raise CallError(
            "bad_request", f"the task {name} has no result: it is {task.state}", code="task_status_not_success"
        )
    channel = channel_of(call.snapshot, task)
    spoken = spoken_of(call.snapshot, channel, task) if channel is not None else None
    asker = None
    if channel is not None and spoken is not None:
        asker = Asker(services, call.snapshot, channel, spoken, key_of(channel, task))
    return deliver(services, call, task, asker)


def callback(services: Services, call: TaskCall, environ: dict[str, Any]) -> Reply:
    """What a vendor tells by itself: believed when its document finds it genuine."""
    row = tasks.named(services.db, path_id(call))
    task = record(tasks.TASKS, row) if row is not None else None
    asker = _asker(services, call, task) if task is not None else None
    if task is None or asker is None or asker.rules.callback is None:
        raise CallError("not_found", "there is no such task", code="task_not_exist")
    parsed(services, call, environ)
    rules, key = asker.rules.callback, asker.attempt.secret or ""
    text = call.raw.decode("utf-8", "replace")
    if rules.genuine([], text, call.headers, call.query, key, task.vendor_id) is not True:
        raise CallError(
            "auth", "the callback is not signed as its provider signs", code="invalid_signature", status=401
        )
    answer = rules.answer([], call.body, call.headers, asker.call.ctx(asker.attempt))
    if isinstance(answer, dict):
        move(services, call.snapshot, task, asker.rules, answer)
    return Reply(200, [("content-type", JSON)], b"{}")


def found(services: Services, call: TaskCall, name: str) -> TaskRecord:
    """One of the caller's tasks; raises ``CallError`` where there is none of this name."""
    assert call.account is not None
    bounds.ID.check(len(name), "the id of the task")
    rows = tasks.find(services.db, _views(call).rows, call.account.user_id, [name])
    ones = [task for task in (record(_views(call).rows, row) for row in rows) if _seen_by(call, _views(call), task)]
    if not ones:
        raise CallError("not_found", f"there is no task {name[:100]!r} of this key's user", code="task_not_exist")
    return ones[0]


def _seen_by(call: TaskCall, views: TaskViews, task: TaskRecord) -> bool:
    """Whether a caller's user's task is there for the key that calls."""
    assert call.account is not None
    whose = views.owner == "user" or task.own.get("token") == call.account.token_id
    return whose and not task.own.get("deleted")


def born_view(born: dict[str, Any], *, same: bool, told: dict[str, Any]) -> dict[str, Any]:
    """What is told of a task that began a moment ago; its vendor's own answer to whoever speaks its format."""
    task = record(born["rows"], {"id": 0, **born["values"]})
    return {**view(task, same=same), "data": told.get("data") if same else None}


def _asker(services: Services, call: TaskCall, task: TaskRecord) -> Asker:
    channel = channel_of(call.snapshot, task)
    spoken = spoken_of(call.snapshot, channel, task) if channel is not None else None
    if channel is None or spoken is None:
        raise CallError("unavailable", f"the channel of the task {task.name} is not in use", code="origin_channel")
    return Asker(services, call.snapshot, channel, spoken, key_of(channel, task))


def _names(services: Services, call: TaskCall, environ: dict[str, Any]) -> list[str]:
    """The ids that a request names, where its endpoint says."""
    at = call.endpoint.task or ("path", "id")
    if at[0] == "body":
        parsed(services, call, environ)
    value: Any = {"body": call.body, "path": call.path, "query": call.query, "header": call.headers}[at[0]]
    for key in at[1:]:
        value = value.get(key) if isinstance(value, dict) else None
    names = value if isinstance(value, list) else [value]
    if not names and isinstance(value, list):
        return []
    if not all(isinstance(name, str | int) and str(name) for name in names):
        raise CallError("bad_request", f"{at[-1]} must name a task", param=at[-1])
    return [str(name) for name in names]


def _views(call: TaskCall) -> TaskViews:
    if call.format.task is None:
        raise CallError("internal", f"the format {call.format.name} says nothing of its tasks")
    return call.format.task


def _seen(call: TaskCall, task: TaskRecord) -> dict[str, Any]:
    spoken = call.program.formats.get(str(task.own.get("format")))
    same = spoken is not None and spoken.passthrough_as == call.format.passthrough_as
    return {**view(task, same=same), "image": images.shown(call.snapshot.options, call.format, task)}


def _told(mapping: Function, call: TaskCall, task: TaskRecord) -> Reply:
    return Reply(200, [("content-type", JSON)], dumps(mapping([], _seen(call, task), call.ctx())))


def _listed(call: TaskCall, ones: list[TaskRecord], *, more: bool) -> Reply:
    mapping = _views(call).listed
    if mapping is None:
        raise CallError("not_found", f"the format {call.format.name} has no lists of tasks")
    views = [_seen(call, task) for task in ones]
    return Reply(200, [("content-type", JSON)], dumps(mapping([], views, more, call.ctx())))


__all__ = [
    "ask",
    "born_view",
    "callback",
    "cancel",
    "content",
    "delete",
    "fetch",
    "fetch_many",
    "found",
    "list_page",
    "records",
]
