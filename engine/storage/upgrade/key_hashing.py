"""Turns a database over to keys that are kept as hashes. There is no way back, and the family's programs can't follow.

``turn_over(db)`` works in one transaction. Calls go on meanwhile: a worker that knows nothing of it yet asks again
before it refuses a key (``engine.storage.rows.accounts``). Older versions of this program are shut out.
"""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, bindparam, insert, select, update

from engine.errors import Invalid
from engine.storage import key_form
from engine.storage.database import Database
from engine.storage.migrations import NEEDS
from engine.storage.tables.core import tokens
from engine.storage.tables.own import facts

_KNOWN_SINCE = "0018"
"""The first revision whose program reads hashes."""
_SECRET, _PART = 32, 1000


def turn_over(db: Database) -> int:
    """Hash every key that is kept in clear, the deleted ones too; how many there were.

    Raises ``Invalid`` where no CRYPTO_SECRET is set, which the secret of the hashes is kept under.
    """
    if not db.vault.sealing:
        what = "CRYPTO_SECRET is not set: the secret of the hashes is kept under it; set it for every process first"
        raise Invalid("CRYPTO_SECRET", what)
    return db.write(lambda connection: _hash_all(db, connection))


def _hash_all(db: Database, connection: Connection) -> int:
    db.keys.look(db, connection)
    if not db.keys.hashed:
        sealed = db.vault.seal(secrets.token_bytes(_SECRET).hex(), key_form.PLACE)
        _note(connection, key_form.FACT, sealed)
        _need(connection)
        db.keys.look(db, connection)
    rows = connection.execute(select(tokens.c.id, tokens.c.key).order_by(tokens.c.id)).all()
    clear = [(row[0], str(row[1]).rstrip()) for row in rows if row[1] and not key_form.is_hash(row[1])]
    changed = update(tokens).where(tokens.c.id == bindparam("which")).values(key=bindparam("hash"))
    for start in range(0, len(clear), _PART):
        part = clear[start : start + _PART]
        connection.execute(changed, [{"which": number, "hash": db.keys.kept(key)} for number, key in part])
    return len(clear)


def _need(connection: Connection) -> None:
    """Say that older versions can't run here any more."""
    before = connection.execute(select(facts.c.value).where(facts.c.name == NEEDS)).scalar()
    if before is None:
        _note(connection, NEEDS, _KNOWN_SINCE)
    elif str(before) < _KNOWN_SINCE:
        connection.execute(update(facts).where(facts.c.name == NEEDS).values(value=_KNOWN_SINCE))


def _note(connection: Connection, name: str, value: str) -> None:
    connection.execute(insert(facts).values(name=name, value=value))
