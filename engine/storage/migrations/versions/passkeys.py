"""Fourteenth revision: passkeys, several for a person, with those that New API made; and failed calls of an hour."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

from alembic import op
from sqlalchemy import Connection, inspect, select

from engine.storage.tables import METADATA, own
from engine.storage.tables.auth import passkey_credentials as old
from engine.storage.tables.management import hours, passkeys
from engine.storage.upgrade.additions import create

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add tables of ours that are missing; copy passkeys that are not there yet."""
    connection = op.get_bind()
    create(connection, [table for table in METADATA.sorted_tables if table.name.startswith(own.PREFIX)])
    if hours.c.failed.name not in {column["name"] for column in inspect(connection).get_columns(hours.name)}:
        op.add_column(hours.name, hours.c.failed._copy())
    if inspect(connection).has_table(old.name):
        _take_over(connection)


def _take_over(connection: Connection) -> None:
    there = set(connection.execute(select(passkeys.c.hash)).scalars())
    names = ("user_id", "credential_id", "public_key", "sign_count")
    chosen = select(*(old.c[name] for name in names)).where(old.c.deleted_at.is_(None))
    for row in connection.execute(chosen).mappings().all():
        try:
            credential, key = (_raw(row[name]) for name in ("credential_id", "public_key"))
        except (ValueError, binascii.Error):
            continue  # what no browser could have used there
        name = hashlib.sha256(credential).hexdigest()
        if name in there:
            continue
        values: dict[str, Any] = {"user_id": row["user_id"], "hash": name, "name": "Passkey", "asked_for": False}
        values |= {"credential_id": _text(credential), "public_key": _text(key)}
        connection.execute(passkeys.insert().values(**values, sign_count=row["sign_count"] or 0, transports=""))


def _raw(text: str) -> bytes:
    """New API writes base64 with its own two signs, some of its forks those of addresses."""
    text = text.strip().replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
