"""Rows of what leaves later: put in the transaction of whoever has something to tell, taken one at a time.

A message is tried when its time has come. ``claim`` counts the try before it is made, so that a process which dies in
it leaves a message that is tried again later, and one that kills its process is dead after ``MOST_TRIES``. Bodies hold
no secrets: who sends knows them. Knows no senders.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, func, insert, select, update

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.crud import Row
from engine.storage.tables.outbox import outbox

WAITING, DEAD = "waiting", "dead"
EVENT, EVENTS = "event", "events"
MOST_TRIES = 10
MOST_WAITING = 1_000
"""Of one target; those of dead letters count, so that a target nobody looks after does not fill the table."""
MOST_EVENTS = 20_000
_BYTES = 48_000
_TEXT = 500
_log = logging.getLogger("gatewright.outbox")


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is to leave. ``id`` is the row's, ``message`` what receivers know it by; ``tries`` were made."""

    id: int
    message: str
    kind: str
    target: str
    about: str
    body: dict[str, Any]
    tries: int
    created_at: int


def put(
    db: Database, connection: Connection, kind: str, target: str, about: str, body: Mapping[str, Any]
) -> str | None:
    """Put a message in; its id, or nothing where there is no room for it: who tells must not fail for that."""
    if outbox.name not in db.columns:
        return None  # an older program holds the schema; nothing here may fail for what it lacks
    raw = orjson.dumps(body, default=str)
    most = MOST_EVENTS if target == EVENTS else MOST_WAITING
    if len(raw) > _BYTES or _count(connection, target, most) >= most:
        _log.warning("no room in the outbox for %s to %s (%d bytes)", about, target, len(raw))
        return None
    message, now = secrets.token_hex(16), int(time.time())
    row = {"message": message, "kind": kind, "target": target[:160], "about": about[:40], "body": raw.decode()}
    connection.execute(
        insert(outbox).values({**row, "state": WAITING, "tries": 0, "created_at": now, "next_at": now, "error": ""})
    )
    return message


def happened(db: Database, connection: Connection, event: str, values: Mapping[str, Any], user: int = 0) -> None:
    """Note that something happened, in the transaction in which it did; who is told of it is found out later.

    ``user``: whose affair it is; 0 is the operator's. Texts are cut to 500 characters.
    """
    facts = {name: value[:_TEXT] if isinstance(value, str) else value for name, value in values.items()}
    put(db, connection, EVENT, EVENTS, event, {"user": user, "values": facts})


def _count(connection: Connection, target: str, most: int) -> int:
    first = select(outbox.c.id).where(outbox.c.target == target).limit(most).subquery()
    return int(connection.execute(select(func.count()).select_from(first)).scalar() or 0)


def due(db: Database, now: int, busy: Collection[str], limit: int) -> list[Message]:
    """The first message of each target that has one whose time has come, but for targets that are busy."""
    if outbox.name not in db.columns:
        return []
    where = [outbox.c.state == WAITING, outbox.c.next_at <= now]
    if busy:
        where.append(outbox.c.target.not_in(list(busy)))
    first = func.min(outbox.c.id)
    chosen = select(first).where(*where).group_by(outbox.c.target).order_by(first).limit(limit)
    with db.read() as reader:
        ids = [row[0] for row in reader.execute(chosen)]
    rows = crud.listed(db, outbox, [outbox.c.id.in_(ids)], [outbox.c.id]) if ids else []
    return [_message(row) for row in rows]


def _message(row: Row) -> Message:
    try:
        body = orjson.loads(row["body"] or "{}")
    except orjson.JSONDecodeError:
        body = {}
    return Message(
        *(row["id"], row["message"], row["kind"], row["target"], row["about"]),
        body=body if isinstance(body, dict) else {},
        tries=int(row["tries"]),
        created_at=int(row["created_at"]),
    )


def _seen(message: Message) -> list[Any]:
    return [outbox.c.id == message.id, outbox.c.state == WAITING, outbox.c.tries == message.tries]


def claim(db: Database, message: Message, until: int) -> bool:
    """Count a try that is about to be made, and due again at ``until``; false where another process has the message."""
    changed = update(outbox).where(*_seen(message)).values(tries=message.tries + 1, next_at=until)
    return bool(db.write(lambda connection: connection.execute(changed).rowcount))


def sent(db: Database, message: Message, connection: Connection | None = None) -> bool:
    """A claimed message has left: its row goes. ``connection``: with what else belongs to that."""
    where = [outbox.c.id == message.id]
    if connection is not None:
        return bool(crud.remove(db, connection, outbox, where))
    return bool(db.write(lambda own: crud.remove(db, own, outbox, where)))


def failed(db: Database, message: Message, error: str, next_at: int | None) -> None:
    """A claimed message did not leave: when it is tried again, or None: it is dead."""
    values: Row = {"error": error[:255], "state": WAITING if next_at else DEAD, "next_at": next_at or 0}
    where = [outbox.c.id == message.id, outbox.c.tries == message.tries + 1]
    db.write(lambda connection: crud.change(db, connection, outbox, where, values))


def one(db: Database, which: int) -> Row | None:
    """A row by its id."""
    return crud.one(db, outbox, outbox.c.id == which)


def dead(db: Database, *, before: int = 0, limit: int = 50) -> list[Row]:
    """Dead letters before an id (0: the newest), newest first."""
    where = [outbox.c.state == DEAD, *([outbox.c.id < before] if before else [])]
    return crud.listed(db, outbox, where, [outbox.c.id.desc()], limit=limit)


def again(db: Database, which: int) -> bool:
    """Try a dead letter again, from the start."""
    values = {"state": WAITING, "tries": 0, "next_at": int(time.time()), "error": ""}
    where = [outbox.c.id == which, outbox.c.state == DEAD]
    return bool(db.write(lambda connection: crud.change(db, connection, outbox, where, values)))


def drop(db: Database, which: int) -> bool:
    """Forget a dead letter."""
    where = [outbox.c.id == which, outbox.c.state == DEAD]
    return bool(db.write(lambda connection: crud.remove(db, connection, outbox, where)))


def forget(db: Database, before: int) -> int:
    """Drop dead letters that were put in before this moment."""
    if outbox.name not in db.columns:
        return 0
    where = [outbox.c.state == DEAD, outbox.c.created_at < before]
    return db.write(lambda connection: crud.remove(db, connection, outbox, where))
