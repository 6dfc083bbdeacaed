"""Exchanges that were kept for a time, and the keys whose exchanges are.

Each exchange is encrypted under a key of its own, and that key under CRYPTO_SECRET: a rotation brings the keys under
the newest secret and leaves the exchanges as they lie. Without a secret nothing is kept. Knows no rules.
"""

from __future__ import annotations

import base64
import json
import os
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from engine.errors import Conflict, NotFound
from engine.storage.database import Database
from engine.storage.releases.documents import Author
from engine.storage.rows import crud, trail
from engine.storage.tables.core import tokens
from engine.storage.tables.releases import capture_data, capture_keys, captures
from engine.storage.vault import CAPTURE, SealedError

MOST = 1000
"""Exchanges that are kept of one key, the newest."""
NEEDS_ENCRYPTION = "exchanges are kept encrypted or not at all: set CRYPTO_SECRET"
_NONCE, _KEY_BYTES, _CHUNK = 12, 32, 200


@dataclass(frozen=True, slots=True)
class Captured:
    """An exchange as it is kept: what lists tell of it (``facts``, by column), and what was said (``exchange``)."""

    facts: Mapping[str, Any]
    exchange: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CaptureKey:
    """A key whose exchanges are kept until a moment (Unix seconds): ``share`` of its calls, each for ``days``."""

    token_id: int
    until: int
    share: float = 1.0
    redacted: bool = False
    days: float = 7.0
    created_at: int = 0
    author: Author = field(default_factory=Author)
    name: str = ""
    """What its holder calls it."""

    @property
    def rule(self) -> str:
        """The name that stands with what is kept by it."""
        return f"key:{self.token_id}"


def keep(db: Database, rows: Sequence[Captured], most: Mapping[str, int]) -> None:
    """Store exchanges; ``most``: how many of each rule stay, the newest. Raises ``Conflict`` without a secret."""
    if not db.vault.sealing:
        raise Conflict(NEEDS_ENCRYPTION)
    values = [_sealed(db, row) for row in rows]

    def work(connection: Connection) -> None:
        for row, value in zip(rows, values, strict=True):
            crud.add(db, connection, captures, row.facts)
            crud.add(db, connection, capture_data, value)
        for rule, number in most.items():
            _trim(connection, rule, number)

    db.write(work)


def _sealed(db: Database, row: Captured) -> dict[str, Any]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key, nonce = os.urandom(_KEY_BYTES), os.urandom(_NONCE)
    data = zlib.compress(json.dumps(row.exchange, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    sealed = nonce + AESGCM(key).encrypt(nonce, data, str(row.facts["id"]).encode())
    return {
        "id": row.facts["id"],
        "data_key": db.vault.seal(base64.b64encode(key).decode(), CAPTURE),
        "data": base64.b64encode(sealed).decode(),
    }


def _trim(connection: Connection, rule: str, most: int) -> None:
    chosen = select(captures.c.id).where(captures.c.rule == rule).order_by(captures.c.created_at.desc())
    _remove(connection, [row[0] for row in connection.execute(chosen.offset(most).limit(_CHUNK * 50))])


def _remove(connection: Connection, ids: Sequence[str]) -> int:
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK]
        connection.execute(capture_data.delete().where(capture_data.c.id.in_(part)))
        connection.execute(captures.delete().where(captures.c.id.in_(part)))
    return len(ids)


def listed(db: Database, *, limit: int = 50, before: int = 0, **equal: Any) -> list[dict[str, Any]]:
    """What is known of exchanges, the newest first, without what was said; ``equal``: columns and their values."""
    where = [captures.c[name] == value for name, value in equal.items() if value not in ("", 0, None)]
    where += [captures.c.created_at < before] if before else []
    where += [captures.c.until > int(time.time())]
    return crud.listed(db, captures, where, [captures.c.created_at.desc(), captures.c.id], limit=limit)


def one(db: Database, which: str) -> Captured:
    """An exchange with what was said."""
    row = crud.one(db, captures, captures.c.id == which, captures.c.until > int(time.time()))
    if row is None:
        raise NotFound(f"no exchange {which[:64]} is kept")
    return _opened(db, row)


def newest(db: Database, limit: int) -> list[Captured]:
    """The newest exchanges that can be read; one that was sealed under a secret that is not at hand is left out."""
    opened = []
    for row in listed(db, limit=limit):
        try:
            opened.append(_opened(db, row))
        except SealedError as error:
            db.sealed_out.say([f"exchange {row['id']} is left out: {error}"])
    return opened


def _opened(db: Database, row: crud.Row) -> Captured:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    held = crud.one(db, capture_data, capture_data.c.id == row["id"])
    if held is None:
        raise NotFound(f"no exchange {row['id']} is kept")
    key = base64.b64decode(db.vault.open(held["data_key"] or "", CAPTURE))
    raw = base64.b64decode(held["data"] or "")
    try:
        data = AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], str(row["id"]).encode())
    except InvalidTag:
        raise SealedError(f"{CAPTURE}: the exchange {row['id']} was changed, or belongs to another call") from None
    exchange = json.loads(zlib.decompress(data).decode("utf-8", "surrogatepass"))
    return Captured(row, exchange)


def drop(db: Database, which: str = "", *, rule: str = "") -> int:
    """Delete an exchange, or all of a rule, or all; how many."""
    where = [captures.c.id == which] if which else [captures.c.rule == rule] if rule else []
    return db.write(lambda connection: _drop(connection, where))


def _drop(connection: Connection, where: Sequence[Any]) -> int:
    return _remove(connection, [row[0] for row in connection.execute(select(captures.c.id).where(*where))])


def of_user(connection: Connection, user: int) -> int:
    """Delete all exchanges of a user, in the caller's transaction."""
    return _drop(connection, [captures.c.user_id == user])


def forget(db: Database) -> int:
    """Delete exchanges and keys whose time is over; how many exchanges."""
    if captures.name not in db.columns:
        return 0
    now = int(time.time())

    def work(connection: Connection) -> int:
        crud.remove(db, connection, capture_keys, [capture_keys.c.until <= now])
        return _drop(connection, [captures.c.until <= now])

    return db.write(work)


def watch(db: Database, key: CaptureKey) -> None:
    """Keep a key's exchanges until its moment; every worker knows within a second."""
    if not db.vault.sealing:
        raise Conflict(NEEDS_ENCRYPTION)
    row = {
        "until": key.until,
        "share": key.share,
        "redacted": int(key.redacted),
        "days": key.days,
        "created_at": int(time.time()),
        "user_id": key.author.id,
        "username": key.author.name,
    }

    if crud.one(db, tokens, tokens.c.id == key.token_id, *crud.alive(db, tokens)) is None:
        raise NotFound(f"there is no key {key.token_id}")

    def work(connection: Connection) -> None:
        if not crud.change(db, connection, capture_keys, [capture_keys.c.token_id == key.token_id], row):
            crud.add(db, connection, capture_keys, {"token_id": key.token_id, **row})
        trail.changed(db, connection)

    db.write(work)


def unwatch(db: Database, token_id: int) -> None:
    """Keep a key's exchanges no more; what is kept stays until its time."""

    def work(connection: Connection) -> int:
        trail.changed(db, connection)
        return crud.remove(db, connection, capture_keys, [capture_keys.c.token_id == token_id])

    if not db.write(work):
        raise NotFound(f"nothing is kept for key {token_id}")


def watched(db: Database) -> list[CaptureKey]:
    """The keys whose exchanges are kept now."""
    if capture_keys.name not in db.columns:
        return []
    chosen = (
        select(*capture_keys.c, tokens.c.name.label("token_name"))
        .join(tokens, tokens.c.id == capture_keys.c.token_id, isouter=True)
        .where(capture_keys.c.until > int(time.time()))
        .order_by(capture_keys.c.until)
    )
    with db.read() as connection:
        return [_key(row) for row in connection.execute(chosen).mappings()]


def _key(row: Any) -> CaptureKey:
    return CaptureKey(
        row["token_id"],
        int(row["until"]),
        float(row["share"] or 0),
        bool(row["redacted"]),
        float(row["days"] or 0),
        int(row["created_at"] or 0),
        Author(int(row["user_id"] or 0), str(row["username"] or "")),
        str(row["token_name"] or ""),
    )
