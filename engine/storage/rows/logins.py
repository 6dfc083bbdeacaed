"""Sessions, access tokens and failed logins as rows. Knows no secrets but their hashes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from engine.storage.database import Database
from engine.storage.faults import StatementError
from engine.storage.rows import crud
from engine.storage.rows.crud import Row
from engine.storage.tables.own import access_tokens, sessions, throttles


def session(db: Database, sid: str) -> Row | None:
    """A session that is not over by its time."""
    return crud.one(db, sessions, sessions.c.sid == sid, sessions.c.expires_at > int(time.time()))


def sessions_of(db: Database, user: int) -> list[Row]:
    """The sessions of a user, newest first."""
    where = [sessions.c.user_id == user, sessions.c.expires_at > int(time.time())]
    return crud.listed(db, sessions, where, [sessions.c.created_at.desc()], limit=200)


def begin(db: Database, connection: Connection, values: Row, most: int = 50) -> None:
    """Note a session; the oldest of a user end beyond ``most``, and those whose time is over."""
    crud.remove(db, connection, sessions, [sessions.c.expires_at <= int(time.time())])
    crud.add(db, connection, sessions, values)
    # Times are seconds: the new one could be taken for the oldest of those that began in the same.
    others = (sessions.c.user_id == values["user_id"], sessions.c.sid != values["sid"])
    newest = connection.execute(
        select(sessions.c.sid).where(*others).order_by(sessions.c.created_at.desc(), sessions.c.active_at.desc())
    ).all()
    for row in newest[most - 1 :]:
        crud.remove(db, connection, sessions, [sessions.c.sid == row[0]])


def renew(db: Database, connection: Connection, sid: str, old: str, values: Row) -> int:
    """Replace a session's refresh token if it is still the one that was seen."""
    return crud.change(db, connection, sessions, [sessions.c.sid == sid, sessions.c.refresh_hash == old], values)


def raise_version(db: Database, connection: Connection, sid: str, version: int) -> int:
    """Keep one session over a change that ends all others."""
    return crud.change(db, connection, sessions, [sessions.c.sid == sid], {"user_version": version})


def end(db: Database, connection: Connection, user: int, *, sid: str = "", but: str = "") -> int:
    """End one session of a user, or all (but one)."""
    where: list[Any] = [sessions.c.user_id == user]
    if sid:
        where.append(sessions.c.sid == sid)
    if but:
        where.append(sessions.c.sid != but)
    return crud.remove(db, connection, sessions, where)


def access_token(db: Database, hashed: str) -> Row | None:
    """An access token by its hash, if its time is not over."""
    row = crud.one(db, access_tokens, access_tokens.c.hash == hashed)
    return row if row is not None and (not row["expires_at"] or row["expires_at"] > time.time()) else None


def put_access_token(
    db: Database, connection: Connection, user: int, hashed: str, name: str, scope: str = "all", expires_at: int = 0
) -> Row:
    """Note an access token in place of the user's one of this name."""
    crud.remove(db, connection, access_tokens, [access_tokens.c.user_id == user, access_tokens.c.name == name])
    row = {"user_id": user, "hash": hashed, "name": name, "created_at": int(time.time()), "expires_at": expires_at}
    row["scope"] = scope
    return {**row, "id": crud.add(db, connection, access_tokens, row)}


def end_access_token(db: Database, connection: Connection, user: int, which: int) -> int:
    """Forget one of a user's access tokens."""
    where = [access_tokens.c.user_id == user, access_tokens.c.id == which]
    return crud.remove(db, connection, access_tokens, where)


def drop_access_tokens(db: Database, connection: Connection, user: int) -> None:
    """Forget all access tokens of a user."""
    crud.remove(db, connection, access_tokens, [access_tokens.c.user_id == user])


def throttle(db: Database, name: str) -> Row | None:
    """What is known of the failed logins of a name or address."""
    return crud.one(db, throttles, throttles.c.name == name)


def attempt(db: Database, name: str, wait: Callable[[int], int]) -> int:
    """Count an attempt before it is looked at, so that many at once are no way round; or until when it has to wait.

    ``wait`` says how many seconds the next has to wait, once so many have failed. Old notes go.
    """
    now = int(time.time())

    def work(connection: Connection) -> int:
        chosen = select(throttles.c.failures, throttles.c.until).where(throttles.c.name == name).with_for_update()
        row = connection.execute(chosen).first()
        if row is not None and row[1] > now:
            return int(row[1])
        crud.remove(db, connection, throttles, [throttles.c.updated_at < now - 86_400])
        failures = (row[0] if row is not None else 0) + 1
        values = {"failures": failures, "until": now + wait(failures) if wait(failures) else 0, "updated_at": now}
        if not crud.change(db, connection, throttles, [throttles.c.name == name], values):
            crud.add(db, connection, throttles, {"name": name, **values})
        return 0

    try:
        return db.write(work)
    except StatementError as error:
        if not isinstance(error.__cause__, IntegrityError):
            raise
        return db.write(work)  # another first attempt was quicker: now there is a row to hold


def forgive(db: Database, name: str) -> None:
    """An attempt that was counted was none that failed."""
    values = {"failures": throttles.c.failures - 1, "until": 0}
    where = [throttles.c.name == name, throttles.c.failures > 0]
    db.write(lambda connection: crud.change(db, connection, throttles, where, values))


def clear_throttle(db: Database, connection: Connection, name: str) -> None:
    """A login went well: nothing is held against the name."""
    crud.remove(db, connection, throttles, [throttles.c.name == name])
