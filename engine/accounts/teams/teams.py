"""Teams themselves: made, renamed, ended; and money between a person's wallet and the team's."""

from __future__ import annotations

from sqlalchemy import Connection

from engine.accounts import credit
from engine.accounts.people import NAME, Person, checked_name
from engine.accounts.teams.standing import MEMBER, OWNER, Standing
from engine.accounts.users import create_user
from engine.errors import Conflict, Forbidden, Invalid
from engine.storage.database import Database
from engine.storage.rows import people
from engine.storage.rows.api import teams as rows
from engine.storage.rows.crud import Guard, Row
from engine.texts import refusal

MOST = 10
"""Teams that a person owns at most; who may change users makes as many as they like."""
PAY_IN, PAY_OUT = "in", "out"


def create(db: Database, person: Person, name: str, title: str = "") -> Row:
    """Make a team that the person owns; it begins without money, in the person's group."""
    name = checked_name(name)
    title = _title(title or name)
    if people.taken(db, name):
        raise refusal(Conflict, "team.taken", field="name")
    owned = [row for row in rows.memberships(db, person.id) if row["role"] == OWNER]
    if len(owned) >= MOST:
        raise refusal(Conflict, "team.most", most=MOST)

    def also(connection: Connection, account: int) -> None:
        rows.add(db, connection, account, {"declared": "", "terms": ""})
        _owner(db, connection, account, person)

    which = create_user(db, name, None, group=person.group, quota=0, display_name=title, also=also, team=True)
    return rows.one(db, which) or {}


def _owner(db: Database, connection: Connection, team: int, person: Person) -> None:
    values = {"team_id": team, "user_id": person.id, "role": OWNER, "invited_by": person.id, "joined_at": rows.now()}
    rows.add_member(db, connection, values)


def _title(title: str) -> str:
    if not title.strip() or len(title) > NAME:
        raise refusal(Invalid, "invalid.field", field="title", what=f"1 to {NAME} characters")
    return title.strip()


def of_person(db: Database, person: Person) -> list[tuple[Row, Row]]:
    """The teams that a person is in or invited to, each with the membership."""
    pairs = [(rows.one(db, row["team_id"]), row) for row in rows.memberships(db, person.id)]
    return [(team, row) for team, row in pairs if team is not None]


def rename(db: Database, who: Standing, title: str, guard: Guard | None = None) -> Row:
    """Change what the team is called for eyes; its name stays, as log rows have it."""
    who.need("team")
    _undeclared(who)
    title = _title(title)

    def work(connection: Connection) -> None:
        rows.guarded(db, connection, who.id, guard)
        people.change(db, connection, who.id, {"display_name": title})

    db.write(work)
    return rows.one(db, who.id) or {}


def _undeclared(who: Standing) -> None:
    if who.team.get("declared"):
        raise refusal(Conflict, "team.declared", document=who.team["declared"])


def dissolve(db: Database, who: Standing, guard: Guard | None = None) -> None:
    """End a team for good: its keys are refused from now on. Money that is left has to be moved before."""
    who.need("team")
    _undeclared(who)

    def work(connection: Connection) -> None:
        rows.held(db, connection, who.id)
        rows.guarded(db, connection, who.id, guard)
        if people.held_balance(connection, who.id) > 0:
            raise refusal(Conflict, "team.money")
        rows.drop(db, connection, who.id)
        people.bury(db, connection, who.id)

    db.write(work)


def move(db: Database, who: Standing, direction: str, amount: int) -> dict[str, int]:
    """Move quota units between the wallet of who asks and the team's; both balances afterwards.

    Only for somebody in the team: an administrator of the gateway has grants, which say so.
    """
    who.need("wallet")
    if who.member is None:
        raise refusal(Forbidden, "team.role")
    if not 0 < amount <= credit.MOST:
        raise refusal(Invalid, "invalid.field", field="amount", what=f"1 to {credit.MOST}")
    pair = (who.person.id, who.id) if direction == PAY_IN else (who.id, who.person.id)
    parties = f"user {who.person.id}", f"team {who.id}"  # no names, which erasure would have to find
    reference = " to ".join(parties if direction == PAY_IN else reversed(parties))

    def work(connection: Connection) -> dict[str, int]:
        balances = {which: people.held_balance(connection, which) for which in sorted(pair)}
        if balances[pair[0]] < amount:
            raise refusal(Conflict, "team.poor", balance=balances[pair[0]])
        after = {pair[0]: credit.give_user(connection, pair[0], -amount, "team", reference)}
        after[pair[1]] = credit.give_user(connection, pair[1], amount, "team", reference)
        return {"balance": after[who.person.id], "team_balance": after[who.id]}

    return db.write(work)


def told_of(db: Database, team: int) -> list[Row]:
    """Who hears of what happens to a team: its owners and administrators."""
    leaders = [row["user_id"] for row in rows.members_of(db, team) if row["joined_at"] and row["role"] != MEMBER]
    return people.by_ids(db, leaders)
