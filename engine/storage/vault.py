"""Secrets in the database, encrypted where CRYPTO_SECRET is set; read in both forms.

``Vault(secret, *older).seal(text, place)`` gives ``gw1.<key id>.<nonce and ciphertext>`` (AES-256-GCM; ``place``, such
as ``channels.key``, is bound into it), or the text itself where no secret is set. ``open`` gives the text back, of
plain ones too. Without a secret everything stays as the family's programs store and read it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from functools import lru_cache

from engine.storage.dsn import StorageError

PREFIX = "gw1."
CHANNEL_KEY, OPTION = "channels.key", "options.value"
_SALT = b"gatewright secrets at rest, 1"
_NONCE = 12


class SealedError(StorageError):
    """A secret is encrypted under a key that is not at hand, or was tampered with."""


class Vault:
    """See the module. ``older`` are secrets of before, for reading only."""

    def __init__(self, secret: str, *older: str) -> None:
        self._secrets = tuple(one for one in (secret, *older) if one)
        self.sealing = bool(secret)

    def seal(self, text: str, place: str) -> str:
        """Encrypt, under the newest secret; empty text stays empty."""
        if not self.sealing or not text or self.current(text):
            return text
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        name, key = _key(self._secrets[0])
        nonce = os.urandom(_NONCE)
        made = nonce + AESGCM(key).encrypt(nonce, text.encode(), place.encode())
        return f"{PREFIX}{name}.{base64.urlsafe_b64encode(made).decode()}"

    def open(self, text: str, place: str) -> str:
        """The secret itself."""
        if not text.startswith(PREFIX):
            return text
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        name, _, held = text.removeprefix(PREFIX).partition(".")
        keys = dict(_key(secret) for secret in self._secrets)
        if name not in keys:
            what = "CRYPTO_SECRET is not the one that it was encrypted with" if keys else "CRYPTO_SECRET is not set"
            raise SealedError(f"{place}: {what}")
        try:
            raw = base64.b64decode(held, altchars=b"-_", validate=True)
            return AESGCM(keys[name]).decrypt(raw[:_NONCE], raw[_NONCE:], place.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise SealedError(f"{place}: the encrypted text was changed, or belongs to another place") from None

    def current(self, text: str) -> bool:
        """Whether a text is encrypted under the newest secret."""
        return self.sealing and text.startswith(f"{PREFIX}{_key(self._secrets[0])[0]}.")


def sealed(text: str | None) -> bool:
    """Whether a text is an encrypted one."""
    return bool(text) and str(text).startswith(PREFIX)


@lru_cache(maxsize=16)
def _key(secret: str) -> tuple[str, bytes]:
    """A secret's short name and the key made of it. PERF: 50 ms, once for each secret of a process."""
    key = hashlib.scrypt(secret.encode(), salt=_SALT, n=2**14, r=8, p=1, dklen=32)
    return hashlib.sha256(b"name" + key).hexdigest()[:8], key
