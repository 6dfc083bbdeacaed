"""Secrets in the database, encrypted where CRYPTO_SECRET is set; read in both forms.

``Vault(secret, *older).seal(text, place)`` gives ``gw1.<key id>.<nonce and ciphertext>`` (AES-256-GCM; ``place``, such
as ``channels.key``, is bound into it), or the text itself where no secret is set. ``open`` gives the text back, of
plain ones too. Without a secret everything stays as the family's programs store and read it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from engine.errors import Internal

PREFIX = "gw1."
CHANNEL_KEY, OPTION, DOCUMENT_SECRET = "channels.key", "options.value", "gatewright_secrets.value"
WEBHOOK = "gatewright_webhooks.secret"
CAPTURE = "gatewright_capture_data.data_key"
_SALT = b"gatewright secrets at rest, 1"
_NONCE = 12


class SealedError(Internal):
    """A secret is encrypted under a key that is not at hand, or was tampered with."""


class Vault:
    """See the module. ``older`` are secrets of before, for reading only.

    Their keys are made here, while a process starts, so that nobody waits for them later.
    """

    def __init__(self, secret: str, *older: str) -> None:
        self._keys = [_key(text) for text in (secret, *older) if text]
        self.sealing = bool(secret)

    def seal(self, text: str, place: str) -> str:
        """Encrypt, under the newest secret; empty text stays empty."""
        if not self.sealing or not text or self.current(text):
            return text
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        name, key = self._keys[0]
        nonce = os.urandom(_NONCE)
        sealed = nonce + AESGCM(key).encrypt(nonce, text.encode(), place.encode())
        return f"{PREFIX}{name}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, text: str, place: str) -> str:
        """The secret itself."""
        if not text.startswith(PREFIX):
            return text
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        name, _, sealed = text.removeprefix(PREFIX).partition(".")
        keys = dict(self._keys)
        if name not in keys:
            what = "CRYPTO_SECRET is not the one that it was encrypted with" if keys else "CRYPTO_SECRET is not set"
            raise SealedError(f"{place}: {what}")
        try:
            raw = base64.b64decode(sealed, altchars=b"-_", validate=True)
            return AESGCM(keys[name]).decrypt(raw[:_NONCE], raw[_NONCE:], place.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise SealedError(f"{place}: the encrypted text was changed, or belongs to another place") from None

    def open_each(self, rows: Iterable[Sequence[Any]], place: str, what: str) -> tuple[dict[str, str], list[str]]:
        """Texts by name, of rows of name and text; and of those that can't be opened, the words for the log."""
        texts: dict[str, str] = {}
        left_out: list[str] = []
        for name, text in rows:
            try:
                texts[str(name)] = self.open(text or "", place)
            except SealedError as error:
                left_out.append(f"{what} {name} is left out: {error}")
        return texts, left_out

    def current(self, text: str) -> bool:
        """Whether a text is encrypted under the newest secret."""
        return self.sealing and text.startswith(f"{PREFIX}{self._keys[0][0]}.")


class Cipher:
    """Bytes under one secret; ``name`` tells which, without telling it."""

    def __init__(self, secret: str) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self.name, key = _key(secret)
        self._cipher = AESGCM(key)

    def seal(self, data: bytes, place: str) -> bytes:
        """Encrypt; ``place`` is bound into it."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, data, place.encode())

    def open(self, data: bytes, place: str) -> bytes:
        """The bytes themselves."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(data[:_NONCE], data[_NONCE:], place.encode())
        except InvalidTag:
            raise SealedError(f"{place}: the encrypted bytes were changed, or belong to another place") from None


def derived(secret: str, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose, which tells nothing of the secret's other keys; none where none is set."""
    return hmac.digest(_key(secret)[1], purpose.encode(), "sha256") if secret else b""


def sealed(text: str | None) -> bool:
    """Whether a text is an encrypted one."""
    return bool(text) and str(text).startswith(PREFIX)


@lru_cache(maxsize=16)
def _key(secret: str) -> tuple[str, bytes]:
    """A secret's short name and the key made of it. PERF: 50 ms, once in a process and what it forks."""
    key = hashlib.scrypt(secret.encode(), salt=_SALT, n=2**14, r=8, p=1, dklen=32)
    return hashlib.sha256(b"name" + key).hexdigest()[:8], key
