"""What somebody may do in a team: by a role there, as the team's terms say, or as an administrator of the gateway.

Who is not in a team, or only invited, does not learn that it is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from engine.accounts import rights
from engine.accounts.people import Person
from engine.errors import Forbidden, NotFound
from engine.storage.database import Database
from engine.storage.rows import people
from engine.storage.rows.api import teams as rows
from engine.storage.rows.crud import Row
from engine.storage.values import ENABLED
from engine.texts import refusal

OWNER, ADMINISTRATOR, MEMBER = "owner", "administrator", "member"
ROLES = (MEMBER, ADMINISTRATOR, OWNER)
"""From the least to the most."""
RIGHTS: Mapping[str, str] = {
    "keys": MEMBER,
    "usage": ADMINISTRATOR,
    "members": ADMINISTRATOR,
    "budgets": ADMINISTRATOR,
    "wallet": OWNER,
    "team": OWNER,
}
"""What can be done, and the least role that may: keys of one's own; the keys and use of all; people, projects and tags;
budgets; money in and out and plans; name, roles of owners, the end of the team. A document may say other roles."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Somebody in a team. ``member`` is nothing for an administrator of the gateway who is not in it."""

    team: Row
    person: Person
    role: str
    member: Row | None
    terms: Mapping[str, Any]

    @property
    def id(self) -> int:
        """The team's id, which is its account's."""
        return int(self.team["id"])

    def may(self, right: str) -> bool:
        """Whether the role is enough."""
        least = (self.terms.get("rights") or {}).get(right, RIGHTS[right])
        return ROLES.index(self.role) >= ROLES.index(least)

    def need(self, right: str) -> None:
        """Raises ``Forbidden`` where it is not."""
        if not self.may(right):
            raise refusal(Forbidden, "team.role")


def of(db: Database, person: Person, team: int) -> Standing:
    """What a person is in a team; raises ``NotFound``."""
    row = rows.one(db, team)
    member = rows.member(db, team, person.id) if row is not None else None
    if member is not None and not member["joined_at"]:
        member = None
    above = rights.may(db, person, "user.write")
    if row is None or (member is None and not above):
        raise refusal(NotFound, "not_found")
    role = member["role"] if member is not None and not above else OWNER
    return Standing(row, person, role, member, terms_of(row))


def terms_of(team: Row) -> dict[str, Any]:
    """What a team's document says of rights and members."""
    terms = orjson.loads(team.get("terms") or "{}")
    return terms if isinstance(terms, dict) else {}


def payer(db: Database, person: Person, team: int) -> Person:
    """Who pays: the person, or a team whose money it may spend; 0 is nobody's team."""
    if not team:
        return person
    standing = of(db, person, team)
    standing.need("wallet")
    row = people.by_id(db, team)
    if row is None or row.get("status") != ENABLED:
        raise refusal(Forbidden, "team.off")
    return Person(row)
