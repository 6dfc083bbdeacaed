"""A team's projects and tags, the budgets that bound it and its parts, and what its keys used."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from engine.accounts.teams import purposes as rules
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation, unchanged
from engine.api.resources.v2.common import ID, MADE, told
from engine.api.resources.v2.money.budgets import BUDGET, budget_told
from engine.api.resources.v2.teams.teams import who
from engine.api.route import USER, Answer, Ask
from engine.storage.rows.api import teams as rows
from engine.storage.rows.api.teams import PROJECT, TAG

LABEL = Shape(
    "TeamLabel",
    {
        "id": ID,
        "name": Field(kind="string", words="What it is called.", least=1, most=64, needed=True),
        "created_at": MADE,
    },
)
_HOLDERS = ("team", "member", "project", "tag", "key")
TEAM_BUDGET = Shape(
    "TeamBudget",
    {
        **BUDGET.fields,
        "holder": Field(kind="string", words="What it bounds.", choices=_HOLDERS, needed=True),
        "holder_id": Field(kind="integer", words="Which of them; left out for the team.", least=1),
        **dict((told("name", "What is bounded, by its name.", "string"),)),
    },
)
USE = Shape(
    "TeamUse",
    dict(
        (
            told("token_id", "The key."),
            told("key", "Its name.", "string"),
            told("member", "The member that has it.", "string"),
            told("project", "The project that it is counted for.", "string"),
            told("tags", "The tags that it is counted for.", "array"),
            told("calls", "How many calls were made."),
            told("quota", "Quota units that they were charged."),
            told("tokens", "Tokens, input and output together."),
        )
    ),
)
_MONTH = 31 * 86_400


def _labels(kind: str) -> tuple[Operation, ...]:
    def listed(ask: Ask) -> Answer:
        labels = rows.labels_of(ask.worker.db, who(ask).id, kind)
        return Answer([LABEL.tell(row) for row in labels], beside={"next": None})

    def create(ask: Ask) -> Answer:
        row = rules.add(ask.worker.db, who(ask), kind, ask.values["name"])
        return Answer(LABEL.tell(row), headers={"location": f"{PREFIX}/teams/{ask.number()}/{kind}s/{row['id']}"})

    def remove(ask: Ask) -> Answer:
        rules.remove(ask.worker.db, who(ask), kind, ask.number("label"), unchanged(ask, LABEL))
        return Answer()

    def one(ask: Ask) -> Answer:
        return Answer(LABEL.tell(rules.one(ask.worker.db, who(ask), kind, ask.number("label"))))

    def named(call: Callable[[Ask], Answer], verb: str) -> Callable[[Ask], Answer]:
        call.__name__ = f"{verb}_{kind}"
        return call

    every = f"{PREFIX}/teams/:id/{kind}s"
    return (
        Operation(
            *("GET", every, USER, named(listed, "list")),
            words=f"A team's {kind}s.",
            gives=LABEL,
            many=True,
            paged=False,
        ),
        Operation(
            *("POST", every, USER, named(create, "create")),
            words=f"Make a {kind} of a team.",
            takes=LABEL,
            gives=LABEL,
            status=201,
            makes=True,
        ),
        Operation("GET", f"{every}/:label", USER, named(one, "one"), words=f"A {kind} of a team.", gives=LABEL),
        Operation(
            *("DELETE", f"{every}/:label", USER, named(remove, "delete")),
            words=f"Take a {kind} away with its budgets; its keys stay.",
            status=204,
            guarded=True,
        ),
    )


def budgets(ask: Ask) -> Answer:
    """The budgets that bound a team and its parts, as far as one sees them."""
    listed = rules.budgets_of(ask.worker.db, who(ask))
    return Answer([_budget(ask, row) for row in listed], beside={"next": None})


def _budget(ask: Ask, row: dict[str, Any]) -> dict[str, Any]:
    asked = {**row, "holder": "user"} if row["holder"] == "team" else row
    return {**budget_told(ask, asked), "holder": row["holder"], "name": row["name"]}


def put_budget(ask: Ask) -> Answer:
    """Set a budget, in place of one of the same holder, period and unit."""
    row = rules.put_budget(ask.worker.db, ask.worker.log_db, who(ask), ask.values)
    return Answer(_budget(ask, row), headers={"location": f"{PREFIX}/teams/{ask.number()}/budgets/{row['id']}"})


def drop_budget(ask: Ask) -> Answer:
    """Take a budget away."""
    guard = unchanged(ask, TEAM_BUDGET, lambda row: _budget(ask, row))
    rules.drop_budget(ask.worker.db, who(ask), ask.number("budget"), guard)
    return Answer()


def budget(ask: Ask) -> Answer:
    """A budget of a team that one sees."""
    return Answer(_budget(ask, rules.budget(ask.worker.db, who(ask), ask.number("budget"))))


def use(ask: Ask) -> Answer:
    """What the keys of a team used: of the last 31 days, where nothing else is asked for."""
    end = ask.whole("end") or int(time.time()) + 1
    start = ask.whole("start") or end - _MONTH
    listed = rules.use(ask.worker.db, who(ask), start, end)
    return Answer([USE.tell(row) for row in listed], beside={"next": None})


_BUDGETS = f"{PREFIX}/teams/:id/budgets"
ROUTES = (
    *_labels(PROJECT),
    *_labels(TAG),
    Operation("GET", _BUDGETS, USER, budgets, words="A team's budgets.", gives=TEAM_BUDGET, many=True, paged=False),
    Operation(
        *("POST", _BUDGETS, USER, put_budget),
        words="Set a budget of a team, or of a member, project, tag or key of it.",
        takes=TEAM_BUDGET,
        gives=TEAM_BUDGET,
        status=201,
        makes=True,
    ),
    Operation("GET", f"{_BUDGETS}/:budget", USER, budget, words="A budget of a team.", gives=TEAM_BUDGET),
    Operation(
        *("DELETE", f"{_BUDGETS}/:budget", USER, drop_budget),
        words="Take a team's budget away.",
        status=204,
        guarded=True,
    ),
    Operation(
        *("GET", f"{PREFIX}/teams/:id/usage", USER, use),
        words="What a team's keys were charged, by key with its member, project and tags.",
        gives=USE,
        many=True,
        paged=False,
        query={
            "start": Field(kind="integer", words="From when on, in Unix seconds."),
            "end": Field(kind="integer", words="Until when, in Unix seconds."),
        },
    ),
)
