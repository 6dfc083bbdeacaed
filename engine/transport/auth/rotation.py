"""Credentials of which an exchange gives the next: the provider ends a refresh token when it is used.

Whoever exchanges one writes the next one down in its place before anybody else may, or the account is lost. So one
process of the cluster does, under a lease; the rest take what it wrote. What could not be written (the database is
away, the process is killed) lies in the store that workers share, sealed, and is written by the next who comes. A
credential that an operator set meanwhile stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any, Protocol

import orjson

from engine.errors import Unavailable
from engine.transport.auth.exchange import Send, Token, answered, at, early
from engine.transport.auth.parts import split
from engine.transport.faults import TransportError

_PATIENCE = 30.0
_LOOK = 0.1
_GONE = "the channel's credential was replaced meanwhile"
_HELD_UP = "another process renews the channel's credential, and does not come to an end"
_AWAY = "the channel's credential has to be renewed, and the database that keeps it is away"
_ENDED = "the token of the channel's credential has ended; it is renewed where the channel is called"


class Home(Protocol):
    """Where a credential is kept."""

    def standing(self) -> Iterable[str]:
        """All credentials that stand there now."""

    def replace(self, old: str, new: str) -> bool:
        """Put one in another's place, for good; False where that does not stand there any more."""

    def alone(self) -> AbstractContextManager[bool]:
        """Whether nobody else of the cluster renews it now, nor may until this ends."""


class Pending(Protocol):
    """Credentials that could not be written yet, by those that they follow; sealed under these."""

    def get(self, old: str, /) -> str | None: ...
    def put(self, old: str, new: str, /) -> None: ...
    def drop(self, old: str, /) -> None: ...


def renews(auth: Mapping[str, Any]) -> bool:
    """Whether a credential is good for one exchange."""
    return "renews" in (auth.get("exchange") or ())


@dataclass(frozen=True, slots=True)
class Renewing:
    """What a renewal takes of who wants a token. ``usable``: whether a token was not refused.

    ``doubted``: one of this credential was, so that what stands in its place by now is looked at first.
    """

    auth: Mapping[str, Any]
    base_url: str
    send: Send
    home: Home | None
    pending: Pending
    usable: Callable[[str], bool]
    doubted: bool
    clock: Callable[[], float]

    def token(self, secret: str) -> Token:
        """The token of a credential, or of the one that took its place; raises ``TransportError``."""
        if not self.doubted and (held := self._held(secret)) is not None:
            return held
        if self.home is None:
            raise TransportError("credential", _ENDED)
        try:
            return self._renewed(self.home, secret)
        except Unavailable:
            raise TransportError("invalid", _AWAY) from None

    def _renewed(self, home: Home, secret: str) -> Token:
        """The token of the credential that stands there now, which is renewed here or elsewhere."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            standing = self._standing(home, secret)
            if (held := self._held(standing)) is not None:
                return held
            with home.alone() as alone:
                # What stood there before the lease began may be another's by now.
                if alone and self._standing(home, secret) == standing:
                    token = self._exchanged(home, standing)
                    if token is not None:
                        return token
            time.sleep(_LOOK)
        raise TransportError("invalid", _HELD_UP)

    def _held(self, secret: str) -> Token | None:
        """The token that a credential itself holds, if it may be used still."""
        rule = self.auth["exchange"]
        words = split(self.auth, secret)
        text, until = words.get(rule["renews"]["token"], ""), _moment(words.get(rule["renews"].get("until", ""), ""))
        renew = until - early(rule)
        fit = bool(text) and text.isascii() and text.isprintable() and self.usable(text)
        return Token(text, renew, until) if fit and renew > self.clock() else None

    def _standing(self, home: Home, secret: str) -> str:
        """The credential of the same account as it stands now, with what could not be written before."""
        mine = self._account(secret)
        standing = next((key for key in home.standing() if self._account(key) == mine), None)
        if standing is None:
            raise TransportError("credential", _GONE)
        following = self.pending.get(standing)
        return standing if following is None else self._written(home, standing, following)

    def _account(self, secret: str) -> dict[str, str]:
        """The parts that stay through all renewals."""
        rule = self.auth["exchange"]["renews"]
        changing = {"key", *rule["parts"], *(rule.get("times") or ())}
        names = set(self.auth["key"]["parts"]) - changing
        return {name: text for name, text in split(self.auth, secret).items() if name in names}

    def _exchanged(self, home: Home, standing: str) -> Token | None:
        """A new token, with the next credential written down; nothing where somebody else was first after all."""
        now = self.clock()
        try:
            token, answer = answered(self.auth, split(self.auth, standing), self.base_url, self.send, now)
        except TransportError:
            with suppress(TransportError):
                if self._standing(home, standing) != standing:
                    return None
            raise
        following = _following(self.auth["exchange"]["renews"], standing, answer, token, now)
        self.pending.put(standing, following)
        self._written(home, standing, following)
        return token

    def _written(self, home: Home, standing: str, following: str) -> str:
        """The credential that stands in the end; what can't be written now stays pending."""
        with suppress(Unavailable):
            home.replace(standing, following)
            self.pending.drop(standing)
        return following


def _following(rule: Mapping[str, Any], standing: str, answer: Any, token: Token, now: float) -> str:
    """The next credential: the members that the answer replaces, and times; all others as they were."""
    members = dict(orjson.loads(standing))
    for part, path in rule["parts"].items():
        value = at(answer, path)
        if isinstance(value, str) and value:
            members[part] = value
    for part, which in (rule.get("times") or {}).items():
        moment = datetime.fromtimestamp(token.until if which == "until" else now, UTC)
        members[part] = moment.isoformat(timespec="seconds").replace("+00:00", "Z")
    return orjson.dumps(members).decode()


def _moment(text: str) -> float:
    """Unix seconds of a time in RFC 3339; without end where none is told, over where it can't be read."""
    if not text:
        return inf
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
