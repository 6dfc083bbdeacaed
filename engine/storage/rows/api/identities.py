"""Outside identities as rows, wherever they are kept, and logins on their way. Knows no rules.

A login keeps its identities in a column of ``users``, in the bindings of the console's own providers, or in our table.
Whatever binds holds the row of ``lock`` until its transaction ends, so that nobody else takes the same identity.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from sqlalchemy import Connection, select

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.crud import Row
from engine.storage.tables.auth import user_oauth_bindings as bindings
from engine.storage.tables.core import users
from engine.storage.tables.management import identities, login_flows


@dataclass(frozen=True, slots=True)
class Keeper:
    """Where a login keeps its identities: a column, else the bindings of provider ``number``, else our table."""

    login: str
    column: str = ""
    number: int = 0


def put_flow(db: Database, values: Row) -> None:
    """Note a login on its way; those whose time is over go."""

    def work(connection: Connection) -> None:
        crud.remove(db, connection, login_flows, [login_flows.c.expires_at <= int(time.time())])
        crud.add(db, connection, login_flows, values)

    db.write(work)


def take_flow(db: Database, hashed: str) -> Row | None:
    """A login on its way whose time is not over; it is there for one caller once."""

    def work(connection: Connection) -> Row | None:
        row = crud.one(db, login_flows, login_flows.c.hash == hashed, connection=connection)
        gone = crud.remove(db, connection, login_flows, [login_flows.c.hash == hashed])
        return row if row is not None and gone == 1 and row["expires_at"] > time.time() else None

    return db.write(work)


def holder(db: Database, keeper: Keeper, subject: str, connection: Connection | None = None) -> int:
    """The user who has an identity, deleted ones too; 0 where nobody has it."""
    if keeper.column:
        if keeper.column not in db.columns.get(users.name, ()):
            return 0
        rows = _rows(db, keeper.column, subject, connection)
        return int(rows[0]["id"]) if rows else 0
    if keeper.number:
        where = [bindings.c.provider_id == keeper.number, bindings.c.provider_user_id == subject]
        row = crud.one(db, bindings, *where, connection=connection)
        return int(row["user_id"]) if row is not None and row["provider_user_id"] == subject else 0
    row = crud.one(db, identities, identities.c.key == _key(keeper, subject), connection=connection)
    return int(row["user_id"]) if row is not None else 0


def _rows(db: Database, column: str, subject: str, connection: Connection | None) -> list[Row]:
    """Users with this text in a column, those who are not deleted first; MySQL compares without case."""
    chosen = select(*crud.columns(db, users)).where(users.c[column] == subject).order_by(users.c.id).limit(20)
    if connection is not None:
        rows = [dict(row) for row in connection.execute(chosen).mappings()]
    else:
        with db.read() as reader:
            rows = [dict(row) for row in reader.execute(chosen).mappings()]
    same: list[Row] = [row for row in rows if str(row[column] or "").rstrip() == subject]
    return sorted(same, key=lambda row: row.get("deleted_at") is not None)


def subject_of(db: Database, keeper: Keeper, user: Row, connection: Connection | None = None) -> str:
    """A user's identity at a login, or nothing."""
    if keeper.column:
        return str(user.get(keeper.column) or "").rstrip()
    if keeper.number:
        where = [bindings.c.user_id == user["id"], bindings.c.provider_id == keeper.number]
        row = crud.one(db, bindings, *where, connection=connection)
        return str(row["provider_user_id"]) if row is not None else ""
    where = [identities.c.user_id == user["id"], identities.c.login == keeper.login]
    row = crud.one(db, identities, *where, connection=connection)
    return str(row["subject"]) if row is not None else ""


def lock(db: Database, connection: Connection, keeper: Keeper, subject: str) -> None:
    """Have others wait who want the same identity. Raises ``IntegrityError`` where another is first to note it."""
    now, name = int(time.time()), _key(keeper, subject)
    if not crud.change(db, connection, identities, [identities.c.key == name], {"seen_at": now}):
        row = {"key": name, "login": keeper.login, "subject": subject, "user_id": 0, "created_at": now, "seen_at": now}
        crud.add(db, connection, identities, row)


def bind(db: Database, connection: Connection, keeper: Keeper, user: int, subject: str) -> None:
    """Note whose an identity is; it is locked."""
    if keeper.column:
        crud.change(db, connection, users, [users.c.id == user], {keeper.column: subject})
    elif keeper.number:
        row = {"user_id": user, "provider_id": keeper.number, "provider_user_id": subject}
        crud.add(db, connection, bindings, row)
    else:
        crud.change(db, connection, identities, [identities.c.key == _key(keeper, subject)], {"user_id": user})


def unbind(db: Database, connection: Connection, keeper: Keeper, user: int) -> int:
    """Take a user's identity at a login away."""
    if keeper.column:
        return crud.change(db, connection, users, [users.c.id == user], {keeper.column: ""})
    if keeper.number:
        where = [bindings.c.user_id == user, bindings.c.provider_id == keeper.number]
        return crud.remove(db, connection, bindings, where)
    where = [identities.c.user_id == user, identities.c.login == keeper.login]
    return crud.remove(db, connection, identities, where)


def bound(db: Database, number: int) -> int:
    """How many have an identity at one of the console's own providers."""
    return crud.count(db, bindings, [bindings.c.provider_id == number])


def forget(db: Database, connection: Connection, user: int) -> None:
    """A user who is deleted for good has no identities."""
    crud.remove(db, connection, identities, [identities.c.user_id == user])
    if bindings.name in db.columns:
        crud.remove(db, connection, bindings, [bindings.c.user_id == user])


def _key(keeper: Keeper, subject: str) -> str:
    return hashlib.sha256(f"{keeper.login}\n{subject}".encode("utf-8", "replace")).hexdigest()
