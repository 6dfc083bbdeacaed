"""Teams, members, projects and tags as rows, and the keys that are counted for them. Knows no rules."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, select

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.crud import Guard, Row
from engine.storage.tables.core import tokens, users
from engine.storage.tables.ledger import ledger
from engine.storage.tables.own import budget_use, budgets, facts
from engine.storage.tables.teams import key_holders, labels, members, teams
from engine.storage.values import DISABLED

MEMBER, PROJECT, TAG = "member", "project", "tag"
_PART = 500
_DECLARED = "teams declared"


def now() -> int:
    """This moment (unix s), as rows keep it."""
    return int(time.time())


def is_team(db: Database, account: int) -> bool:
    """Whether an account is a team's, to which nobody signs in."""
    return crud.one(db, teams, teams.c.account_id == account) is not None


def one(db: Database, team: int) -> Row | None:
    """A team with its account's name, title, group, balance and state; none, where it was dissolved."""
    rows = _joined(db, teams.c.account_id == team)
    return rows[0] if rows else None


def by_name(db: Database, name: str) -> Row | None:
    """A team by its name."""
    rows = _joined(db, users.c.username == name)
    return next((row for row in rows if row["name"] == name), None)


def listed(db: Database, *, after: int = 0, limit: int | None = None) -> list[Row]:
    """All teams, by id."""
    return _joined(db, teams.c.account_id > after, limit=limit)


_ACCOUNT = (users.c.username, users.c.display_name, users.c.group, users.c.quota, users.c.used_quota, users.c.status)


def _joined(db: Database, where: Any, *, limit: int | None = None) -> list[Row]:
    if teams.name not in db.columns:
        return []
    chosen = select(*teams.c, *_ACCOUNT).select_from(teams.join(users, users.c.id == teams.c.account_id))
    chosen = chosen.where(where, *crud.alive(db, users)).order_by(teams.c.account_id).limit(limit)
    with db.read() as reader:
        return [_row(row) for row in reader.execute(chosen).mappings()]


def _row(row: Mapping[Any, Any]) -> Row:
    whole = {str(name): value for name, value in row.items()}
    title = whole.pop("display_name") or whole["username"]
    group = whole["group"] or "default"
    return {**whole, "id": whole["account_id"], "name": whole.pop("username"), "title": title, "group": group}


def titled(account: Row) -> Row:
    """The name and title of a team, by the row of its account."""
    return {"name": account["username"], "title": account.get("display_name") or account["username"]}


def guarded(db: Database, connection: Connection, team: int, guard: Guard | None) -> None:
    """Hold a team's account until the transaction ends, and have it looked at."""
    crud.guarded(db, connection, users, users.c.id == team, guard)


def guarded_label(db: Database, connection: Connection, which: int, guard: Guard | None) -> None:
    """The same of a project or a tag."""
    crud.guarded(db, connection, labels, labels.c.id == which, guard)


def add(db: Database, connection: Connection, account: int, values: Mapping[str, Any]) -> None:
    """Note that an account is a team's."""
    crud.add(db, connection, teams, {**values, "account_id": account, "created_at": now()})


def change(db: Database, connection: Connection, team: int, values: Mapping[str, Any]) -> None:
    """Change what is kept of a team beside its account."""
    crud.change(db, connection, teams, [teams.c.account_id == team], values)


def drop(db: Database, connection: Connection, team: int) -> None:
    """Take away members, projects and their budgets; that the account was a team's stays."""
    for holder, ids in (
        (MEMBER, select(members.c.id).where(members.c.team_id == team)),
        (PROJECT, select(labels.c.id).where(labels.c.user_id == team, labels.c.kind == PROJECT)),
        (TAG, select(labels.c.id).where(labels.c.user_id == team, labels.c.kind == TAG)),
    ):
        forget(connection, holder, [int(which) for which in connection.execute(ids).scalars()])
    connection.execute(delete(members).where(members.c.team_id == team))
    connection.execute(delete(labels).where(labels.c.user_id == team))


def forget(connection: Connection, holder: str, ids: Sequence[int]) -> None:
    """Nothing is counted for these any more, and nothing bounds them."""
    for start in range(0, len(ids), _PART):
        part = list(ids[start : start + _PART])
        for table in (budgets, budget_use, key_holders):
            connection.execute(delete(table).where(table.c.holder == holder, table.c.holder_id.in_(part)))


def declared_mark(db: Database) -> str:
    """Which documents the rows were made by last."""
    row = crud.one(db, facts, facts.c.name == _DECLARED)
    return str(row["value"]) if row is not None else ""


def note_declared(connection: Connection, mark: str) -> None:
    """Note which documents the rows were made by."""
    connection.execute(delete(facts).where(facts.c.name == _DECLARED))
    connection.execute(insert(facts).values(name=_DECLARED, value=mark))


def release(db: Database, connection: Connection, *, team: int, document: str) -> None:
    """No document declares a team any more: it stays as it is, and is changed as others are."""
    crud.change(db, connection, teams, [teams.c.account_id == team], {"declared": ""})
    crud.change(db, connection, budgets, [budgets.c.declared == document], {"declared": ""})


# people in teams


def members_of(db: Database, team: int) -> list[Row]:
    """The people of a team with their names and states, by id; who was deleted is left out."""
    return _people(db, members.c.team_id == team)


def member(db: Database, team: int, user: int) -> Row | None:
    """A person in a team."""
    rows = _people(db, and_(members.c.team_id == team, members.c.user_id == user))
    return rows[0] if rows else None


def memberships(db: Database, user: int) -> list[Row]:
    """The teams that a person is in or was invited to."""
    return crud.listed(db, members, [members.c.user_id == user], [members.c.team_id])


def _people(db: Database, where: Any) -> list[Row]:
    if members.name not in db.columns:
        return []
    chosen = select(*members.c, users.c.username, users.c.display_name, users.c.status)
    chosen = chosen.select_from(members.join(users, users.c.id == members.c.user_id))
    with db.read() as reader:
        rows = reader.execute(chosen.where(where, *crud.alive(db, users)).order_by(members.c.id)).mappings()
        return [{str(name): value for name, value in row.items()} for row in rows]


def held(db: Database, connection: Connection, team: int) -> list[Row]:
    """The people of a team, held until the transaction ends: two changes of its owners wait for each other."""
    connection.execute(select(teams.c.account_id).where(teams.c.account_id == team).with_for_update())
    rows = connection.execute(select(*members.c).where(members.c.team_id == team).with_for_update()).mappings()
    return [{str(name): value for name, value in row.items()} for row in rows]


def add_member(db: Database, connection: Connection, values: Mapping[str, Any]) -> int:
    """Put a person into a team."""
    return crud.add(db, connection, members, {**values, "created_at": now()})


def change_member(db: Database, connection: Connection, which: int, values: Mapping[str, Any]) -> int:
    """Change a membership by its id."""
    return crud.change(db, connection, members, [members.c.id == which], values)


def drop_members(db: Database, connection: Connection, ids: Sequence[int]) -> None:
    """End memberships: their keys are deleted, their caps go."""
    for which in ids:
        bury_keys(db, connection, MEMBER, which)
    forget(connection, MEMBER, ids)
    connection.execute(delete(members).where(members.c.id.in_(list(ids))))


def leave_all(db: Database, connection: Connection, user: int) -> None:
    """Take a person out of all teams, with the keys that the teams gave to it."""
    if members.name in db.columns:
        ids = connection.execute(select(members.c.id).where(members.c.user_id == user)).scalars().all()
        drop_members(db, connection, [int(which) for which in ids])


# projects and tags


def labels_of(db: Database, user: int, kind: str = "") -> list[Row]:
    """The projects or tags of an account, by name."""
    where = [labels.c.user_id == user, *([labels.c.kind == kind] if kind else [])]
    return crud.listed(db, labels, where, [labels.c.kind, labels.c.name])


def add_label(db: Database, connection: Connection, user: int, kind: str, name: str) -> int:
    """Make a project or a tag."""
    values = {"user_id": user, "kind": kind, "name": name, "created_at": now()}
    return crud.add(db, connection, labels, values)


def drop_label(db: Database, connection: Connection, user: int, kind: str, which: int) -> bool:
    """Take a project or a tag away, with its budgets; keys stay. False where it is not the account's."""
    same = (labels.c.id == which, labels.c.user_id == user, labels.c.kind == kind)
    if connection.execute(delete(labels).where(*same)).rowcount != 1:
        return False
    forget(connection, kind, [which])
    return True


def told_of_holder(db: Database, holder: str, which: int) -> tuple[int, str] | None:
    """Who hears of what happens to a member's, a project's or a tag's budget (the member, the owner); and its name."""
    if holder == MEMBER:
        rows = _people(db, members.c.id == which)
        return (rows[0]["user_id"], rows[0]["username"]) if rows else None
    label = crud.one(db, labels, labels.c.id == which)
    return (label["user_id"], label["name"]) if label is not None else None


# keys


def assign(connection: Connection, token: int, holders: Iterable[tuple[str, int]], kinds: Sequence[str]) -> None:
    """Count a key for these, in place of whom of these kinds it was counted for."""
    connection.execute(delete(key_holders).where(key_holders.c.token_id == token, key_holders.c.holder.in_(kinds)))
    for holder, which in sorted(set(holders)):
        connection.execute(insert(key_holders).values(token_id=token, holder=holder, holder_id=which))


def holders_of(db: Database, ids: Sequence[int]) -> dict[int, dict[str, list[int]]]:
    """For whom keys are counted: by key, then by kind of holder."""
    by_key: dict[int, dict[str, list[int]]] = {}
    for start in range(0, len(ids), _PART):
        where = [key_holders.c.token_id.in_(list(ids[start : start + _PART]))]
        for row in crud.listed(db, key_holders, where, [key_holders.c.holder_id]):
            by_key.setdefault(row["token_id"], {}).setdefault(row["holder"], []).append(row["holder_id"])
    return by_key


def keys(db: Database, team: int) -> list[Row]:
    """All keys that a team ever had, with their names."""
    return crud.listed(db, tokens, [tokens.c.user_id == team], [tokens.c.id])


def mine(holder: str, which: int) -> Any:
    """The keys that are counted for a holder, as a select."""
    return select(key_holders.c.token_id).where(key_holders.c.holder == holder, key_holders.c.holder_id == which)


def bury_keys(db: Database, connection: Connection, holder: str, which: int) -> int:
    """Delete the keys that are counted for a holder; how many there were."""
    return crud.bury(db, connection, tokens, [tokens.c.id.in_(mine(holder, which))])


def switch_off(db: Database, connection: Connection, user: int) -> int:
    """Switch off the keys that teams gave to a person; how many there were."""
    if members.name not in db.columns:
        return 0
    given = select(key_holders.c.token_id).join(members, members.c.id == key_holders.c.holder_id)
    given = given.where(key_holders.c.holder == MEMBER, members.c.user_id == user)
    return crud.change(db, connection, tokens, [tokens.c.id.in_(given)], {"status": DISABLED})


def use(db: Database, team: int, start: int, end: int) -> list[Row]:
    """What a team's keys were charged in a time, and in how many calls, by key."""
    row = ledger.c
    tokens_used = func.sum(row.prompt_tokens + row.completion_tokens)
    chosen = select(row.token_id, func.count(), func.sum(row.quota), tokens_used)
    chosen = chosen.where(row.user_id == team, row.created_at >= start, row.created_at < end, crud.is_on(row.counted))
    with db.read() as reader:
        rows = reader.execute(chosen.group_by(row.token_id).order_by(row.token_id))
        return [
            {"token_id": key, "calls": int(calls), "quota": int(quota or 0), "tokens": int(count or 0)}
            for key, calls, quota, count in rows
        ]
