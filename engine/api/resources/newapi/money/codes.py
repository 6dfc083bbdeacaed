"""Redemption codes: made, listed, changed and deleted by administrators, redeemed by users."""

from __future__ import annotations

import time
from typing import Any

from engine.accounts import redemptions
from engine.api.refusals import Told
from engine.api.resources.newapi.money.payments import payer
from engine.api.route import ADMIN, USER, Answer, Ask, Route
from engine.storage.rows import codes, crud
from engine.storage.rows.crud import Row

_NAME, _MOST, _LARGEST = 20, 100, 2**53


def _shown(row: Row) -> dict[str, Any]:
    numbers = ("user_id", "status", "quota", "created_time", "redeemed_time", "used_user_id", "expired_time")
    return {
        "id": row["id"],
        "key": str(row.get("key") or "").rstrip(),
        "name": row.get("name") or "",
        **{name: row.get(name) or 0 for name in numbers},
        "count": 0,
        "DeletedAt": crud.moment(row.get("deleted_at")),
    }


def listed(ask: Ask) -> Answer:
    """A page of codes, newest first."""
    page = ask.page()
    rows, total = codes.page(
        ask.worker.db, ask.query.get("keyword", "")[:191], ask.query.get("status", ""), page.offset, page.size
    )
    return Answer(page.of([_shown(row) for row in rows], total))


def one(ask: Ask) -> Answer:
    """A code."""
    return Answer(_shown(_row(ask, ask.number())))


def _row(ask: Ask, which: int) -> Row:
    row = codes.one(ask.worker.db, which)
    if row is None:
        raise Told.of("not_found")
    return row


def create(ask: Ask) -> Answer:
    """Make codes; they are told."""
    name, count = ask.given("name", ""), ask.given("count", 0)
    if count <= 0:
        raise Told.of("code.count")
    if count > _MOST:
        raise Told.of("code.many")
    quota, expires = ask.given("quota", 0), ask.given("expired_time", 0)
    _check(name, quota, expires)
    made = redemptions.create(ask.worker.db, name, quota, count=count, expires=expires, creator=ask.user.id)
    return Answer(made)


def _check(name: str, quota: int, expires: int) -> None:
    if not 1 <= len(name) <= _NAME:
        raise Told.of("code.name")
    if expires and expires <= time.time():
        raise Told.of("code.past")
    if not 0 < quota <= _LARGEST:
        raise Told.of("code.quota")


def change(ask: Ask) -> Answer:
    """Change what is given of a code, or with ``status_only`` its status alone."""
    row = _row(ask, ask.given("id", 0))
    if ask.query.get("status_only"):
        if ask.given("status") not in (redemptions.UNUSED, redemptions.DISABLED) or row["status"] == redemptions.USED:
            raise Told.of("invalid")
        values = {"status": ask.body["status"]}
    else:
        values = {name: ask.body[name] for name in ("name", "quota", "expired_time") if ask.given(name) is not None}
        given = {"name": row["name"] or "", "quota": row["quota"] or 0, "expired_time": 0, **values}
        _check(given["name"], given["quota"], given["expired_time"])
    codes.change(ask.worker.db, row["id"], values)
    return Answer(_shown(_row(ask, row["id"])))


def delete(ask: Ask) -> Answer:
    """Delete a code."""
    if not codes.bury(ask.worker.db, _row(ask, ask.number())["id"]):
        raise Told.of("not_found")
    return Answer()


def delete_dead(ask: Ask) -> Answer:
    """Delete the codes that are used, disabled or expired; how many."""
    return Answer(codes.bury_dead(ask.worker.db))


def redeem(ask: Ask) -> Answer:
    """A code becomes balance; why one does not is not told."""
    code = ask.given("key", "")
    if not code:
        raise Told.of("code.empty")
    try:
        return Answer(redemptions.redeem(ask.worker.db, ask.worker.log_db, code[:64], payer(ask).id))
    except redemptions.NotRedeemed:
        raise Told.of("code.failed") from None


_BODY = {"name": str, "count": int, "quota": int, "expired_time": int}
_JSON = (200, "invalid.json")
ROUTES = (
    Route("GET", "/api/redemption/", ADMIN, listed, right="code.read"),
    Route("GET", "/api/redemption/search", ADMIN, listed, right="code.read"),
    Route("GET", "/api/redemption/:id", ADMIN, one, right="code.read"),
    Route("POST", "/api/redemption/", ADMIN, create, _BODY, broken=_JSON, right="code.write"),
    Route(
        "PUT", "/api/redemption/", ADMIN, change, {**_BODY, "id": int, "status": int}, broken=_JSON, right="code.write"
    ),
    Route("DELETE", "/api/redemption/invalid", ADMIN, delete_dead, right="code.write"),
    Route("DELETE", "/api/redemption/:id", ADMIN, delete, right="code.write"),
    Route("POST", "/api/user/topup", USER, redeem, {"key": str, "team": int}, broken=_JSON),
)
