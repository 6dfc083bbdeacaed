"""The ``options`` table: settings that consoles of the family keep in the database, every value as text."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from engine.storage.database import Database
from engine.storage.releases import rows
from engine.storage.releases.documents import Author
from engine.storage.rows import crud
from engine.storage.tables.core import options
from engine.storage.tables.releases import row_revisions
from engine.storage.vault import OPTION, PREFIX


def load(db: Database) -> dict[str, str]:
    """All options, as documents pin them and as rows say."""
    return {**stored(db), **{name: text for name, (text, _) in db.pinned.items()}}


def stored(db: Database) -> dict[str, str]:
    """The rows of options; one that is missing or unreadable means the default, which is the reader's to know."""
    with db.read() as connection:
        pairs = connection.execute(select(options.c.key, options.c.value)).all()
    options_read, left_out = db.vault.open_each(pairs, OPTION, "option")
    db.left_out.say(left_out)
    return options_read


def held(db: Database, connection: Connection, name: str) -> str | None:
    """The value of an option that is about to be changed; nothing where there is no row."""
    value = connection.execute(select(options.c.value).where(options.c.key == name).with_for_update()).scalar()
    return None if value is None else db.vault.open(value, OPTION)


def put(db: Database, connection: Connection, name: str, value: str, by: Author, *, secret: bool) -> None:
    """Store an option and what it was, inside the caller's transaction."""
    before = connection.execute(select(options.c.value).where(options.c.key == name)).scalar()
    stored = db.vault.seal(value, OPTION) if secret else value
    if not crud.change(db, connection, options, [options.c.key == name], {"value": stored}):
        crud.add(db, connection, options, {"key": name, "value": stored})
    _noted(db, connection, name, before, value, by, secret=secret)


def _noted(
    db: Database, connection: Connection, name: str, before: str | None, after: str | None, by: Author, *, secret: bool
) -> None:
    if secret:
        before = None if before is None else rows.hidden(db.vault.open(before, OPTION))
        after = None if after is None else rows.hidden(after)
    rows.record(db, connection, rows.OPTION, name, name, before, after, by)


def last_changes(db: Database) -> dict[str, tuple[int, int]]:
    """When each option was changed last, and by which user."""
    if row_revisions.name not in db.columns:
        return {}
    table = row_revisions.c
    latest = select(func.max(table.id)).where(table.kind == rows.OPTION).group_by(table.name)
    chosen = select(table.name, table.created_at, table.user_id).where(table.id.in_(latest))
    with db.read() as connection:
        changes = connection.execute(chosen).all()
    return {str(name): (int(moment or 0), int(user or 0)) for name, moment, user in changes}


def drop(db: Database, connection: Connection, names: list[str], by: Author) -> int:
    """Back to what they are without a row."""
    for name, before in connection.execute(select(options.c.key, options.c.value).where(options.c.key.in_(names))):
        _noted(db, connection, name, before, None, by, secret=before.startswith(PREFIX))
    return crud.remove(db, connection, options, [options.c.key.in_(names)])
