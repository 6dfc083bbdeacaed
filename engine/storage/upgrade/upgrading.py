"""``upgrade(db)``: brings any database of the family to the newest schema in place, by adding only, and imports.

Two processes may ask at once: one works, the other finds nothing left to do. Gives an ``Upgraded``. The old program
still runs on the database afterwards. Knows the order of things; how they are added is ``additions``, what is carried
over is ``imports``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from engine.errors import Invalid
from engine.storage import migrations
from engine.storage.database import Database
from engine.storage.tables.own import facts
from engine.storage.upgrade import imports
from engine.storage.upgrade.additions import Added, complete
from engine.storage.upgrade.origin import NEW, OLD

_STAMP = "upgraded"


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What was added, what each step of the import did, and what could not be added; ``migrated``: our own tables were
    brought to the newest revision."""

    migrated: bool
    tables: tuple[str, ...]
    columns: tuple[str, ...]
    indexes: tuple[str, ...]
    left: tuple[str, ...]
    steps: dict[str, str]

    @property
    def nothing(self) -> bool:
        """Whether there was nothing to do."""
        return not (self.migrated or self.tables or self.columns or self.indexes or self.left or self.steps)


def upgrade(db: Database, numbering: str = "") -> Upgraded:
    """Add what is missing and import, under the migration lock. ``numbering`` decides for rows without a mark."""
    if numbering not in ("", NEW, OLD):
        raise Invalid("numbering", f"numbering {numbering!r} is unknown", f"expected {NEW} or {OLD}")
    migrated = migrations.bring_up(db)

    def work(connection: Connection) -> tuple[Added, dict[str, str]]:
        added = complete(connection)
        if numbering:
            imports.note_channels(connection, numbering)
        steps = imports.run(connection)
        if added.columns or added.tables:
            connection.execute(delete(facts).where(facts.c.name == _STAMP))
            connection.execute(facts.insert().values(name=_STAMP, value=str(time.time())))
        return added, steps

    added, steps = migrations.alone(db, work)
    db.look()
    db.prepared.clear()
    tables, columns, indexes, left = map(tuple, (added.tables, added.columns, added.indexes, added.left))
    return Upgraded(migrated, tables, columns, indexes, left, steps)


def notice(db: Database) -> bool:
    """Take up what an upgrade by another process has added since the last look; true if there was one."""
    with db.read() as connection:
        stamp = connection.execute(select(facts.c.value).where(facts.c.name == _STAMP)).scalar() or ""
    if stamp == db.stamp:
        return False
    db.look()
    db.prepared.clear()
    db.stamp = stamp
    return True
