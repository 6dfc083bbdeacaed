"""Holds money for calls under way, so that parallel calls never spend the same balance twice.

``Reserves(db, holds)`` knows balances for a few seconds; what was charged since they were read is subtracted by the
counters that all workers share (``cluster.holds``). ``hold`` gives a ``Reservation`` or refuses; no database write.
Before it refuses it reads the balance once more, at a moment when no commit is under way. Knows no prices.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

from sqlalchemy import bindparam, select

from engine.cluster.holds import Holds, Mark, Want
from engine.cluster.store import LastKnown
from engine.errors import CallError
from engine.ledger.terms import Terms
from engine.storage.database import Database, StorageError
from engine.storage.tables.core import tokens, users

_REMEMBER = 3.0
_BOUND = 20_000
_PATIENCE = 0.5
_PAUSE = 0.004


def user_key(user_id: int) -> int:
    """A user's counter."""
    return user_id * 2 + 2


def token_key(token_id: int) -> int:
    """A key's counter."""
    return token_id * 2 + 3


@dataclass(slots=True)
class Balance:
    """A user's and a key's balance as read, with the moments before reading."""

    user: int
    token: int | None
    marks: tuple[Mark, Mark]
    until: float

    @property
    def least(self) -> int:
        """The smaller of the two."""
        return self.user if self.token is None else min(self.user, self.token)


class Reservation:
    """An amount held for one call until ``settle``, which may be called once or more."""

    __slots__ = ("_holds", "_open", "amount", "token_id", "user_id")

    def __init__(self, holds: Holds | None, user_id: int, token_id: int, amount: int) -> None:
        self._holds = holds
        self._open = True
        self.user_id = user_id
        self.token_id = token_id
        self.amount = amount

    def settle(self, spent: int = 0) -> None:
        """Give back what was held; ``spent`` goes over to what the database will be told."""
        if not self._open:
            return
        self._open = False
        if self._holds is not None and (self.amount or spent):
            keys = (user_key(self.user_id), token_key(self.token_id))
            self._holds.settle(self.user_id, keys, self.amount, spent)


class Reserves:
    """See the module. ``away`` tells whether the ledger finds the database away."""

    def __init__(
        self,
        db: Database,
        holds: Holds,
        *,
        away: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], None] = time.sleep,
        last: LastKnown | None = None,
    ) -> None:
        self._db = db
        self._holds = holds
        self._away = away
        self._sleep = sleep
        self._known: dict[tuple[int, int], Balance] = {}
        self._swept = 0.0
        self._last = last
        self.patience = 0.0
        """Seconds for which a balance that a worker knew is believed while the database is away."""

    def least(self, user_id: int, token_id: int) -> int:
        """About what the account has left."""
        return self._balance(user_id, token_id)[0].least

    def hold(self, user_id: int, token_id: int, amount: int, terms: Terms) -> Reservation:
        """Reserve, or raise a ``CallError``."""
        if amount <= 0:
            return Reservation(self._holds, user_id, token_id, 0)
        balance, away = self._balance(user_id, token_id)
        if away or self._away():
            self._exposed(user_id, token_id, amount, terms)
        lacking = self._take(user_id, token_id, amount, balance, terms)
        if lacking is not None:
            self._insist(user_id, token_id, amount, terms)
        return Reservation(self._holds, user_id, token_id, amount)

    def adopt(self, user_id: int, token_id: int, amount: int) -> Reservation:
        """Hold for a call that was let in before, whatever the balance is by now."""
        wants = (Want(user_key(user_id)), Want(token_key(token_id)))
        held = amount if self._holds.take(user_id, wants, amount) is None else 0
        return Reservation(self._holds, user_id, token_id, held)

    def _take(self, user_id: int, token_id: int, amount: int, balance: Balance, terms: Terms) -> int | None:
        first, second = balance.marks
        enforced = terms.enforce
        wants = (
            Want(user_key(user_id), balance.user if enforced else None, first),
            Want(token_key(token_id), balance.token, second),
        )
        return self._holds.take(user_id, wants, amount)

    def _insist(self, user_id: int, token_id: int, amount: int, terms: Terms) -> None:
        """What is known may be out of date: look again until it is certain that there is too little."""
        end, pause = time.monotonic() + _PATIENCE, _PAUSE
        while True:
            if time.monotonic() - self._swept > 0.2:
                self._swept = time.monotonic()
                self._holds.sweep()
            self._known.pop((user_id, token_id), None)
            balance, away = self._balance(user_id, token_id)
            lacking = self._take(user_id, token_id, amount, balance, terms)
            if lacking is None:
                return
            marks = balance.marks
            after = self._marks(user_id, token_id)
            calm = all(not one.spent and one.committed == two.committed for one, two in zip(marks, after, strict=True))
            if calm or away or time.monotonic() > end:
                raise _refusal(lacking, balance, amount)
            self._sleep(pause)
            pause *= 2

    def _exposed(self, user_id: int, token_id: int, amount: int, terms: Terms) -> None:
        """While the database is away, a key may owe no more than the policy's exposure."""
        if not terms.serve_away or self._holds.open(user_id, token_key(token_id)) + amount > terms.exposure:
            raise CallError(
                "unavailable", "the gateway's database is away, and this key may not go on without it", wait=5
            )

    def _balance(self, user_id: int, token_id: int) -> tuple[Balance, bool]:
        """What the account has, and whether that is old because the database is away."""
        known = self._known.get((user_id, token_id))
        now = time.monotonic()
        if known is not None and now < known.until:
            return known, False
        marks = self._marks(user_id, token_id)
        if known is not None and self.patience:  # while one call asks, others of this key need not wait
            known.until = now + _REMEMBER
        try:
            row = self._query().one(token=token_id, user=user_id)
        except StorageError:
            known = known or self._known_elsewhere(user_id, token_id)
            if known is None:
                raise
            known.until = now + 1.0
            self._known[user_id, token_id] = known
            return known, True
        quota, remain, unlimited = row or (0, 0, False)
        found = Balance(quota or 0, None if unlimited else remain or 0, marks, now + _REMEMBER)
        if self._last is not None and self.patience:
            held = [found.user, found.token, *(astuple(mark) for mark in marks)]
            self._last.keep(f"{user_id}:{token_id}", held, self.patience)
        if len(self._known) >= _BOUND:
            self._known.clear()
        self._known[user_id, token_id] = found
        return found, False

    def _known_elsewhere(self, user_id: int, token_id: int) -> Balance | None:
        """The balance that another worker read last."""
        held = self._last.get(f"{user_id}:{token_id}") if self._last is not None and self.patience else None
        return None if held is None else Balance(held[0], held[1], (Mark(*held[2]), Mark(*held[3])), 0.0)

    def _marks(self, user_id: int, token_id: int) -> tuple[Mark, Mark]:
        return self._holds.mark(user_id, user_key(user_id)), self._holds.mark(user_id, token_key(token_id))

    def _query(self) -> Any:
        query = self._db.prepared.get("balance")
        if query is None:
            chosen = select(users.c.quota, tokens.c.remain_quota, tokens.c.unlimited_quota)
            chosen = chosen.select_from(users.join(tokens, tokens.c.user_id == users.c.id))
            chosen = chosen.where(tokens.c.id == bindparam("token"), users.c.id == bindparam("user"))
            query = self._db.prepared["balance"] = self._db.query(chosen)
        return query


def _refusal(lacking: int, balance: Balance, amount: int) -> CallError:
    if lacking == 0:
        return CallError(
            "quota",
            f"the account's balance of {balance.user} units can't hold the {amount} that this call may cost besides"
            " what is under way; top it up, or ask for fewer tokens",
            code="insufficient_user_quota",
        )
    return CallError(
        "quota",
        f"this API key's quota of {balance.token} units can't hold the {amount} that this call may cost besides what"
        " is under way; raise it, or ask for fewer tokens",
        code="insufficient_quota",
    )
