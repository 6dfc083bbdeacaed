"""People in a team: invited, joined, given another role, taken out. A team never loses its last owner."""

from __future__ import annotations

from sqlalchemy import Connection

from engine.accounts.people import Person
from engine.accounts.teams.declared import cap_member
from engine.accounts.teams.standing import OWNER, ROLES, Standing
from engine.errors import Conflict, Forbidden, Invalid, NotFound
from engine.storage.database import Database
from engine.storage.faults import StatementError
from engine.storage.rows import people
from engine.storage.rows.api import teams as rows
from engine.storage.rows.crud import Guard, Row
from engine.storage.values import ENABLED
from engine.texts import refusal

MOST = 1000
"""People in a team at most."""


def invite(db: Database, who: Standing, name: str, role: str) -> Row:
    """Invite a user by name, who is in the team once the invitation is accepted; one is told of it at the next visit.

    An administrator of the gateway who is not in the team puts people into it at once.
    """
    who.need("members")
    _grantable(who, role)
    user = people.by_login(db, name.strip()[:254])
    if user is None or user.get("status") != ENABLED or rows.is_team(db, user["id"]):
        raise refusal(NotFound, "team.nobody")
    if len(rows.members_of(db, who.id)) >= MOST:
        raise refusal(Conflict, "team.full", most=MOST)
    values = {"team_id": who.id, "user_id": user["id"], "role": role, "invited_by": who.person.id}
    values["joined_at"] = rows.now() if who.member is None else 0
    try:
        db.write(lambda connection: rows.add_member(db, connection, values))
    except StatementError:
        if rows.member(db, who.id, user["id"]) is None:
            raise
        raise refusal(Conflict, "team.member") from None
    row = rows.member(db, who.id, user["id"]) or {}
    if row["joined_at"]:
        cap_member(db, who.team, row["id"])
    return row


def _grantable(who: Standing, role: str) -> None:
    if role not in ROLES:
        raise refusal(Invalid, "invalid.field", field="role", what=" or ".join(ROLES))
    if role == OWNER:
        who.need("team")


def accept(db: Database, person: Person, team: int) -> Row:
    """Join a team that one was invited to; again it does nothing."""
    row = rows.member(db, team, person.id)
    if row is None or rows.one(db, team) is None:
        raise refusal(NotFound, "not_found")
    if not row["joined_at"]:
        cap_member(db, rows.one(db, team) or {}, row["id"])
        db.write(lambda connection: rows.change_member(db, connection, row["id"], {"joined_at": rows.now()}))
    return rows.member(db, team, person.id) or {}


def one(db: Database, who: Standing, which: int) -> Row:
    """A member, or somebody who was invited."""
    row = next((row for row in rows.members_of(db, who.id) if row["id"] == which), None)
    if row is None:
        raise refusal(NotFound, "not_found")
    return row


def change(db: Database, who: Standing, which: int, role: str, guard: Guard | None = None) -> Row:
    """Give a member another role; owners are made and unmade by owners alone."""
    who.need("members")
    _grantable(who, role)

    def work(connection: Connection) -> int:
        row = _held(db, connection, who, which, leaves=role != OWNER)
        if guard is not None:
            guard(row)
        return rows.change_member(db, connection, row["id"], {"role": role})

    db.write(work)
    return one(db, who, which)


def _held(db: Database, connection: Connection, who: Standing, which: int, *, leaves: bool) -> Row:
    """A membership, held. ``leaves``: it is an owner's no longer afterwards; the last one stays."""
    listed = rows.held(db, connection, who.id)
    row = next((row for row in listed if row["id"] == which), None)
    if row is None:
        raise refusal(NotFound, "not_found")
    if row["role"] == OWNER and leaves:
        mine = who.member is not None and row["id"] == who.member["id"]
        if not mine and not who.may("team"):
            raise refusal(Forbidden, "team.role")
        if not any(one["role"] == OWNER and one["joined_at"] and one["id"] != which for one in listed):
            raise refusal(Conflict, "team.last")
    return row


def remove(db: Database, who: Standing, which: int, guard: Guard | None = None) -> None:
    """Take somebody out of a team, or leave it oneself: the keys that the team gave to the person are deleted."""
    if who.member is None or who.member["id"] != which:
        who.need("members")

    def work(connection: Connection) -> None:
        row = _held(db, connection, who, which, leaves=True)
        if guard is not None:
            guard(row)
        rows.drop_members(db, connection, [row["id"]])

    db.write(work)


def decline(db: Database, person: Person, team: int) -> None:
    """Turn an invitation down."""
    row = rows.member(db, team, person.id)
    if row is None or row["joined_at"]:
        raise refusal(NotFound, "not_found")
    db.write(lambda connection: rows.drop_members(db, connection, [row["id"]]))
