"""Teams: those of who asks, and for administrators all; made, renamed, ended; money moved to and from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.accounts.teams import standing
from engine.accounts.teams import teams as rules
from engine.accounts.teams.standing import RIGHTS, ROLES, Standing
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation, unchanged
from engine.api.resources.v2.common import ID, STATES, told
from engine.api.route import ADMIN, USER, Answer, Ask
from engine.storage.rows.api import teams as rows
from engine.storage.rows.crud import Guard, Row

TEAM = Shape(
    "Team",
    {
        "id": ID,
        "name": Field(kind="string", words="Its name, which no user has; it stays.", least=1, most=20, needed=True),
        "title": Field(kind="string", words="What it is called for eyes.", least=1, most=20),
        **dict(
            (
                told("group", "The group that decides models and prices.", "string"),
                told("status", "Whether its keys are served.", "string", codes=STATES),
                told("role", f"What who asks is there: {', '.join(ROLES)}.", "string"),
                told("invited", "Whether who asks was invited and has not joined yet.", "boolean"),
                told("may", f"What who asks may do there, of {', '.join(RIGHTS)}.", "array"),
                told("quota", "Its balance in quota units; told to who may see its use or spend it."),
                told("used_quota", "Quota units that its calls were charged; told to the same."),
                told("declared", "The document that says how it is.", "string"),
                told("created_at", "When it was made, in Unix seconds."),
            )
        ),
    },
)
TITLE = Shape("TeamTitle", {"title": TEAM.fields["title"]})
TRANSFER = Shape(
    "TeamTransfer",
    {
        "direction": Field(
            kind="string",
            words="From one's own wallet into the team's, or out of it.",
            choices=(rules.PAY_IN, rules.PAY_OUT),
            needed=True,
        ),
        "amount": Field(kind="integer", words="Quota units.", least=1, most=2**53, needed=True),
    },
)
BALANCES = Shape(
    "TeamBalances",
    dict(
        (
            told("balance", "One's own balance afterwards, in quota units."),
            told("team_balance", "The team's."),
        )
    ),
)


def who(ask: Ask) -> Standing:
    """What who asks is in the team that the path names."""
    return standing.of(ask.worker.db, ask.user, ask.number())


def shown(who_asks: Standing) -> dict[str, Any]:
    """A team as its members see it."""
    team: Row = {**who_asks.team}
    if not (who_asks.may("usage") or who_asks.may("wallet")):
        team["quota"] = team["used_quota"] = 0
    may = [right for right in RIGHTS if who_asks.may(right)]
    return TEAM.tell({**team, "role": who_asks.role, "invited": False, "may": may})


def listed(ask: Ask) -> Answer:
    """The teams that who asks is in, and those that it is invited to."""
    db, told_teams = ask.worker.db, []
    for team, row in rules.of_person(db, ask.user):
        if row["joined_at"]:
            told_teams.append(shown(standing.of(db, ask.user, team["id"])))
        else:
            more = {"role": row["role"], "invited": True, "may": [], "quota": 0, "used_quota": 0}
            told_teams.append(TEAM.tell({**team, **more}))
    return Answer(told_teams, beside={"next": None})


def everybodys(ask: Ask) -> Answer:
    """All teams."""
    db = ask.worker.db
    return Answer([shown(standing.of(db, ask.user, row["id"])) for row in rows.listed(db)], beside={"next": None})


def create(ask: Ask) -> Answer:
    """Make a team that who asks owns."""
    row = rules.create(ask.worker.db, ask.user, ask.values["name"], ask.values.get("title", ""))
    made = shown(standing.of(ask.worker.db, ask.user, row["id"]))
    return Answer(made, headers={"location": f"{PREFIX}/teams/{row['id']}"})


def one(ask: Ask) -> Answer:
    """A team."""
    return Answer(shown(who(ask)))


def change(ask: Ask) -> Answer:
    """Change what a team is called for eyes."""
    standing_now = who(ask)
    rules.rename(ask.worker.db, standing_now, ask.values.get("title", ""), _guard(ask, standing_now))
    return Answer(shown(who(ask)))


def _guard(ask: Ask, who_asks: Standing) -> Guard:
    """Whether a team's account is still as the caller read the team."""
    return unchanged(ask, TEAM, lambda row: shown(replace(who_asks, team={**who_asks.team, **rows.titled(row)})))


def delete(ask: Ask) -> Answer:
    """End a team without money for good."""
    standing_now = who(ask)
    rules.dissolve(ask.worker.db, standing_now, _guard(ask, standing_now))
    return Answer()


def transfer(ask: Ask) -> Answer:
    """Move money between one's own wallet and the team's."""
    return Answer(rules.move(ask.worker.db, who(ask), ask.values["direction"], ask.values["amount"]))


_ONE = f"{PREFIX}/teams/:id"
ROUTES = (
    Operation(
        *("GET", f"{PREFIX}/teams", USER, listed), words="The caller's teams.", gives=TEAM, many=True, paged=False
    ),
    Operation(
        *("GET", f"{PREFIX}/teams/all", ADMIN, everybodys),
        words="All teams.",
        gives=TEAM,
        many=True,
        paged=False,
        right="user.read",
    ),
    Operation(
        *("POST", f"{PREFIX}/teams", USER, create), words="Make a team.", takes=TEAM, gives=TEAM, status=201, makes=True
    ),
    Operation("GET", _ONE, USER, one, words="A team.", gives=TEAM),
    Operation("PATCH", _ONE, USER, change, words="Change a team's title.", takes=TITLE, gives=TEAM, guarded=True),
    Operation("DELETE", _ONE, USER, delete, words="End a team.", status=204, guarded=True),
    Operation(
        *("POST", f"{_ONE}/transfers", USER, transfer),
        words="Move money between one's own wallet and the team's.",
        takes=TRANSFER,
        gives=BALANCES,
        status=201,
        makes=True,
    ),
)
