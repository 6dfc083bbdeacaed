"""Plans as administrators set them: checked here, kept in New API's table."""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

from sqlalchemy import Connection, func, select

from engine.accounts.plans import periods
from engine.accounts.plans.lives import ACTIVE
from engine.errors import Conflict, Invalid, NotFound
from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.api import plan_models
from engine.storage.rows.crud import Row
from engine.storage.tables.billing import subscription_plans as plans
from engine.storage.tables.billing import user_subscriptions as subscriptions
from engine.texts import refusal

MOST_PRICE, MOST_QUOTA = 9999, 2**53
_MOST_SECONDS, _MOST_LENGTH = 10 * 366 * 86_400, 1000
_TEXTS = {
    "title": 128,
    "subtitle": 255,
    "upgrade_group": 64,
    "downgrade_group": 64,
    "stripe_price_id": 128,
    "creem_product_id": 128,
    "waffo_pancake_product_id": 128,
}
_NUMBERS = {
    "duration_value": _MOST_LENGTH,
    "custom_seconds": _MOST_SECONDS,
    "quota_reset_custom_seconds": _MOST_SECONDS,
    "max_purchase_per_user": 10**6,
    "total_amount": MOST_QUOTA,
}
_MOST_MODELS, _NAME = 100, 255
_FLAGS = ("enabled", "allow_balance_pay", "allow_wallet_overflow")
_NEW: Mapping[str, Any] = {
    "title": "", "subtitle": "", "price_amount": 0, "currency": "USD", "duration_unit": "month", "duration_value": 1,
    "custom_seconds": 0, "enabled": True, "sort_order": 0, "allow_balance_pay": True, "allow_wallet_overflow": True,
    "stripe_price_id": "", "creem_product_id": "", "waffo_pancake_product_id": "", "max_purchase_per_user": 0,
    "upgrade_group": "", "downgrade_group": "", "total_amount": 0, "quota_reset_period": "never",
    "quota_reset_custom_seconds": 0,
}  # fmt: skip
"""What a plan has where nothing is said."""


def shown(row: Row) -> dict[str, Any]:
    """A plan as the API tells it; what nothing stands in has its default."""
    plan = {name: usual if row.get(name) is None else row[name] for name, usual in _NEW.items()}
    plan |= {name: bool(plan[name]) for name in _FLAGS}
    plan["price_amount"] = float(plan["price_amount"])
    plan["models"] = list(row.get("models") or ())
    return {"id": row["id"], **plan, "created_at": row.get("created_at") or 0, "updated_at": row.get("updated_at") or 0}


def listed(db: Database, *, offered: bool) -> list[Row]:
    """The plans in their order; ``offered``: only those that can be bought."""
    where = [crud.is_on(plans.c.enabled)] if offered else []
    bound = plan_models.of(db, plan_models.PLAN)
    rows = crud.listed(db, plans, where, [plans.c.sort_order.desc(), plans.c.id.desc()], limit=1000)
    return [{**row, "models": bound.get(row["id"], [])} for row in rows]


def one(db: Database, which: Any, connection: Connection | None = None) -> Row:
    """A plan; raises ``NotFound``."""
    known = type(which) is int and which > 0
    row = crud.one(db, plans, plans.c.id == which, connection=connection) if known else None
    if row is None:
        raise refusal(NotFound, "plan.unknown")
    return {**row, "models": plan_models.of(db, plan_models.PLAN, connection, which).get(which, [])}


def create(db: Database, given: Mapping[str, Any], groups: frozenset[str]) -> Row:
    """Make a plan."""
    now = int(time.time())
    values = {**checked({**_NEW, **given}, groups), "created_at": now, "updated_at": now}
    models = models_of(given.get("models"))

    def work(connection: Connection) -> int:
        which = crud.add(db, connection, plans, values)
        plan_models.put(connection, plan_models.PLAN, which, models)
        return which

    return one(db, db.write(work))


def change(db: Database, which: int, given: Mapping[str, Any], groups: frozenset[str]) -> Row:
    """Change what is given of a plan; who has it already keeps what was agreed to."""
    before = {name: value for name, value in shown(one(db, which)).items() if name in _NEW}
    values = {**checked({**before, **given}, groups), "updated_at": int(time.time())}
    models = models_of(given["models"]) if "models" in given else None

    def work(connection: Connection) -> None:
        crud.change(db, connection, plans, [plans.c.id == which], values)
        if models is not None:
            plan_models.put(connection, plan_models.PLAN, which, models)

    db.write(work)
    return one(db, which)


def models_of(given: Any) -> list[str]:
    """The models that a plan pays for, names or patterns with ``*``, each once; none: all. Raises ``Invalid``."""
    listed = given if given is not None else []
    if not isinstance(listed, list) or len(listed) > _MOST_MODELS:
        raise _wrong("models", f"a list of {_MOST_MODELS} names at most")
    for name in listed:
        if not isinstance(name, str) or not 0 < len(name.strip()) <= _NAME or "\n" in name:
            raise _wrong("models", f"names of 1 to {_NAME} characters, with * for anything")
    return list(dict.fromkeys(name.strip() for name in listed))


def checked(given: Mapping[str, Any], groups: frozenset[str]) -> dict[str, Any]:
    """The columns of a plan; raises ``Invalid`` with the field. ``groups``: those that there are."""
    values = {name: given[name] for name in _NEW}
    for name, most in _TEXTS.items():
        if not isinstance(values[name], str) or len(values[name].strip()) > most:
            raise _wrong(name, f"a text of {most} characters at most")
        values[name] = values[name].strip()
    if not values["title"]:
        raise _wrong("title", "a text of 1 to 128 characters")
    for name, most in _NUMBERS.items():
        if type(values[name]) is not int or not 0 <= values[name] <= most:
            raise _wrong(name, f"a whole number, 0 to {most}")
    if type(values["sort_order"]) is not int or abs(values["sort_order"]) > 2**31 - 1:
        raise _wrong("sort_order", "a whole number")
    odd = next((name for name in _FLAGS if not isinstance(values[name], bool)), None)
    if odd is not None:
        raise _wrong(odd, "true or false")
    values["price_amount"] = _price(values["price_amount"])
    return _timed(_grouped(values, groups))


def _grouped(values: dict[str, Any], groups: frozenset[str]) -> dict[str, Any]:
    for name in ("upgrade_group", "downgrade_group"):
        if values[name] and values[name] not in groups:
            raise _wrong(name, f"one of {', '.join(sorted(groups))}")
    return values


def _price(value: Any) -> Decimal:
    number = Decimal(str(value)) if type(value) in (int, float) else Decimal("NaN")
    if not number.is_finite() or not 0 <= number <= MOST_PRICE or number != round(number, 6):
        raise _wrong("price_amount", f"0 to {MOST_PRICE} dollars, with six decimals at most")
    return number


def _timed(values: dict[str, Any]) -> dict[str, Any]:
    if values["currency"] != "USD":
        raise _wrong("currency", "USD")
    if values["duration_unit"] not in periods.UNITS:
        raise _wrong("duration_unit", " or ".join(periods.UNITS))
    if values["quota_reset_period"] not in periods.RESETS:
        raise _wrong("quota_reset_period", " or ".join(periods.RESETS))
    length = "custom_seconds" if values["duration_unit"] == "custom" else "duration_value"
    if values[length] < 1:
        raise _wrong(length, "1 or more")
    if values["quota_reset_period"] == "custom" and values["quota_reset_custom_seconds"] < 60:
        raise _wrong("quota_reset_custom_seconds", "60 or more")
    return values


def _wrong(field: str, what: str) -> Invalid:
    return refusal(Invalid, "invalid.field", field=field, what=what)


def cost(plan: Row, unit: int) -> int:
    """What a plan costs in quota units, rounded up. ``unit``: units of a dollar."""
    return int((Decimal(str(plan.get("price_amount") or 0)) * unit).to_integral_value(ROUND_CEILING))


def buyable(db: Database, plan: Row, user: int, connection: Connection | None = None) -> None:
    """Raises ``Conflict`` where a plan is not offered, or the user has bought it as often as one may."""
    if not plan.get("enabled"):
        raise refusal(Conflict, "plan.off")
    most = int(plan.get("max_purchase_per_user") or 0)
    if most and _bought(db, user, plan["id"], connection) >= most:
        raise refusal(Conflict, "plan.often", most=most)


def _bought(db: Database, user: int, plan: int, connection: Connection | None) -> int:
    where = [subscriptions.c.user_id == user, subscriptions.c.plan_id == plan]
    if connection is None:
        return crud.count(db, subscriptions, where)
    return int(connection.execute(select(func.count()).select_from(subscriptions).where(*where)).scalar() or 0)


def owned(db: Database, user: int) -> list[Row]:
    """All subscriptions of a user, the newest first."""
    return crud.listed(db, subscriptions, [subscriptions.c.user_id == user], [subscriptions.c.id.desc()], limit=1000)


def subscription(db: Database, which: int) -> Row:
    """A subscription; raises ``NotFound``."""
    row = crud.one(db, subscriptions, subscriptions.c.id == which)
    if row is None:
        raise refusal(NotFound, "not_found")
    return row


def of_plan(db: Database, plan: int, user: int = 0) -> list[Row]:
    """The active subscriptions of a plan, of everybody or of one user."""
    where = [subscriptions.c.plan_id == plan, subscriptions.c.status == ACTIVE, subscriptions.c.end_time > time.time()]
    where += [subscriptions.c.user_id == user] if user else []
    return crud.listed(db, subscriptions, where, [subscriptions.c.id])
