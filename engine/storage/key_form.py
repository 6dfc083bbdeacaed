"""How the keys of callers lie in ``tokens.key``: in clear, as the family's programs read them, or as keyed hashes.

``KeyForm`` is an open database's: ``kept(bare)`` is what stands in the column for a key. Which form it is, says a fact
of the database (``keys``: the sealed secret of the hashes), so that every process has the same. A hash is 48
characters, as the column is wide: ``gh1.``, the key's last four characters (people tell keys apart by them), and 240
bits of HMAC-SHA256. There is no way back.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection, select

from engine.storage.faults import StatementError
from engine.storage.tables.own import facts
from engine.storage.vault import SealedError, Vault

PREFIX = "gh1."
FACT = "keys"
PLACE = "gatewright_facts.keys"
_SHORT, _TAIL, _DIGEST = 20, 4, 30


class _Database(Protocol):
    """What is needed of the open database."""

    vault: Vault

    @property
    def keys(self) -> KeyForm: ...
    @property
    def columns(self) -> Mapping[str, frozenset[str]]: ...
    def read(self) -> AbstractContextManager[Connection]: ...


class KeyForm:
    """See the module. Without a secret keys are kept in clear."""

    def __init__(self) -> None:
        self._secret = b""
        self._fault = ""

    @property
    def hashed(self) -> bool:
        """Whether this process knows that keys are kept as hashes."""
        return bool(self._secret or self._fault)

    def kept(self, bare: str) -> str:
        """What stands in the column for a key. Raises ``StorageError`` where the secret of the hashes can't be read."""
        if self._fault:
            raise StatementError(self._fault)
        return hashed(self._secret, bare) if self._secret else bare

    def look(self, db: _Database, connection: Connection) -> None:
        """Read which form it is."""
        sealed = connection.execute(select(facts.c.value).where(facts.c.name == FACT)).scalar()
        self._take(db, sealed)

    def _take(self, db: _Database, sealed: str | None) -> None:
        if not sealed:
            return
        try:
            self._secret, self._fault = bytes.fromhex(db.vault.open(str(sealed), PLACE)), ""
        except SealedError as error:
            self._secret, self._fault = b"", f"keys are kept as hashes, and {error}"

    def learn(self, db: _Database, sealed: str | None) -> bool:
        """Take up what the fact says, read with a key that nobody knows; whether it is news to this process."""
        if self._secret or not sealed:
            return False
        self._take(db, sealed)
        return True

    def news(self, db: _Database) -> None:
        """Read how keys are kept, when a database is opened."""
        if facts.name in db.columns:
            with db.read() as reader:
                self.look(db, reader)


def hashed(secret: bytes, bare: str) -> str:
    """A key as its hash."""
    digest = hmac.digest(secret, bare.encode("utf-8", "replace"), hashlib.sha256)[:_DIGEST]
    end = bare[-_TAIL:] if len(bare) >= _SHORT and bare.isascii() else "*" * _TAIL
    return f"{PREFIX}{end}{base64.urlsafe_b64encode(digest).decode()}"


def is_hash(text: str | None) -> bool:
    """Whether what stands in the column is a hash."""
    return str(text or "").startswith(PREFIX)


def tail(text: str) -> str:
    """The last characters of the key that a hash is of."""
    return text[len(PREFIX) : len(PREFIX) + _TAIL]


def for_writing(db: _Database, connection: Connection, bare: str) -> str:
    """What is to be written for a key: looked up in the transaction that writes it."""
    if facts.name in db.columns:
        db.keys.look(db, connection)
    return db.keys.kept(bare)
