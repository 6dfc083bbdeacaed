"""Every secret of a database brought under the newest CRYPTO_SECRET, or back to plain text; and how they stand.

``rotate(db, older)`` and ``uncover(db, older)`` work in one transaction and change all or nothing: a secret that can't
be read ends them before anything is written. Takes the database with its vault; knows no settings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, select, update

from engine.storage.database import Database, StorageError
from engine.storage.tables.auth import custom_oauth_providers, two_fas
from engine.storage.tables.core import channels, options
from engine.storage.vault import CHANNEL_KEY, OPTION, SealedError, Vault, sealed

_ENDINGS = ("token", "secret", "key")


@dataclass(frozen=True, slots=True)
class _Place:
    """A column of secrets. ``most`` is what it holds."""

    name: str
    identity: Column[Any]
    column: Column[Any]
    most: int = 0


_PLACES = (
    _Place(CHANNEL_KEY, channels.c.id, channels.c.key),
    _Place(OPTION, options.c.key, options.c.value),
    _Place(
        "custom_oauth_providers.client_secret", custom_oauth_providers.c.id, custom_oauth_providers.c.client_secret, 512
    ),
    _Place("two_fas.secret", two_fas.c.id, two_fas.c.secret, 255),
)


def is_secret(option: str) -> bool:
    """Whether an option of this name holds a secret."""
    return option.lower().endswith(_ENDINGS)


def status(db: Database) -> dict[str, dict[str, int]]:
    """For each place, how many secrets are plain, encrypted under the newest secret, older, or unreadable."""
    found: dict[str, dict[str, int]] = {}
    with db.read() as connection:
        for place in _there(db):
            counts: Counter[str] = Counter()
            for _, text in _rows(connection, place):
                counts[_state(db.vault, text, place.name)] += 1
            found[place.name] = dict(counts)
    return found


def _state(vault: Vault, text: str, place: str) -> str:
    if not sealed(text):
        return "plain"
    try:
        vault.open(text, place)
    except SealedError:
        return "unreadable"
    return "encrypted" if vault.current(text) else "older"


def rotate(db: Database, secret: str, older: Iterable[str]) -> int:
    """Bring every secret under ``secret``; how many were changed."""
    if not secret:
        raise StorageError("CRYPTO_SECRET is not set: there is nothing to encrypt with")
    return db.write(lambda connection: _rewritten(db, connection, Vault(secret, *older), Vault(secret)))


def uncover(db: Database, secret: str, older: Iterable[str]) -> int:
    """Store every secret as plain text again, as the family's programs do; how many were changed."""
    return db.write(lambda connection: _rewritten(db, connection, Vault(secret, *older), Vault("")))


def _rewritten(db: Database, connection: Connection, reading: Vault, writing: Vault) -> int:
    count = 0
    for place in _there(db):
        for identity, text in _rows(connection, place):
            try:
                fresh = text if writing.current(text) else writing.seal(reading.open(text, place.name), place.name)
            except SealedError as error:
                raise StorageError(f"{error} (row {identity}); nothing was changed") from None
            if fresh == text:
                continue
            if place.most and len(fresh) > place.most:
                raise StorageError(f"{place.name}: row {identity} would not fit into its column; nothing was changed")
            same = (place.identity == identity, place.column == text)
            if connection.execute(update(place.column.table).where(*same).values({place.column: fresh})).rowcount != 1:
                raise StorageError(f"{place.name}: row {identity} was changed meanwhile; try again")
            count += 1
    return count


def _there(db: Database) -> Iterator[_Place]:
    for place in _PLACES:
        if place.column.name in db.columns.get(place.column.table.name, ()):
            yield place


def _rows(connection: Connection, place: _Place) -> list[tuple[Any, str]]:
    rows = connection.execute(select(place.identity, place.column).order_by(place.identity)).all()
    wanted = place.name != OPTION
    return [(row[0], row[1]) for row in rows if row[1] and (wanted or is_secret(row[0]))]
