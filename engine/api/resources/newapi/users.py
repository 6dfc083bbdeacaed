"""Users, for administrators."""

from __future__ import annotations

from engine.accounts import people as rules
from engine.accounts import rights
from engine.accounts.factors import proofs
from engine.api.refusals import Told
from engine.api.resources.newapi import shapes
from engine.api.rights import need, prove
from engine.api.route import ADMIN, Answer, Ask, Route
from engine.storage.rows import people
from engine.storage.values import DISABLED, ENABLED


def listed(ask: Ask) -> Answer:
    """All users, deleted ones too."""
    return _page(ask, [])


def search(ask: Ask) -> Answer:
    """Users by what their name, address or id holds, by group, role and status."""
    query = ask.query
    where = people.matching(
        ask.worker.db, query.get("keyword", "")[:191], query.get("group", ""), ask.whole("role"), ask.whole("status")
    )
    return _page(ask, where)


def _page(ask: Ask, where: list[object]) -> Answer:
    page = ask.page()
    descending = ask.query.get("sort_order", "desc") != "asc"
    sort = ask.query.get("sort_by", "id")
    rows, total = people.page(ask.worker.db, where, sort, descending=descending, offset=page.offset, limit=page.size)
    return Answer(page.of([shapes.user(row) for row in rows], total))


def one(ask: Ask) -> Answer:
    """A user of a lower role."""
    row = rules.lower(ask.worker.db, ask.user, ask.number(), "user.higher.get")
    channel = rights.of(ask.worker.db, row["id"], row.get("role") or 0)["channel"]
    return Answer({**shapes.user(row), "admin_permissions": {"channel": channel}})


def create(ask: Ask) -> Answer:
    """Make a user."""
    given, permissions = ask.given, ask.given("admin_permissions")
    if given("role", 1) != 1:
        prove(ask, proofs.SECURE)
    if permissions:
        rights.checked(ask.user, given("role", 1), permissions)
    row = rules.create(
        ask.worker.db,
        ask.user,
        given("username", ""),
        given("password", ""),
        given("display_name", ""),
        given("role", 1) or 1,
    )
    if permissions:
        rights.put(ask.worker.db, ask.user, row, permissions)
    return Answer(shapes.user(row))


def change(ask: Ask) -> Answer:
    """Change what is given of a user."""
    if not ask.given("id"):
        raise Told.of("invalid")
    if ask.given("quota") is not None:
        need(ask, "user.quota")
    if ask.given("password") or ask.given("admin_permissions"):
        prove(ask, proofs.SECURE)
    row = rules.edit(ask.worker.db, ask.user, ask.body["id"], {name: ask.body.get(name) for name in (*_USER, "quota")})
    if ask.given("admin_permissions"):
        rights.put(ask.worker.db, ask.user, row, ask.body["admin_permissions"])
    return Answer()


def manage(ask: Ask) -> Answer:
    """Let in, keep out, delete, promote, demote, or change the balance."""
    db, which = ask.worker.db, ask.given("id")
    if not which and ask.given("username"):
        row = people.by_login(db, ask.body["username"])
        which = row["id"] if row else 0
    if not which:
        raise Told.of("required", name="id") if not ask.given("username") else Told.of("not_found")
    action = ask.given("action", "")
    if action in ("enable", "disable"):
        row = rules.set_status(db, ask.user, which, enabled=action == "enable")
    elif action in ("promote", "demote"):
        prove(ask, proofs.SECURE)
        row = rules.set_role(db, ask.user, which, admin=action == "promote")
    elif action == "delete":
        rules.delete(db, ask.user, which, hard=False)
        return Answer()
    elif action == "add_quota":
        need(ask, "user.quota")
        mode, why = ask.given("mode", ""), ask.given("reason", "").strip()
        balance = rules.give(db, ask.user, which, mode, ask.given("value", 0), why)
        return Answer(beside={"balance": balance})
    else:
        raise Told.of("invalid")
    status = DISABLED if row.get("status") == DISABLED else ENABLED
    return Answer(shapes.bare_user(row.get("role") or 0, status))


def delete(ask: Ask) -> Answer:
    """Delete a user for good."""
    rules.delete(ask.worker.db, ask.user, ask.number(), hard=True)
    return Answer()


def top_up(ask: Ask) -> Answer:
    """One API's way to give a user quota, which shops use."""
    rules.give(ask.worker.db, ask.user, ask.given("user_id", 0), "add", ask.given("quota", 0))
    return Answer()


_USER = dict.fromkeys(("username", "password", "display_name", "group", "remark"), str)
ROUTES = (
    Route("GET", "/api/user/", ADMIN, listed, right="user.read"),
    Route("GET", "/api/user/search", ADMIN, search, right="user.read"),
    Route("GET", "/api/user/:id", ADMIN, one, right="user.read"),
    Route("POST", "/api/user/", ADMIN, create, {**_USER, "role": int, "admin_permissions": dict}, right="user.write"),
    Route(
        "PUT",
        "/api/user/",
        ADMIN,
        change,
        {**_USER, "id": int, "quota": int, "admin_permissions": dict},
        right="user.write",
    ),
    Route(
        "POST",
        "/api/user/manage",
        ADMIN,
        manage,
        {"id": int, "username": str, "action": str, "mode": str, "value": int, "reason": str},
        right="user.write",
    ),
    Route("DELETE", "/api/user/:id", ADMIN, delete, right="user.write"),
    Route("POST", "/api/topup", ADMIN, top_up, {"user_id": int, "quota": int, "remark": str}, right="user.quota"),
)
