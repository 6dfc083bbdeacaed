"""A team's keys: a member's own, the team's own, and for who may see its use all of them, masked."""

from __future__ import annotations

from typing import Any

from engine.accounts.teams import keys as rules
from engine.accounts.teams.keys import Purpose
from engine.accounts.teams.standing import Standing
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation, unchanged
from engine.api.resources.newapi.shapes import masked
from engine.api.resources.v2.common import told
from engine.api.resources.v2.keys import KEY, key_values
from engine.api.resources.v2.teams.teams import who
from engine.api.route import USER, Answer, Ask
from engine.catalogue import options
from engine.storage.rows.crud import Guard, Row

_PURPOSE = {
    "project": Field(kind="string", words="The project that it is counted for; empty: none.", most=64),
    "tags": Field(
        kind="array",
        words="The tags that it is counted for.",
        most=rules.MOST_TAGS,
        items=Field(kind="string", words="A tag.", least=1, most=64),
    ),
}
_OWN = Field(kind="boolean", words="The team's own key, and no member's.", told=False)
TEAM_KEY = Shape(
    "TeamKey",
    {
        **KEY.fields,
        **_PURPOSE,
        "own": _OWN,
        **dict(
            (
                told("member_id", "The member that has it; 0: the team."),
                told("member", "That member's name.", "string"),
            )
        ),
    },
)


def _told(row: Row, secret: str = "") -> dict[str, Any]:
    key = f"sk-{secret}" if secret else masked(str(row.get("key") or "").rstrip())
    return {**TEAM_KEY.tell(row), "key": key}


def _asked(ask: Ask) -> tuple[dict[str, Any], Purpose]:
    values = key_values(ask)
    own = bool(values.pop("own", False))
    return values, Purpose(values.pop("project", None), values.pop("tags", None), own)


def _open(ask: Ask, standing: Standing) -> frozenset[str]:
    return ask.worker.snapshot.groups.open_to(standing.team["group"]) | {"auto"}


def listed(ask: Ask) -> Answer:
    """The keys of a team that one sees."""
    return Answer([_told(row) for row in rules.listed(ask.worker.db, who(ask))], beside={"next": None})


def create(ask: Ask) -> Answer:
    """Make a key that the team's wallet pays for; it is told in clear this once."""
    standing, (values, purpose) = who(ask), _asked(ask)
    most = options.value_of(ask.worker.options, "token_setting.max_user_tokens")
    row = rules.create(ask.worker.db, standing, values, purpose, _open(ask, standing), most)
    headers = {"location": f"{PREFIX}/teams/{standing.id}/keys/{row['id']}"}
    return Answer(_told(row, row["key"]), headers=headers)


def change(ask: Ask) -> Answer:
    """Change what is sent of a key."""
    standing, (values, purpose) = who(ask), _asked(ask)
    guard = _guard(ask, standing)
    row = rules.change(ask.worker.db, standing, ask.number("key"), values, purpose, _open(ask, standing), guard)
    return Answer(_told(row))


def one(ask: Ask) -> Answer:
    """A key of a team that one sees."""
    return Answer(_told(rules.one(ask.worker.db, who(ask), ask.number("key"))))


def _guard(ask: Ask, standing: Standing) -> Guard:
    """Whether a key is still as the caller read it."""
    return unchanged(ask, TEAM_KEY, lambda row: _told(rules.described(ask.worker.db, standing, row)))


def renew(ask: Ask) -> Answer:
    """Another secret for a key, told in clear this once."""
    row = rules.renew(ask.worker.db, who(ask), ask.number("key"))
    return Answer(_told(row, row["key"]))


def delete(ask: Ask) -> Answer:
    """Delete a key."""
    standing = who(ask)
    rules.delete(ask.worker.db, standing, ask.number("key"), _guard(ask, standing))
    return Answer()


_ALL = f"{PREFIX}/teams/:id/keys"
ROUTES = (
    Operation("GET", _ALL, USER, listed, words="A team's keys, masked.", gives=TEAM_KEY, many=True, paged=False),
    Operation(
        *("POST", _ALL, USER, create),
        words="Make a key that a team pays for.",
        takes=TEAM_KEY,
        gives=TEAM_KEY,
        status=201,
        makes=True,
    ),
    Operation("GET", f"{_ALL}/:key", USER, one, words="A team's key, masked.", gives=TEAM_KEY),
    Operation(
        *("PATCH", f"{_ALL}/:key", USER, change),
        words="Change a team's key.",
        takes=TEAM_KEY,
        gives=TEAM_KEY,
        guarded=True,
    ),
    Operation(
        *("POST", f"{_ALL}/:key/renew", USER, renew),
        words="Give one's key in a team another secret.",
        gives=TEAM_KEY,
        makes=True,
    ),
    Operation("DELETE", f"{_ALL}/:key", USER, delete, words="Delete a team's key.", status=204, guarded=True),
)
