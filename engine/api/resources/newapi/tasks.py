"""Lists of drawings, tasks and orders."""

from __future__ import annotations

from typing import Any

from engine.accounts import orders
from engine.api.refusals import Told
from engine.api.route import ADMIN, USER, Answer, Ask, Route
from engine.storage.rows import jobs, people
from engine.storage.rows.crud import Row


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
    return Answer(page.of([{**row, **({"channel_id": 0} if user else {})} for row in rows], total))


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
    return Answer(page.of([_task(row, names, own=bool(user)) for row in rows], total))


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
    Route("GET", "/api/user/topup", ADMIN, all_orders, right="task.read"),
    Route("GET", "/api/user/topup/self", USER, own_orders),
    Route("POST", "/api/user/topup/complete", ADMIN, complete, {"trade_no": str}, right="task.write"),
)
