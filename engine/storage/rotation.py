"""Every secret of a database brought under the newest CRYPTO_SECRET, or back to plain text; and how they stand.

``rotate(db, older)`` and ``uncover(db, older)`` work in one transaction and change all or nothing: a secret that can't
be read ends them before anything is written. Takes the database with its vault; knows no settings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, select, update

from engine.errors import Conflict, Invalid
from engine.storage import key_form
from engine.storage.database import Database
from engine.storage.tables.auth import custom_oauth_providers, two_fas
from engine.storage.tables.core import channels, options
from engine.storage.tables.outbox import webhooks
from engine.storage.tables.own import facts
from engine.storage.tables.releases import capture_data, secrets
from engine.storage.vault import CAPTURE, CHANNEL_KEY, DOCUMENT_SECRET, OPTION, WEBHOOK, SealedError, Vault, sealed

_ENDINGS = ("token", "secret", "key")


@dataclass(frozen=True, slots=True)
class _Place:
    """A column of secrets. ``most`` is what it holds; ``among`` says of which rows, by their identity."""

    name: str
    identity: Column[Any]
    column: Column[Any]
    most: int = 0
    among: Callable[[Any], bool] = lambda _: True


def is_secret(option: str) -> bool:
    """Whether an option of this name holds a secret."""
    return option.lower().endswith(_ENDINGS)


_PLACES = (
    _Place(CHANNEL_KEY, channels.c.id, channels.c.key),
    _Place(OPTION, options.c.key, options.c.value, among=is_secret),
    _Place(key_form.PLACE, facts.c.name, facts.c.value, among=lambda name: name == key_form.FACT),
    _Place(DOCUMENT_SECRET, secrets.c.name, secrets.c.value),
    _Place(WEBHOOK, webhooks.c.id, webhooks.c.secret),
    _Place(CAPTURE, capture_data.c.id, capture_data.c.data_key),
    _Place(
        "custom_oauth_providers.client_secret", custom_oauth_providers.c.id, custom_oauth_providers.c.client_secret, 512
    ),
    _Place("two_fas.secret", two_fas.c.id, two_fas.c.secret, 255),
)


def status(db: Database) -> dict[str, dict[str, int]]:
    """For each place, how many secrets are plain, encrypted under the newest secret, older, or unreadable."""
    totals: dict[str, dict[str, int]] = {}
    with db.read() as connection:
        for place in _there(db):
            counts: Counter[str] = Counter()
            for _, text in _rows(connection, place):
                counts[_state(db.vault, text, place.name)] += 1
            totals[place.name] = dict(counts)
    return totals


def texts(db: Database, connection: Connection) -> Iterator[tuple[str, str]]:
    """Every secret as it stands there, with its place."""
    for place in _there(db):
        yield from ((place.name, text) for _, text in _rows(connection, place))


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
        raise Invalid("CRYPTO_SECRET", "CRYPTO_SECRET is not set: there is nothing to encrypt with")
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
                raise SealedError(f"{error} (row {identity}); nothing was changed") from None
            if fresh == text:
                continue
            if place.most and len(fresh) > place.most:
                raise Conflict(f"{place.name}: row {identity} would not fit into its column; nothing was changed")
            same = (place.identity == identity, place.column == text)
            if connection.execute(update(place.column.table).where(*same).values({place.column: fresh})).rowcount != 1:
                raise Conflict(f"{place.name}: row {identity} was changed meanwhile; try again")
            count += 1
    return count


def _there(db: Database) -> Iterator[_Place]:
    for place in _PLACES:
        if place.column.name in db.columns.get(place.column.table.name, ()):
            yield place


def _rows(connection: Connection, place: _Place) -> list[tuple[Any, str]]:
    rows = connection.execute(select(place.identity, place.column).order_by(place.identity)).all()
    return [(row[0], row[1]) for row in rows if row[1] and place.among(row[0])]
