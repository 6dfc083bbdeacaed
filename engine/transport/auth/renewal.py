"""Tokens are exchanged once for all workers, kept until they end, and renewed before that.

A worker keeps what it knows in memory; what all share lies in a store that is handed in, sealed with a key that only
the credential gives. Of several workers whose token ends one renews, under a lease; the others go on with the old one
while it holds, or wait. Without a store each worker has tokens of its own.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

import orjson

from engine.errors import Unavailable
from engine.jsonbytes import dumps
from engine.transport.auth.exchange import Send, Token, exchanged
from engine.transport.auth.parts import split
from engine.transport.auth.rotation import Home, Renewing, renews
from engine.transport.faults import TransportError

_LEASE = 30.0
_LOOK = 0.05
_REFUSED_FOR = 5.0
_MOST = 4096
_NONCE = 12


class Keep(Protocol):
    """What workers share: values with an end, and one change of several that wins."""

    def get(self, key: str, /) -> bytes | None: ...
    def put(self, key: str, value: bytes, /, ttl: float | None = None) -> None: ...
    def cas(self, key: str, old: bytes | None, new: bytes, /, ttl: float | None = None) -> bool: ...
    def delete(self, key: str, /) -> bool: ...


class Tokens:
    """See the module. Times are unix seconds."""

    def __init__(self, keep: Keep | None = None, clock: Callable[[], float] = time.time) -> None:
        self._keep, self._clock = keep, clock
        self._known: dict[tuple[str, str], Token] = {}
        self._refused: dict[tuple[str, str], tuple[float, TransportError]] = {}
        self._spoilt: set[str] = set()
        self._doubted: set[tuple[str, str]] = set()

    def held(self, auth: Mapping[str, Any], secret: str) -> str | None:
        """A token that is in memory and not to be renewed yet. PERF: all that most calls ask."""
        token = self._known.get((auth["exchange"]["url"], secret))
        return token.text if token is not None and token.renew > self._clock() else None

    def get(self, auth: Mapping[str, Any], secret: str, base_url: str, send: Send, home: Home | None = None) -> str:
        """A token that holds; raises ``TransportError`` where none can be had, for some seconds without asking anew.

        ``home``: where the credential is kept, if an exchange gives the next one; without it none is made.
        """
        name = (auth["exchange"]["url"], secret)
        self._refuse(name)
        try:
            if renews(auth):
                token = self._renewing(auth, secret, base_url, send, home).token(secret)
            else:
                token = self._shared(auth, secret, base_url, send)
        except TransportError as ex:
            if len(self._refused) >= _MOST:
                self._refused.clear()
            self._refused[name] = (self._clock() + _REFUSED_FOR, ex)
            raise
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[name] = token
        self._refused.pop(name, None)
        return token.text

    def _renewing(self, auth: Mapping[str, Any], secret: str, base_url: str, send: Send, home: Home | None) -> Renewing:
        return Renewing(
            auth,
            base_url,
            send,
            home,
            pending=_Pending(self._keep, auth),
            usable=lambda text: text not in self._spoilt,
            doubted=(auth["exchange"]["url"], secret) in self._doubted,
            clock=self._clock,
        )

    def _refuse(self, name: tuple[str, str]) -> None:
        """Raise what was said a moment ago, if that was a refusal."""
        until, why = self._refused.get(name, (0.0, None))
        if why is not None and until > self._clock():
            raise TransportError(why.kind, why.message)

    def spoil(self, auth: Mapping[str, Any], secret: str, text: str) -> None:
        """Forget a token that the provider refused; another that came meanwhile stays."""
        name = (auth["exchange"]["url"], secret)
        if renews(auth):
            self._doubt(name, text)
        token = self._known.get(name)
        if token is not None and token.text == text:
            del self._known[name]
        stored = self._read(auth, secret)
        if self._keep is not None and stored is not None and stored.text == text:
            with suppress(Unavailable):
                self._keep.delete(_mark(auth, secret))

    def _doubt(self, name: tuple[str, str], text: str) -> None:
        """Note that a token was refused, and that the credential it came of may be another by now."""
        if len(self._spoilt) >= _MOST:
            self._spoilt.clear()
            self._doubted.clear()
        self._spoilt.add(text)
        self._doubted.add(name)

    def _shared(self, auth: Mapping[str, Any], secret: str, base_url: str, send: Send) -> Token:
        """The token that all workers have, or one that this worker makes for all of them."""
        if self._keep is None:
            return exchanged(auth, split(auth, secret), base_url, send, self._clock())
        lease, mine = f"{_mark(auth, secret)} lease", os.urandom(8)
        end = time.monotonic() + _LEASE
        while True:
            token, now = self._read(auth, secret), self._clock()
            if token is not None and token.renew > now:
                return token
            if self._wins(lease, mine) or time.monotonic() > end:
                break
            if token is not None and token.until > now:
                return token
            time.sleep(_LOOK)
            self._refuse((auth["exchange"]["url"], secret))
        try:
            # Who had the lease before may have put one there since it was looked for.
            latest = self._read(auth, secret)
            if latest is not None and latest.renew > self._clock():
                return latest
            token = exchanged(auth, split(auth, secret), base_url, send, self._clock())
            with suppress(Unavailable):
                self._keep.put(_mark(auth, secret), _sealed(secret, token), ttl=token.until - self._clock())
        except TransportError:
            if token is not None and token.until > self._clock():
                return token
            raise
        finally:
            with suppress(Unavailable):
                if self._keep.get(lease) == mine:
                    self._keep.delete(lease)
        return token

    def _wins(self, lease: str, mine: bytes) -> bool:
        """Whether the lease is this caller's now; it is where nothing can be shared."""
        assert self._keep is not None
        try:
            return self._keep.cas(lease, None, mine, ttl=_LEASE)
        except Unavailable:
            return True

    def _read(self, auth: Mapping[str, Any], secret: str) -> Token | None:
        if self._keep is None:
            return None
        with suppress(Unavailable):
            sealed = self._keep.get(_mark(auth, secret))
            return None if sealed is None else _opened(secret, sealed)
        return None


class _Pending:
    """Credentials that are to be written still, in what workers share; nowhere, where nothing is shared."""

    def __init__(self, keep: Keep | None, auth: Mapping[str, Any]) -> None:
        self._keep, self._auth = keep, auth

    def get(self, old: str, /) -> str | None:
        if self._keep is None:
            return None
        with suppress(Unavailable):
            sealed = self._keep.get(self._name(old))
            token = None if sealed is None else _opened(old, sealed)
            return None if token is None else token.text
        return None

    def put(self, old: str, new: str, /) -> None:
        if self._keep is not None:
            with suppress(Unavailable):
                self._keep.put(self._name(old), _sealed(old, Token(new, 0.0, 0.0)))

    def drop(self, old: str, /) -> None:
        if self._keep is not None:
            with suppress(Unavailable):
                self._keep.delete(self._name(old))

    def _name(self, old: str) -> str:
        return f"{_mark(self._auth, old)} next"


def _mark(auth: Mapping[str, Any], secret: str) -> str:
    """What a credential's token is called in the store: no secret stands in it."""
    return hashlib.sha256(dumps([auth["exchange"], secret])).hexdigest()


def _key(secret: str) -> bytes:
    return hashlib.sha256(b"token\0" + secret.encode()).digest()


def _sealed(secret: str, token: Token) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(_key(secret)).encrypt(nonce, dumps([token.text, token.renew, token.until]), None)


def _opened(secret: str, sealed: bytes) -> Token | None:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return Token(*orjson.loads(AESGCM(_key(secret)).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)))
    except (InvalidTag, ValueError, TypeError):
        return None
