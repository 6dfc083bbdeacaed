"""Holds money for calls under way, so that parallel calls never spend the same balance twice.

``Reserves(db, holds)`` knows balances for a few seconds; what was charged since they were read is subtracted by the
counters that all workers share (``cluster.holds``). ``hold`` gives a ``Reservation`` or refuses; no database write.
Before it refuses it reads the balance once more, at a moment when no commit is under way. What pays is the user's
balance or one of its plans (``plan``, a row of ``user_subscriptions``); which, is ``engine.ledger.funding``'s to say.
Knows no prices.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

from sqlalchemy import bindparam, case, null, select, true

from engine.cluster.holds import Holds, Mark, Want
from engine.cluster.store import LastKnown
from engine.errors import CallError
from engine.ledger.terms import Terms
from engine.storage.database import Database, StorageError
from engine.storage.tables.billing import user_subscriptions
from engine.storage.tables.core import tokens, users

_REMEMBER = 3.0
_BOUND = 20_000
_PATIENCE = 0.5
_PAUSE = 0.004
_SWEEP_EVERY = 0.2
_BOUNDLESS = 1 << 60


def user_key(user_id: int) -> int:
    """A user's counter."""
    return user_id * 2 + 2


def token_key(token_id: int) -> int:
    """A key's counter."""
    return token_id * 2 + 3


def purse_key(user_id: int, plan: int) -> int:
    """The counter of what pays: a plan's, or the user's own."""
    return -plan if plan else user_key(user_id)


@dataclass(slots=True)
class Balance:
    """What pays and a key's balance as read, with the moments before reading; nothing is without bounds."""

    purse: int | None
    token: int | None
    marks: tuple[Mark, Mark]
    until: float

    @property
    def least(self) -> int:
        """The smaller of the two."""
        return min(_BOUNDLESS if each is None else each for each in (self.purse, self.token))


class Reservation:
    """An amount held for one call until ``settle``, which may be called once or more."""

    __slots__ = ("_holds", "_open", "amount", "plan", "token_id", "user_id")

    def __init__(self, holds: Holds | None, user_id: int, token_id: int, amount: int, plan: int = 0) -> None:
        self._holds = holds
        self._open = True
        self.user_id = user_id
        self.token_id = token_id
        self.amount = amount
        self.plan = plan

    def settle(self, spent: int = 0) -> None:
        """Give back what was held; ``spent`` goes over to what the database will be told."""
        if not self._open:
            return
        self._open = False
        if self._holds is not None and (self.amount or spent):
            keys = (purse_key(self.user_id, self.plan), token_key(self.token_id))
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
        self._known: dict[tuple[int, int, int], Balance] = {}
        self._swept = 0.0
        self._last = last
        self.patience = 0.0
        """Seconds for which a balance that a worker knew is believed while the database is away."""

    def least(self, user_id: int, token_id: int, plan: int = 0) -> int:
        """About what the account has left."""
        return self._balance(user_id, token_id, plan)[0].least

    def hold(self, user_id: int, token_id: int, amount: int, terms: Terms, plan: int = 0) -> Reservation:
        """Reserve, or raise a ``CallError``."""
        reservation = self.attempt(user_id, token_id, amount, terms, plan)
        if reservation is None:
            self._insist(user_id, token_id, amount, terms, plan)
            reservation = Reservation(self._holds, user_id, token_id, amount, plan)
        return reservation

    def attempt(self, user_id: int, token_id: int, amount: int, terms: Terms, plan: int = 0) -> Reservation | None:
        """Reserve by what is known; nothing, where that is too little."""
        if amount > 0:
            balance, away = self._balance(user_id, token_id, plan)
            if away or self._away():
                self._exposed(user_id, token_id, amount, terms)
            if self._take(user_id, token_id, amount, balance, terms, plan) is not None:
                return None
        return Reservation(self._holds, user_id, token_id, max(amount, 0), plan)

    def adopt(self, user_id: int, token_id: int, amount: int, plan: int = 0) -> Reservation:
        """Hold for a call that was let in before, whatever the balance is by now."""
        wants = (Want(purse_key(user_id, plan)), Want(token_key(token_id)))
        held = amount if self._holds.take(user_id, wants, amount) is None else 0
        return Reservation(self._holds, user_id, token_id, held, plan)

    def _take(self, user_id: int, token_id: int, amount: int, balance: Balance, terms: Terms, plan: int) -> int | None:
        first, second = balance.marks
        enforced = terms.enforce
        wants = (
            Want(purse_key(user_id, plan), balance.purse if enforced else None, first),
            Want(token_key(token_id), balance.token, second),
        )
        return self._holds.take(user_id, wants, amount)

    def _insist(self, user_id: int, token_id: int, amount: int, terms: Terms, plan: int) -> None:
        """What is known may be out of date: look again until it is certain that there is too little."""
        end, pause = time.monotonic() + _PATIENCE, _PAUSE
        while True:
            self._sweep()
            self._known.pop((user_id, token_id, plan), None)
            balance, away = self._balance(user_id, token_id, plan)
            lacking = self._take(user_id, token_id, amount, balance, terms, plan)
            if lacking is None:
                return
            marks = balance.marks
            after = self._marks(user_id, token_id, plan)
            calm = all(not one.spent and one.committed == two.committed for one, two in zip(marks, after, strict=True))
            if calm or away or time.monotonic() > end:
                raise _refusal(lacking, balance, amount, plan)
            self._sleep(pause)
            pause *= 2

    def _exposed(self, user_id: int, token_id: int, amount: int, terms: Terms) -> None:
        """While the database is away, a key may owe no more than the policy's exposure."""
        if not terms.serve_away:
            why = "the gateway's database is away, and no calls are served without it; try again in some seconds"
            raise CallError("unavailable", why, wait=5)
        room = terms.exposure - amount
        if self._holds.open(user_id, token_key(token_id)) > room:
            self._sweep()  # what a process that died had held counts for nobody, and no commit sees to it now
            if self._holds.open(user_id, token_key(token_id)) > room:
                raise CallError(
                    "unavailable",
                    f"the gateway's database is away: until it answers, calls of this API key may cost {terms.exposure}"
                    f" units at most, and the {amount} that this one may cost would be beyond, with those under way;"
                    " ask for fewer tokens, or try again in some seconds",
                    wait=5,
                )

    def _sweep(self) -> None:
        """Free what dead processes hold, not too often."""
        if time.monotonic() - self._swept > _SWEEP_EVERY:
            self._swept = time.monotonic()
            self._holds.sweep()

    def _balance(self, user_id: int, token_id: int, plan: int) -> tuple[Balance, bool]:
        """What the account has, and whether that is old because the database is away."""
        known = self._known.get((user_id, token_id, plan))
        now = time.monotonic()
        if known is not None and now < known.until:
            return known, False
        marks = self._marks(user_id, token_id, plan)
        if known is not None and self.patience:  # while one call asks, others of this key need not wait
            known.until = now + _REMEMBER
        try:
            if plan:
                row = self._planned().one(token=token_id, user=user_id, plan=plan)
            else:
                row = self._query().one(token=token_id, user=user_id) if token_id else self._keyless(user_id)
        except StorageError:
            known = known or self._known_elsewhere(user_id, token_id, plan)
            if known is None:
                raise
            known.until = now + 1.0
            self._known[user_id, token_id, plan] = known
            return known, True
        quota, remain, unlimited = row or (0, 0, False)
        purse = None if plan and quota is None else quota or 0
        balance = Balance(purse, None if unlimited or not token_id else remain or 0, marks, now + _REMEMBER)
        if self._last is not None and self.patience:
            held = [balance.purse, balance.token, *(astuple(mark) for mark in marks)]
            self._last.keep(_name(user_id, token_id, plan), held, self.patience)
        if len(self._known) >= _BOUND:
            self._known.clear()
        self._known[user_id, token_id, plan] = balance
        return balance, False

    def _known_elsewhere(self, user_id: int, token_id: int, plan: int) -> Balance | None:
        """The balance that another worker read last."""
        held = self._last.get(_name(user_id, token_id, plan)) if self._last is not None and self.patience else None
        return None if held is None else Balance(held[0], held[1], (Mark(*held[2]), Mark(*held[3])), 0.0)

    def _marks(self, user_id: int, token_id: int, plan: int) -> tuple[Mark, Mark]:
        return self._holds.mark(user_id, purse_key(user_id, plan)), self._holds.mark(user_id, token_key(token_id))

    def _planned(self) -> Any:
        """What a plan has left (nothing: without bounds), and its user's key, where there is one."""
        query = self._db.prepared.get("plan_balance")
        if query is None:
            plan = user_subscriptions.c
            left = case((plan.amount_total > 0, plan.amount_total - plan.amount_used), else_=null())
            joined = user_subscriptions.outerjoin(tokens, tokens.c.id == bindparam("token"))
            chosen = select(left, tokens.c.remain_quota, tokens.c.unlimited_quota).select_from(joined)
            chosen = chosen.where(plan.id == bindparam("plan"), plan.user_id == bindparam("user"))
            query = self._db.prepared["plan_balance"] = self._db.query(chosen)
        return query

    def _keyless(self, user_id: int) -> tuple[Any, ...] | None:
        """The balance of a user who calls without a key, as the console does: nothing else bounds it."""
        query = self._db.prepared.get("own_balance")
        if query is None:
            chosen = select(users.c.quota, null(), true()).where(users.c.id == bindparam("user"))
            query = self._db.prepared["own_balance"] = self._db.query(chosen)
        return query.one(user=user_id)

    def _query(self) -> Any:
        query = self._db.prepared.get("balance")
        if query is None:
            chosen = select(users.c.quota, tokens.c.remain_quota, tokens.c.unlimited_quota)
            chosen = chosen.select_from(users.join(tokens, tokens.c.user_id == users.c.id))
            chosen = chosen.where(tokens.c.id == bindparam("token"), users.c.id == bindparam("user"))
            query = self._db.prepared["balance"] = self._db.query(chosen)
        return query


def _name(user_id: int, token_id: int, plan: int) -> str:
    return f"{user_id}:{token_id}:{plan}" if plan else f"{user_id}:{token_id}"


def _refusal(lacking: int, balance: Balance, amount: int, plan: int) -> CallError:
    if lacking == 0 and plan:
        return CallError(
            "quota",
            f"the account's plan has {balance.purse} units left, which can't hold the {amount} that this call may cost"
            " besides what is under way; ask for fewer tokens, wait until the plan begins anew, or buy another",
            code="insufficient_user_quota",
        )
    if lacking == 0:
        return CallError(
            "quota",
            f"the account's balance of {balance.purse} units can't hold the {amount} that this call may cost besides"
            " what is under way; top it up, or ask for fewer tokens",
            code="insufficient_user_quota",
        )
    return CallError(
        "quota",
        f"this API key's quota of {balance.token} units can't hold the {amount} that this call may cost besides what"
        " is under way; raise it, or ask for fewer tokens",
        code="insufficient_quota",
    )
