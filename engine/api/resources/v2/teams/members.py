"""People in teams: listed, invited, joined, given another role, taken out."""

from __future__ import annotations

from typing import Any

from engine.accounts.teams import members as rules
from engine.accounts.teams.standing import MEMBER, ROLES, Standing
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation, unchanged
from engine.api.resources.v2.common import ID, told
from engine.api.resources.v2.teams.teams import who
from engine.api.route import USER, Answer, Ask
from engine.storage.rows.api import teams as rows
from engine.storage.rows.crud import Guard, Row

_ROLE = Field(kind="string", words="What it may do in the team.", choices=ROLES)
MEMBER_SHAPE = Shape(
    "TeamMember",
    {
        "id": ID,
        "username": Field(
            kind="string", words="The name that the person signs in with.", least=1, most=254, needed=True
        ),
        "role": _ROLE,
        **dict(
            (
                told("user_id", "The person's number."),
                told("display_name", "The name that is shown.", "string"),
                told("joined_at", "When the person joined, in Unix seconds; 0: invited."),
                told("created_at", "When the person was invited, in Unix seconds."),
            )
        ),
    },
)
ROLE = Shape("TeamRole", {"role": Field(kind="string", words=_ROLE.words, choices=ROLES, needed=True)})


def _told(row: Row) -> dict[str, Any]:
    return MEMBER_SHAPE.tell(row)


def listed(ask: Ask) -> Answer:
    """Who is in a team, and who was invited."""
    return Answer([_told(row) for row in rows.members_of(ask.worker.db, who(ask).id)], beside={"next": None})


def invite(ask: Ask) -> Answer:
    """Invite somebody."""
    row = rules.invite(ask.worker.db, who(ask), ask.values["username"], ask.values.get("role", MEMBER))
    return Answer(_told(row), headers={"location": f"{PREFIX}/teams/{ask.number()}/members/{row['id']}"})


def change(ask: Ask) -> Answer:
    """Give somebody another role."""
    standing, which = who(ask), ask.number("member")
    role = ask.values.get("role", "")
    return Answer(_told(rules.change(ask.worker.db, standing, which, role, _guard(ask, standing))))


def one(ask: Ask) -> Answer:
    """Somebody in a team, or who was invited."""
    return Answer(_told(rules.one(ask.worker.db, who(ask), ask.number("member"))))


def _guard(ask: Ask, standing: Standing) -> Guard:
    """Whether a membership is still as the caller read it."""
    named = rules.one(ask.worker.db, standing, ask.number("member"))
    return unchanged(ask, MEMBER_SHAPE, lambda row: _told({**named, **row}))


def remove(ask: Ask) -> Answer:
    """Take somebody out of a team, or leave it."""
    standing = who(ask)
    rules.remove(ask.worker.db, standing, ask.number("member"), _guard(ask, standing))
    return Answer()


def accept(ask: Ask) -> Answer:
    """Join a team that one was invited to."""
    return Answer(_told(rules.accept(ask.worker.db, ask.user, ask.number())))


def decline(ask: Ask) -> Answer:
    """Turn an invitation down."""
    rules.decline(ask.worker.db, ask.user, ask.number())
    return Answer()


_ALL = f"{PREFIX}/teams/:id/members"
ROUTES = (
    Operation("GET", _ALL, USER, listed, words="Who is in a team.", gives=MEMBER_SHAPE, many=True, paged=False),
    Operation(
        *("POST", _ALL, USER, invite),
        words="Invite somebody into a team.",
        takes=MEMBER_SHAPE,
        gives=MEMBER_SHAPE,
        status=201,
        makes=True,
    ),
    Operation("GET", f"{_ALL}/:member", USER, one, words="Somebody in a team.", gives=MEMBER_SHAPE),
    Operation(
        *("PATCH", f"{_ALL}/:member", USER, change),
        words="Give a member a role.",
        takes=ROLE,
        gives=MEMBER_SHAPE,
        guarded=True,
    ),
    Operation(
        *("DELETE", f"{_ALL}/:member", USER, remove),
        words="Take a member out, with the keys it has there.",
        status=204,
        guarded=True,
    ),
    Operation(
        *("POST", f"{PREFIX}/teams/:id/invitation", USER, accept),
        words="Join a team that one was invited to.",
        gives=MEMBER_SHAPE,
    ),
    Operation(
        *("DELETE", f"{PREFIX}/teams/:id/invitation", USER, decline), words="Turn an invitation down.", status=204
    ),
)
