"""What a team's keys are counted for beside the team: projects, tags and members, their budgets, and what was used."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from engine.accounts import budgets as rules
from engine.accounts.teams.standing import Standing
from engine.errors import Conflict, Invalid, NotFound
from engine.storage.database import Database
from engine.storage.faults import StatementError
from engine.storage.rows import budgets
from engine.storage.rows.api import teams as rows
from engine.storage.rows.api.teams import MEMBER, PROJECT, TAG
from engine.storage.rows.budgets import KEY, USER, Budget
from engine.storage.rows.crud import Guard, Row
from engine.texts import refusal

KINDS = (PROJECT, TAG)
MOST = 200
"""Projects and tags of a team, each."""
_TEAM = "team"


def add(db: Database, who: Standing, kind: str, name: str) -> Row:
    """Make a project or a tag."""
    who.need("members")
    name = name.strip()
    if kind not in KINDS or not 0 < len(name) <= 64:
        raise refusal(Invalid, "invalid.field", field="name", what="1 to 64 characters")
    there = rows.labels_of(db, who.id, kind)
    if len(there) >= MOST:
        raise refusal(Conflict, "team.labels", most=MOST)
    try:
        db.write(lambda connection: rows.add_label(db, connection, who.id, kind, name))
    except StatementError:
        if not any(row["name"] == name for row in rows.labels_of(db, who.id, kind)):
            raise
        raise refusal(Conflict, "team.label.taken", name=name) from None
    return next(row for row in rows.labels_of(db, who.id, kind) if row["name"] == name)


def one(db: Database, who: Standing, kind: str, which: int) -> Row:
    """A project or a tag."""
    row = next((row for row in rows.labels_of(db, who.id, kind) if row["id"] == which), None)
    if row is None:
        raise refusal(NotFound, "not_found")
    return row


def remove(db: Database, who: Standing, kind: str, which: int, guard: Guard | None = None) -> None:
    """Take a project or a tag away with its budgets; its keys stay and are counted for the others."""
    who.need("members")
    one(db, who, kind, which)

    def work(connection: Connection) -> bool:
        rows.guarded_label(db, connection, which, guard)
        return rows.drop_label(db, connection, who.id, kind, which)

    if not db.write(work):
        raise refusal(NotFound, "not_found")


def budget(db: Database, who: Standing, which: int) -> Row:
    """A budget that one sees."""
    row = next((row for row in budgets_of(db, who) if row["id"] == which), None)
    if row is None:
        raise refusal(NotFound, "not_found")
    return row


def budgets_of(db: Database, who: Standing) -> list[Row]:
    """The budgets that one sees, each with the name of whom it bounds: all, or those of oneself and the team."""
    names = {(MEMBER, row["id"]): row["username"] for row in rows.members_of(db, who.id)}
    names |= {(row["kind"], row["id"]): row["name"] for row in rows.labels_of(db, who.id)}
    names[USER, who.id] = who.team["name"]
    mine = {(USER, who.id), (MEMBER, who.member["id"] if who.member else 0)}
    seen = []
    for row in rules.of_user(db, who.id):
        place = (row["holder"], row["holder_id"])
        if who.may("usage") or place in mine:
            holder = _TEAM if row["holder"] == USER else row["holder"]
            seen.append({**row, "holder": holder, "name": names.get(place, str(row["holder_id"]))})
    return seen


def put_budget(db: Database, log_db: Database, who: Standing, values: dict[str, Any]) -> Row:
    """Set a budget of the team, a member, a project, a tag or a key, in place of one of the same period and unit."""
    who.need("budgets")
    holder, which = USER if values["holder"] == _TEAM else values["holder"], int(values.get("holder_id") or who.id)
    _mine(db, who, holder, which)
    place = {"holder": holder, "holder_id": which, "period": values["period"], "unit": values["unit"]}
    rules.undeclared(db, place)
    more = {"soft_percent": values.get("soft_percent", 80), "rollover": values.get("rollover", 0)}
    rules.set_budget(db, log_db, Budget(id=0, **place, amount=values["amount"], **more))
    row = rules.find(db, **place)
    return next(one for one in budgets_of(db, who) if one["id"] == row["id"])


def _mine(db: Database, who: Standing, holder: str, which: int) -> None:
    """Raises ``NotFound`` where a holder is not of the team."""
    if holder == USER:
        ids = [who.id]
    elif holder == KEY:
        ids = [row["id"] for row in rows.keys(db, who.id)]
    elif holder == MEMBER:
        ids = [row["id"] for row in rows.members_of(db, who.id)]
    else:
        ids = [row["id"] for row in rows.labels_of(db, who.id, holder)]
    if which not in ids:
        raise refusal(NotFound, "not_found")


def drop_budget(db: Database, who: Standing, which: int, guard: Guard | None = None) -> None:
    """Take a budget away."""
    who.need("budgets")
    if guard is not None:
        guard(budget(db, who, which))
    listed = [row for row in rules.of_user(db, who.id) if row["id"] == which]
    for row in listed:
        rules.undeclared(db, row)
    if not listed or not budgets.remove(db, which):
        raise refusal(NotFound, "not_found")


def use(db: Database, who: Standing, start: int, end: int) -> list[Row]:
    """What each key was charged in a time, with its member, project and tags; members see their own."""
    keys = {row["id"]: row for row in rows.keys(db, who.id)}
    holders = rows.holders_of(db, list(keys))
    labels = {row["id"]: row["name"] for row in rows.labels_of(db, who.id)}
    names = {row["id"]: row["username"] for row in rows.members_of(db, who.id)}
    told = []
    for row in rows.use(db, who.id, start, end):
        mine = holders.get(row["token_id"], {})
        member = (mine.get(MEMBER) or [0])[0]
        if not who.may("usage") and (who.member is None or member != who.member["id"]):
            continue
        told.append(
            {
                **row,
                "key": str(keys.get(row["token_id"], {}).get("name") or ""),
                "member": names.get(member, ""),
                "project": next((labels[one] for one in mine.get(PROJECT, ()) if one in labels), ""),
                "tags": sorted(labels[one] for one in mine.get(TAG, ()) if one in labels),
            }
        )
    return told
