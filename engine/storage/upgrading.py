"""``upgrade(db)``: brings any database of the family to the newest schema in place, by adding only, and imports.

Two processes may ask at once: one works, the other finds nothing left to do. Gives an ``Upgraded``. The old program
still runs on the database afterwards. Knows the order of things; how they are added is ``additions``, what is carried
over is ``imports``.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from engine.storage import imports, migrations
from engine.storage.additions import Added, complete
from engine.storage.database import Database, StorageError
from engine.storage.origin import NEW, OLD


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What was added, what each step of the import did, and what could not be added."""

    tables: tuple[str, ...]
    columns: tuple[str, ...]
    indexes: tuple[str, ...]
    left: tuple[str, ...]
    steps: dict[str, str]


def upgrade(db: Database, numbering: str = "") -> Upgraded:
    """Add what is missing and import, under the migration lock. ``numbering`` decides for rows without a mark."""
    if numbering not in ("", NEW, OLD):
        raise StorageError(f"numbering {numbering!r} is unknown; expected {NEW} or {OLD}")
    migrations.bring_up(db)

    def work(connection: Connection) -> tuple[Added, dict[str, str]]:
        added = complete(connection)
        if numbering:
            imports.note_channels(connection, numbering)
        return added, imports.run(connection)

    with db.read() as connection, migrations.locked(connection):
        added, steps = db.write(work)
    db.look()
    return Upgraded(tuple(added.tables), tuple(added.columns), tuple(added.indexes), tuple(added.left), steps)
