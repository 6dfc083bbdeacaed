"""A call that makes something and may be sent twice: the second one gets the answer of the first.

What was answered may hold a secret (a new key), so it is kept encrypted under the caller's own idempotency key and the
session secret, for a day. Of a call that was cut short nobody knows what it did: that is said, and nothing is repeated.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import Any

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.errors import Conflict, Invalid
from engine.storage.database import Database
from engine.storage.rows.api import once as rows
from engine.texts import refusal

_NONCE = 12


class Claim:
    """One call by its user, place (method and path), key and body."""

    def __init__(self, db: Database, secret: bytes, user: int, place: str, key: str, body: bytes) -> None:
        text = f"{user}\n{place}\n{key}".encode()
        self._db = db
        self._name = hashlib.sha256(text).hexdigest()
        self._request = hashlib.sha256(body).hexdigest()
        self._box = AESGCM(hmac.new(secret, b"once\n" + text, hashlib.sha256).digest())

    def take(self) -> Any:
        """Begin; the first call's answer where there was one. Raises ``Invalid`` for another body, ``Conflict``."""
        row = rows.claim(self._db, self._name, self._request)
        if row is None:
            return None
        if row["request"] != self._request:
            raise refusal(Invalid, "v2.again.other", field="Idempotency-Key")
        if not row["answer"]:
            raise refusal(Conflict, "v2.again.unknown")
        raw = base64.b64decode(row["answer"])
        return orjson.loads(self._box.decrypt(raw[:_NONCE], raw[_NONCE:], None))

    def keep(self, answer: Any) -> None:
        """Note what was answered."""
        nonce = os.urandom(_NONCE)
        sealed = self._box.encrypt(nonce, orjson.dumps(answer, default=str), None)
        rows.keep(self._db, self._name, base64.b64encode(nonce + sealed).decode())

    def drop(self) -> None:
        """Nothing was made."""
        rows.drop(self._db, self._name)
