"""Plans: offered, bought with the balance, owned; kept, given and ended by administrators (management-api.md, 15.3)."""

from __future__ import annotations

import time
from typing import Any

from engine.accounts import orders, people
from engine.accounts.plans import buying, catalogue, lives
from engine.api.refusals import Told
from engine.api.resources.newapi.money.payments import payer
from engine.api.route import ADMIN, USER, Answer, Ask, Route
from engine.catalogue import groups
from engine.storage.rows.accounts import PLANS_FIRST, PREFERENCES
from engine.storage.rows.crud import Row
from engine.storage.rows.people import by_id

_NUMBERS = (
    *("id", "user_id", "plan_id", "amount_total", "amount_used", "start_time", "end_time"),
    *("last_reset_time", "next_reset_time", "created_at", "updated_at"),
)


def _shown(row: Row) -> dict[str, Any]:
    """A subscription as lists tell it."""
    words = ("status", "source", "upgrade_group", "prev_user_group", "downgrade_group")
    numbers = {name: row.get(name) or 0 for name in _NUMBERS}
    overflow = row.get("allow_wallet_overflow") is not False
    return {**numbers, **{name: row.get(name) or "" for name in words}, "allow_wallet_overflow": overflow}


def _owned(ask: Ask, user: int) -> list[dict[str, Any]]:
    return [{"subscription": _shown(row)} for row in catalogue.owned(ask.worker.db, user)]


def offered(ask: Ask) -> Answer:
    """The plans that can be bought."""
    return Answer([{"plan": catalogue.shown(row)} for row in catalogue.listed(ask.worker.db, offered=True)])


def own(ask: Ask) -> Answer:
    """The caller's subscriptions, and by what its calls are paid."""
    everything, now = _owned(ask, ask.user.id), time.time()
    active = [
        one
        for one in everything
        if one["subscription"]["status"] == lives.ACTIVE and one["subscription"]["end_time"] > now
    ]
    chosen = ask.user.setting.get("billing_preference")
    preference = chosen if chosen in PREFERENCES else PLANS_FIRST
    return Answer({"billing_preference": preference, "subscriptions": active, "all_subscriptions": everything})


def prefer(ask: Ask) -> Answer:
    """Choose by what calls are paid."""
    preference = ask.given("billing_preference", "")
    if preference not in PREFERENCES:
        raise Told.of("invalid.field", field="billing_preference", what=" or ".join(PREFERENCES))
    people.put_setting(ask.worker.db, ask.user, {"billing_preference": preference})
    return Answer({"billing_preference": preference})


def buy(ask: Ask) -> Answer:
    """Buy a plan with the balance."""
    worker = ask.worker
    buying.by_balance(worker.db, payer(ask).id, ask.given("plan_id", 0), orders.unit_of(worker.options))
    return Answer()


def everything(ask: Ask) -> Answer:
    """All plans."""
    return Answer([{"plan": catalogue.shown(row)} for row in catalogue.listed(ask.worker.db, offered=False)])


def create(ask: Ask) -> Answer:
    """Make a plan."""
    return Answer(catalogue.shown(catalogue.create(ask.worker.db, ask.given("plan", {}), _groups(ask))))


def change(ask: Ask) -> Answer:
    """Change a plan; what is not given stays."""
    return Answer(catalogue.shown(catalogue.change(ask.worker.db, ask.number(), ask.given("plan", {}), _groups(ask))))


def switch(ask: Ask) -> Answer:
    """Offer a plan, or offer it no longer."""
    if ask.given("enabled") is None:
        raise Told.of("invalid.field", field="enabled", what="true or false")
    given = {"enabled": ask.body["enabled"]}
    return Answer(catalogue.shown(catalogue.change(ask.worker.db, ask.number(), given, _groups(ask))))


def _groups(ask: Ask) -> frozenset[str]:
    return frozenset(groups.ratios(ask.worker.options))


def bind(ask: Ask) -> Answer:
    """Give a user a plan."""
    return _given(ask, ask.given("user_id", 0))


def give(ask: Ask) -> Answer:
    """Give the user of the path a plan."""
    return _given(ask, ask.number())


def _given(ask: Ask, user: int) -> Answer:
    db, now = ask.worker.db, int(time.time())
    plan = catalogue.one(db, ask.given("plan_id", 0))
    people.lower(db, ask.user, user)
    reference = f"by {ask.user.id}"
    which = db.write(lambda connection: lives.begin(db, connection, plan, user, "admin", reference, now))
    return Answer({"id": which})


def of_user(ask: Ask) -> Answer:
    """A user's subscriptions."""
    if by_id(ask.worker.db, ask.number()) is None:
        raise Told.of("not_found")
    return Answer(_owned(ask, ask.number()))


def reset_plan(ask: Ask) -> Answer:
    """Begin the amounts of everybody's subscriptions of a plan anew."""
    return _reset(ask, ask.number(), 0)


def reset_user(ask: Ask) -> Answer:
    """Begin the amounts of a user's subscriptions of a plan anew."""
    people.lower(ask.worker.db, ask.user, ask.number())
    return _reset(ask, ask.given("plan_id", 0), ask.number())


def _reset(ask: Ask, plan: int, user: int) -> Answer:
    db, now, advance = ask.worker.db, int(time.time()), ask.given("advance_reset_time", True)
    catalogue.one(db, plan)
    rows = catalogue.of_plan(db, plan, user)
    done = [row for row in rows if lives.reset(db, row["id"], now, due=False, advance=advance)]
    told = {"plan_id": plan, "matched_count": len(rows), "reset_count": len(done)}
    return Answer({**told, "user_count": len({row["user_id"] for row in done}), "advance_reset_time": advance})


def invalidate(ask: Ask) -> Answer:
    """End a subscription now."""
    db, which = ask.worker.db, _own_one(ask)
    if not db.write(lambda connection: lives.end(db, connection, which, lives.CANCELLED, int(time.time()))):
        raise Told.of("plan.over")
    return Answer()


def remove(ask: Ask) -> Answer:
    """Delete a subscription."""
    db, which = ask.worker.db, _own_one(ask)
    db.write(lambda connection: lives.remove(db, connection, which, int(time.time())))
    return Answer()


def _own_one(ask: Ask) -> int:
    """The subscription of the path, of a user whom the caller may change."""
    row = catalogue.subscription(ask.worker.db, ask.number())
    people.lower(ask.worker.db, ask.user, row["user_id"])
    return int(row["id"])


_PLANS, _USERS = "/api/subscription/admin/plans", "/api/subscription/admin/users/:id/subscriptions"
_ONE = "/api/subscription/admin/user_subscriptions/:id"
_PLAN: dict[str, Any] = {"plan": dict}
_RESET = {"advance_reset_time": bool}
ROUTES = (
    Route("GET", "/api/subscription/plans", USER, offered),
    Route("GET", "/api/subscription/self", USER, own),
    Route("PUT", "/api/subscription/self/preference", USER, prefer, {"billing_preference": str}),
    Route("POST", "/api/subscription/balance/pay", USER, buy, {"plan_id": int, "team": int}),
    Route("GET", _PLANS, ADMIN, everything, right="plan.read"),
    Route("POST", _PLANS, ADMIN, create, _PLAN, right="plan.write"),
    Route("PUT", f"{_PLANS}/:id", ADMIN, change, _PLAN, right="plan.write"),
    Route("PATCH", f"{_PLANS}/:id", ADMIN, switch, {"enabled": bool}, right="plan.write"),
    Route("POST", f"{_PLANS}/:id/subscriptions/reset", ADMIN, reset_plan, _RESET, right="plan.write"),
    Route("POST", "/api/subscription/admin/bind", ADMIN, bind, {"user_id": int, "plan_id": int}, right="plan.write"),
    Route("GET", _USERS, ADMIN, of_user, right="plan.read"),
    Route("POST", _USERS, ADMIN, give, {"plan_id": int}, right="plan.write"),
    Route("POST", f"{_USERS}/reset", ADMIN, reset_user, {**_RESET, "plan_id": int}, right="plan.write"),
    Route("POST", f"{_ONE}/invalidate", ADMIN, invalidate, right="plan.write"),
    Route("DELETE", _ONE, ADMIN, remove, right="plan.write"),
)
