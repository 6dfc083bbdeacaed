"""Setting a budget: checked here, written by ``engine.storage.rows.budgets``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, or_

from engine.accounts.credit import MOST
from engine.errors import Conflict, Invalid, NotFound
from engine.storage.database import Database
from engine.storage.faults import StatementError
from engine.storage.rows import budgets, crud
from engine.storage.rows.api import teams
from engine.storage.rows.budgets import HOLDERS, KEY, MEMBER, PERIODS, PROJECT, QUOTA, TAG, TOKENS, USER, Budget
from engine.storage.rows.crud import Row
from engine.storage.tables import own as tables
from engine.storage.tables.core import tokens, users
from engine.storage.tables.teams import labels, members
from engine.texts import refusal

_TAG = re.compile(r"[a-z0-9][a-z0-9._:/@+=-]{0,63}")


def set_budget(db: Database, log_db: Database, budget: Budget, declared: str = "") -> None:
    """Set a budget, in place of one of the same holder, period and unit; its id is not looked at."""
    for field, value, choices in (
        ("holder", budget.holder, HOLDERS),
        ("period", budget.period, PERIODS),
        ("unit", budget.unit, (QUOTA, TOKENS)),
    ):
        if value not in choices:
            raise Invalid(field, f"a budget's {field} can't be {value!r}", f"expected {' or '.join(choices)}")
    if not 0 <= budget.amount <= MOST:
        raise Invalid("amount", f"a budget can't have the amount {budget.amount}", f"expected 0 to {MOST}")
    if not 0 <= budget.soft_percent <= 100:
        raise Invalid("soft_percent", f"a budget can't warn at {budget.soft_percent} percent", "expected 0 to 100")
    if not 0 <= budget.rollover <= 100:
        raise Invalid("rollover", f"a budget can't carry over {budget.rollover} percent", "expected 0 to 100")
    budgets.put(db, log_db, budget, declared)


def find(db: Database, **where: Any) -> Row:
    """The first budget whose columns have these values; raises ``NotFound``."""
    row = crud.one(db, tables.budgets, *(tables.budgets.c[name] == value for name, value in where.items()))
    if row is None:
        raise refusal(NotFound, "not_found")
    return row


def of_user(db: Database, user: int) -> list[Row]:
    """The budgets of a user or a team, of its keys, projects and tags, and of the memberships in it or its own."""
    keys = [row["id"] for row in crud.listed(db, tokens, [tokens.c.user_id == user, *crud.alive(db, tokens)])]
    memberships = [*teams.members_of(db, user), *teams.memberships(db, user)]
    own = [(USER, [user]), (KEY, keys), (MEMBER, [row["id"] for row in memberships])]
    own += [(kind, [row["id"] for row in teams.labels_of(db, user, kind)]) for kind in (PROJECT, TAG)]
    budget = tables.budgets.c
    return crud.listed(
        db,
        tables.budgets,
        [or_(*(and_(budget.holder == holder, budget.holder_id.in_(ids)) for holder, ids in own if ids))],
        [budget.id],
    )


def known_holder(db: Database, holder: str, which: int) -> None:
    """Raises ``NotFound`` where a budget would bound nobody; 0 is each new user or key."""
    if not which and holder in (USER, KEY):
        return
    table = {USER: users, KEY: tokens, MEMBER: members}.get(holder, labels)
    if table is labels:
        known = crud.one(db, labels, labels.c.id == which, labels.c.kind == holder)
    else:
        known = crud.one(db, table, table.c.id == which, *crud.alive(db, table))
    if known is None:
        raise refusal(NotFound, "not_found")


def undeclared(db: Database, place: Mapping[str, Any]) -> None:
    """Raises ``Conflict`` where a document says what the budget of this holder, period and unit is."""
    names = ("holder", "holder_id", "period", "unit")
    row = crud.one(db, tables.budgets, *(tables.budgets.c[name] == place[name] for name in names))
    if row is not None and row.get("declared"):
        raise refusal(Conflict, "team.declared", document=row["declared"])


def add_tag(db: Database, name: str, user: int) -> Row:
    """Make a tag that budgets can bind: of an account's calls, or of everybody's (0)."""
    name = name.strip().lower()
    if not _TAG.fullmatch(name):
        raise refusal(Invalid, "invalid.field", field="name", what="a-z 0-9 . _ : / @ + = - (64)")
    if user:
        known_holder(db, USER, user)
    try:
        db.write(lambda connection: teams.add_label(db, connection, user, TAG, name))
    except StatementError:
        if not any(row["name"] == name for row in teams.labels_of(db, user, TAG)):
            raise
        raise refusal(Conflict, "team.label.taken", name=name) from None
    return next(row for row in teams.labels_of(db, user, TAG) if row["name"] == name)


def drop_tag(db: Database, which: int) -> None:
    """Take a tag away, with its budgets. Raises ``Conflict`` where a document says one of these."""
    row = crud.one(db, labels, labels.c.id == which, labels.c.kind == TAG)
    if row is None:
        raise refusal(NotFound, "not_found")
    mine = [tables.budgets.c.holder == TAG, tables.budgets.c.holder_id == which, tables.budgets.c.declared != ""]
    declared = crud.one(db, tables.budgets, *mine)
    if declared is not None:
        raise refusal(Conflict, "team.declared", document=declared["declared"])
    db.write(lambda connection: teams.drop_label(db, connection, row["user_id"], TAG, which))
