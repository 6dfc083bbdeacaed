"""Who has called lately, by the ledger, and the keys that were called with."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.crud import Row
from engine.storage.tables.core import tokens
from engine.storage.tables.ledger import ledger
from engine.storage.values import ENABLED

_CHUNK, _MOST = 500, 1_000


def since(db: Database, at: int) -> tuple[set[int], set[int]]:
    """Users and keys of calls that were booked for moments since then (unix s)."""
    chosen = select(ledger.c.user_id, ledger.c.token_id).where(ledger.c.created_at >= at).distinct()
    with db.read() as reader:
        pairs = reader.execute(chosen).all()
    return {int(row[0]) for row in pairs if row[0]}, {int(row[1]) for row in pairs if row[1]}


def keys(db: Database, ids: Sequence[int]) -> list[Row]:
    """The keys of these ids that are there."""
    rows: list[Row] = []
    for start in range(0, len(ids), _CHUNK):
        where = [tokens.c.id.in_(list(ids[start : start + _CHUNK])), *crud.alive(db, tokens)]
        rows += crud.listed(db, tokens, where, [tokens.c.id])
    return rows


def ending(db: Database, after: int, until: int) -> list[Row]:
    """Enabled keys that end between these moments, the next first."""
    where = [tokens.c.expired_time > after, tokens.c.expired_time <= until, tokens.c.status == ENABLED]
    return crud.listed(db, tokens, [*where, *crud.alive(db, tokens)], [tokens.c.expired_time], limit=_MOST)
