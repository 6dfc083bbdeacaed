"""The ``options`` table: settings that consoles of the family keep in the database, every value as text."""

from __future__ import annotations

from sqlalchemy import select

from engine.storage.database import Database
from engine.storage.tables.core import options
from engine.storage.vault import OPTION, SealedError


def load(db: Database) -> dict[str, str]:
    """All options; a missing row means the default, which is the reader's to know; so does what can't be decrypted."""
    with db.read() as connection:
        rows = connection.execute(select(options.c.key, options.c.value)).all()
    found: dict[str, str] = {}
    left_out: list[str] = []
    for key, value in rows:
        try:
            found[str(key)] = db.vault.open(value or "", OPTION)
        except SealedError as error:
            left_out.append(f"option {key} is left out: {error}")
    db.left_out.say(left_out)
    return found
