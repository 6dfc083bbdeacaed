"""Budgets of keys, users, members of teams, projects and tags; holders see their own with the next reset."""

from __future__ import annotations

import time
from typing import Any

from engine.accounts import budgets as rules
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation, unchanged
from engine.api.resources.v2.common import ID, page, told
from engine.api.route import ADMIN, USER, Answer, Ask
from engine.errors import NotFound
from engine.storage.rows import budgets as rows
from engine.storage.rows.budgets import HOLDERS, PERIODS, QUOTA, TOKENS, Budget
from engine.storage.rows.crud import Row
from engine.texts import refusal

BUDGET = Shape(
    "Budget",
    {
        "id": ID,
        "holder": Field(kind="string", words="What it bounds.", choices=HOLDERS, needed=True, filtered=True),
        "holder_id": Field(
            kind="integer",
            words="Which key, user, membership, project or tag; 0: what each new user or key begins with.",
            least=0,
            needed=True,
            filtered=True,
        ),
        "period": Field(kind="string", words="When it begins anew.", choices=PERIODS, needed=True, filtered=True),
        "unit": Field(kind="string", words="What is counted.", choices=(QUOTA, TOKENS), needed=True, filtered=True),
        "amount": Field(kind="integer", words="How much may be used.", least=0, most=2**62, needed=True),
        "soft_percent": Field(kind="integer", words="Where warnings begin; 0: none.", least=0, most=100),
        "rollover": Field(
            kind="integer",
            words="Percent of the amount that may be carried over from the period before, as far as it was left.",
            least=0,
            most=100,
        ),
        **dict(
            (
                told("carried", "What was carried over into the running period."),
                told("declared", "The document that says so.", "string"),
                told("used", "How much was used in the running period."),
                told("resets_at", "When the next period begins, in Unix seconds."),
            )
        ),
    },
)
_SAME = ("id", "holder", "holder_id", "period", "unit", "amount", "soft_percent", "rollover")


def budget_told(ask: Ask, row: Row) -> dict[str, Any]:
    """A budget with what was used of it."""
    db, now = ask.worker.db, time.time()
    budget = rows.carrying(db, Budget(**{name: row[name] for name in _SAME}))
    return {
        **BUDGET.tell(row),
        "carried": budget.carried,
        "used": rows.used(db, budget, now),
        "resets_at": rows.ends(budget.period, now, db.zone),
    }


def listed(ask: Ask) -> Answer:
    """All budgets."""
    return page(ask, "gatewright_budgets", BUDGET, lambda row: budget_told(ask, row))


def own(ask: Ask) -> Answer:
    """The budgets of the caller and of its keys."""
    budgets = rules.of_user(ask.worker.db, ask.user.id)
    return Answer([budget_told(ask, row) for row in budgets], beside={"next": None})


def create(ask: Ask) -> Answer:
    """Set a budget, in place of one of the same holder, period and unit."""
    values = {"soft_percent": 80, **ask.values}
    db = ask.worker.db
    rules.known_holder(db, values["holder"], values["holder_id"])
    rules.undeclared(db, values)
    rules.set_budget(db, ask.worker.log_db, Budget(id=0, **values))
    row = rules.find(db, **{name: values[name] for name in ("holder", "holder_id", "period", "unit")})
    return Answer(budget_told(ask, row), headers={"location": f"{PREFIX}/budgets/{row['id']}"})


def one(ask: Ask) -> Answer:
    """A budget."""
    return Answer(budget_told(ask, _row(ask)))


def _row(ask: Ask) -> Row:
    return rules.find(ask.worker.db, id=ask.number())


def delete(ask: Ask) -> Answer:
    """Take a budget away."""
    row = _row(ask)
    unchanged(ask, BUDGET)(row)
    rules.undeclared(ask.worker.db, row)
    if not rows.remove(ask.worker.db, row["id"]):
        raise refusal(NotFound, "not_found")
    return Answer()


_ONE = f"{PREFIX}/budgets/:id"
ROUTES = (
    Operation(
        "GET", f"{PREFIX}/me/budgets", USER, own, words="The caller's budgets.", gives=BUDGET, many=True, paged=False
    ),
    Operation(
        "GET", f"{PREFIX}/budgets", ADMIN, listed, words="Budgets.", gives=BUDGET, many=True, right="budget.read"
    ),
    Operation(
        *("POST", f"{PREFIX}/budgets", ADMIN, create),
        words="Set a budget.",
        takes=BUDGET,
        gives=BUDGET,
        status=201,
        makes=True,
        right="budget.write",
    ),
    Operation("GET", _ONE, ADMIN, one, words="A budget.", gives=BUDGET, right="budget.read"),
    Operation(
        "DELETE", _ONE, ADMIN, delete, words="Take a budget away.", status=204, guarded=True, right="budget.write"
    ),
)
