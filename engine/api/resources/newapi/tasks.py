"""Lists of drawings, tasks and orders."""

from __future__ import annotations

from typing import Any

from orjson import dumps

from engine.accounts import orders
from engine.api.refusals import Told
from engine.api.route import ADMIN, USER, Answer, Ask, Route
from engine.errors import NotFound
from engine.relay.results.kept import kept
from engine.storage.rows import jobs, people
from engine.storage.rows.crud import Row
from engine.storage.rows.work import results
from engine.storage.rows.work.noted import members_of
from engine.storage.rows.work.tasks import DRAWINGS, OWN, TASKS


def _span(ask: Ask) -> dict[str, int]:
    """The time that is asked for."""
    return {"since": ask.whole("start_timestamp", 0) or 0, "until": ask.whole("end_timestamp", 0) or 0}


def _drawings(ask: Ask, user: int) -> Answer:
    page, query = ask.page(), ask.query
    equal = {
        "user_id": user,
        "mj_id": query.get("mj_id", "")[:191],
        "channel_id": 0 if user else ask.whole("channel_id", 0),
    }
    rows, total = jobs.page(ask.worker.db, jobs.DRAWINGS, equal, page.offset, page.size, **_span(ask))
    shown = [_drawing(ask, row, own=bool(user)) for row in rows]
    return Answer(page.of(_with_results(ask, DRAWINGS, shown), total))


def _drawing(ask: Ask, row: Row, *, own: bool) -> dict[str, Any]:
    """A row without what only this program knows; ``picture``: where its picture is shown, below this address."""
    shown = {**row, **({"channel_id": 0} if own else {})}
    properties = members_of(row.get("properties"))
    inside = properties.pop(OWN, None)
    if inside is None:
        return shown
    shown["properties"] = dumps(properties).decode() if properties else ""
    spoken = ask.worker.snapshot.program.formats.get(str(inside.get("asked_format")))
    views = spoken.task if spoken is not None else None
    shows = views is not None and views.image_path and ask.worker.options.get(views.image_option) != "false"
    if views is not None and shows and inside.get("image") and row.get("image_url"):
        shown["picture"] = f"{views.image_path}{row['id']}-{inside['image']}"
    return shown


def drawings(ask: Ask) -> Answer:
    """Everybody's drawings."""
    return _drawings(ask, 0)


def own_drawings(ask: Ask) -> Answer:
    """The caller's drawings."""
    return _drawings(ask, ask.user.id)


def _tasks(ask: Ask, user: int) -> Answer:
    page, query = ask.page(), ask.query
    equal: dict[str, Any] = {name: query.get(name, "")[:191] for name in ("platform", "task_id", "status", "action")}
    equal |= {"user_id": user, "channel_id": 0 if user else ask.whole("channel_id", 0)}
    rows, total = jobs.page(ask.worker.db, jobs.TASKS, equal, page.offset, page.size, **_span(ask))
    names = {} if user else people.names(ask.worker.db, sorted({row["user_id"] or 0 for row in rows}))
    shown = [_task(row, names, own=bool(user)) for row in rows]
    return Answer(page.of(_with_results(ask, TASKS, shown), total))


def _with_results(ask: Ask, rows_of: str, rows: list[Row]) -> list[Row]:
    """Rows with what is kept of their tasks, where something is, is to be, or could not be."""
    of: dict[int, list[Row]] = {}
    for one in results.of_tasks(ask.worker.db, rows_of, [row["id"] for row in rows]):
        fact = {"number": one.number, "state": one.state, "size": one.size, "until": one.until, "note": one.note}
        of.setdefault(one.task_id, []).append(fact)
    return [{**row, "results": of[row["id"]]} if row["id"] in of else row for row in rows]


def _result(ask: Ask, user: int) -> Answer:
    """What is kept of a task, by what its callers know it by; ``number`` says which of several."""
    drawing = ask.path["kind"] == "mj"
    table, rows_of = (jobs.DRAWINGS, DRAWINGS) if drawing else (jobs.TASKS, TASKS)
    whose = {"user_id": user} if user else {}
    row = jobs.one(ask.worker.db, table, **{"mj_id" if drawing else "task_id": ask.path["id"][:191]}, **whose)
    worker, number = ask.worker, ask.whole("number", 0) or 0
    reply = kept(worker.upstream, worker.snapshot, rows_of, row["id"], number, {}) if row is not None else None
    if reply is None:
        raise NotFound(f"nothing is kept of the task {ask.path['id'][:64]}")
    pieces = reply.stream if reply.stream is not None else iter((reply.body,))
    return Answer(stream=pieces, headers=dict(reply.headers))


def result(ask: Ask) -> Answer:
    """What is kept of anybody's task or drawing."""
    return _result(ask, 0)


def own_result(ask: Ask) -> Answer:
    """What is kept of one of the caller's."""
    return _result(ask, ask.user.id)


def _task(row: Row, names: dict[int, str], *, own: bool) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name != "private_data"}
    if own:
        return {**shown, "channel_id": 0, "data": None}
    return {**shown, "username": names.get(row["user_id"] or 0, "")}


def tasks(ask: Ask) -> Answer:
    """Everybody's tasks."""
    return _tasks(ask, 0)


def own_tasks(ask: Ask) -> Answer:
    """The caller's tasks."""
    return _tasks(ask, ask.user.id)


def all_orders(ask: Ask) -> Answer:
    """Everybody's orders."""
    page = ask.page()
    equal = {"trade_no": ask.query.get("keyword", "")[:255]}
    return Answer(page.of(*jobs.page(ask.worker.db, jobs.ORDERS, equal, page.offset, page.size)))


def own_orders(ask: Ask) -> Answer:
    """The caller's orders."""
    page = ask.page()
    equal = {"trade_no": ask.query.get("keyword", "")[:255], "user_id": ask.user.id}
    return Answer(page.of(*jobs.page(ask.worker.db, jobs.ORDERS, equal, page.offset, page.size)))


def complete(ask: Ask) -> Answer:
    """Complete an order by hand."""
    number = ask.given("trade_no", "")
    if not number:
        raise Told.of("invalid")
    products = frozenset(one.service for one in ask.worker.snapshot.program.payments if one.offer.products)
    orders.complete(ask.worker.db, ask.worker.log_db, number, ask.worker.options, products)
    return Answer()


ROUTES = (
    Route("GET", "/api/mj/", ADMIN, drawings, right="task.read"),
    Route("GET", "/api/mj/self", USER, own_drawings),
    Route("GET", "/api/task/", ADMIN, tasks, right="task.read"),
    Route("GET", "/api/task/self", USER, own_tasks),
    Route("GET", "/api/results/:kind/:id", ADMIN, result, right="task.read"),
    Route("GET", "/api/results/self/:kind/:id", USER, own_result),
    Route("GET", "/api/user/topup", ADMIN, all_orders, right="task.read"),
    Route("GET", "/api/user/topup/self", USER, own_orders),
    Route("POST", "/api/user/topup/complete", ADMIN, complete, {"trade_no": str}, right="task.write"),
)
