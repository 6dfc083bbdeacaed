"""Holds calls to the budgets of their key and user, of whom else the key is counted for, and of their tags.

``check`` holds an estimate before a call is sent, or raises ``Exceeded``; ``add`` gives it back and counts what the
call used. Both are atomic across the workers of a machine. What is held by a process that died is free again after 15
minutes; counts that shared state has lost are read from the database. Callers without a budget cost a look into a dict.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from engine.errors import Forbidden
from engine.storage.database import Database, StorageError
from engine.storage.rows import budgets
from engine.storage.rows.budgets import KEY, MEMBER, PROJECT, QUOTA, TAG, USER, Binding, Budget, Use
from engine.storage.rows.posting import tags_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from engine.storage.rows.accounts import Account
    from engine.storage.rows.posting import Entry

_REMEMBER = 3.0
_WINDOW = 300
_WINDOWS = 3
_LATE = 20
"""Seconds before a window is forgotten in which nothing is given back to it any more."""
_SOON = 5
"""Seconds after which some of the calls that fill a budget may have ended."""
_logger = logging.getLogger("gatewright.ledger")


class BudgetSpace(Protocol):
    """What is needed of shared state."""

    def get(self, key: str) -> bytes | None: ...
    def incr(self, key: str, by: int = 1, ttl: float | None = None) -> int: ...
    def cas(self, key: str, old: bytes | None, new: bytes, ttl: float | None = None) -> bool: ...


class Exceeded(Forbidden):
    """A budget is filled; ``resets`` is when there may be room again (unix s): its period's end, or soon."""

    def __init__(self, message: str, resets: int) -> None:
        super().__init__(message)
        self.resets = resets


@dataclass(slots=True)
class Held:
    """What a running call holds of each budget. ``warnings`` say which are nearly used up."""

    at: float
    parts: list[tuple[Budget, int]]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget now: what may be used in its period, what was, what calls under way hold, and when it begins anew.

    ``tag``: it binds calls that have it; nothing: every call.
    """

    budget: Budget
    limit: int
    used: int
    held: int
    ends: int
    tag: str = ""


_NOTHING = Held(0.0, [])


class Budgets:
    """One worker's door to the budgets."""

    def __init__(self, db: Database, space: BudgetSpace) -> None:
        self._db = db
        self._space = space
        self._set = Binding({}, {}, 0)
        self._until = 0.0
        self._mark = budgets.zone_mark(db)

    def of(self, account: Account, tags: Sequence[str] = ()) -> Sequence[Budget]:
        """The budgets that bind this account's calls of these tags."""
        now = time.monotonic()
        if now >= self._until:
            self._read(now)
        if not self._set.by_holder and not self._set.newest:
            return ()
        if account.token_id > self._set.newest and self._set.newest:
            self._read(now, account.token_id)
        return self.binding(account.token_id, account.user_id, tags)

    def _read(self, now: float, newest: int = 0) -> None:
        """Look which budgets there are; ``newest`` is a key that was made since, and may be counted for somebody."""
        self._until = now + _REMEMBER
        try:
            known = budgets.bind(self._db)
        except StorageError as error:
            _logger.warning("budgets are those of before: %s", error)
        else:
            self._set = replace(known, newest=max(known.newest, newest)) if known.newest else known

    def binding(self, token_id: int, user_id: int, tags: Sequence[str] = ()) -> Sequence[Budget]:
        """The budgets of a key, its user, whom else it counts for and of tags, as they were read last."""
        known = self._set
        own = (*known.by_holder.get((KEY, token_id), ()), *known.by_holder.get((USER, user_id), ()))
        listed = (*own, *known.by_key.get(token_id, ())) if known.by_key else own
        if not tags or not known.by_tag:
            return listed
        tagged = (one for tag in tags for owner in (user_id, 0) for one in known.by_tag.get((owner, tag), ()))
        return (*listed, *(one for one in tagged if one not in listed))

    def check(self, account: Account, *, quota: int, tokens: int, now: float, tags: Sequence[str] = ()) -> Held:
        """Hold what a call may use, of every budget or of none."""
        binding = self.of(account, tags)
        if not binding:
            return _NOTHING
        held = Held(now, [])
        warnings = []
        for budget in binding:
            amount = max(0, quota if budget.unit == QUOTA else tokens)
            held.parts.append((budget, amount))
            # in this order, as a call that ends counts its use before it gives back: it is never seen in neither
            reserved = self._hold(budget, amount, now)
            used = self._used(budget, now)
            total, limit = used + reserved, self._limit(budget, now)
            if total > limit or (amount == 0 and total >= limit):
                self.add(held, quota=0, tokens=0)
                end = budgets.ends(budget.period, now, self._db.zone)
                raise _exceeded(budget, limit, used, reserved - amount, amount, now, end)
            if budget.soft_percent and total * 100 >= limit * budget.soft_percent:
                warnings.append(_told(budget, limit, f"is used to {total * 100 // max(1, limit)} percent"))
        held.warnings = tuple(warnings)
        return held

    def standing(self, account: Account, now: float) -> list[Standing]:
        """The budgets that bind an account's calls, as they stand; a tag's, where only calls with it are bound."""
        self._read(time.monotonic(), account.token_id)
        listed: list[tuple[Budget, str]] = [(one, "") for one in self.binding(account.token_id, account.user_id)]
        known = {one.id for one, _ in listed}
        for (owner, tag), tagged in self._set.by_tag.items():
            if owner in (0, account.user_id):
                listed += [(one, tag) for one in tagged if one.id not in known]
        return [
            Standing(
                budget,
                limit=self._limit(budget, now),
                used=int(self._space.get(self._used_name(budget, now)) or budgets.used(self._db, budget, now)),
                held=self._held(budget, int(now) // _WINDOW),
                ends=budgets.ends(budget.period, now, self._db.zone),
                tag=tag,
            )
            for budget, tag in listed
        ]

    def _limit(self, budget: Budget, now: float) -> int:
        if not budget.carried:
            return budget.amount
        return budget.limit(budgets.begins(budget.period, now, self._db.zone))

    def add(self, held: Held, *, quota: int, tokens: int) -> None:
        """Give back what a call held, and count what it used."""
        now = time.time()
        for budget, amount in held.parts:
            used = quota if budget.unit == QUOTA else tokens
            name = self._used_name(budget, held.at)
            if used and self._space.get(name) is not None:
                self._space.incr(name, used)
            window = int(held.at) // _WINDOW
            if amount and now < (window + _WINDOWS) * _WINDOW - _LATE:
                self._space.incr(_name("held", budget, window), -amount, self._ttl(window))
        held.parts = []

    def book(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """Count entries durably, inside the transaction that books them."""
        uses = []
        for entry in entries:
            tokens = entry.row.get("prompt_tokens", 0) + entry.row.get("completion_tokens", 0)
            if entry.counted:
                tags = tags_of(entry.row)
                uses.append(Use(entry.user_id, entry.token_id, entry.quota, tokens, entry.created_at, tags))
        budgets.apply(connection, uses, self._db.zone)

    def _used_name(self, budget: Budget, at: float) -> str:
        begun = budgets.begins(budget.period, at, self._db.zone)
        return f"{_name('used', budget, begun)}:{self._mark}"

    def _used(self, budget: Budget, now: float) -> int:
        name = self._used_name(budget, now)
        used = self._space.get(name)
        if used is None:
            booked = budgets.used(self._db, budget, now)
            until = budgets.ends(budget.period, now, self._db.zone) + _WINDOW - now
            self._space.cas(name, None, str(booked).encode(), until)
            used = self._space.get(name) or str(booked).encode()
        return int(used)

    def _hold(self, budget: Budget, amount: int, now: float) -> int:
        """Hold an amount; what is held in all."""
        window = int(now) // _WINDOW
        mine = self._space.incr(_name("held", budget, window), amount, self._ttl(window))
        return mine + self._held(budget, window, (1, 2))

    def _held(self, budget: Budget, window: int, back: Sequence[int] = (0, 1, 2)) -> int:
        return sum(int(self._space.get(_name("held", budget, window - each)) or 0) for each in back)

    @staticmethod
    def _ttl(window: int) -> float:
        return max(1.0, (window + _WINDOWS) * _WINDOW - time.time())


def _name(what: str, budget: Budget, part: int) -> str:
    return f"{what}:{budget.holder}:{budget.holder_id}:{budget.period}:{budget.unit}:{budget.id}:{part}"


def _exceeded(budget: Budget, limit: int, used: int, reserved: int, amount: int, now: float, end: int) -> Exceeded:
    """What filled a budget, and when to come back. ``reserved`` is held by other calls under way."""
    anew = f"it begins anew in {max(1, int(end - now))} seconds"
    if used >= limit:
        return Exceeded(f"{_told(budget, limit, 'is used up')}; {anew}", end)
    if used + amount > limit:
        lacking = f"has {limit - used} left, which can't hold the {amount} that this call may use"
        return Exceeded(f"{_told(budget, limit, lacking)}; ask for fewer tokens, or wait: {anew}", end)
    under_way = f"is filled by calls under way, which hold {reserved} of it besides {used} used"
    return Exceeded(f"{_told(budget, limit, under_way)}; try again when some of them have ended", int(now) + _SOON)


_WHOSE = {KEY: "this API key's", USER: "the user's", MEMBER: "the member's", PROJECT: "the project's", TAG: "the tag's"}


def _told(budget: Budget, limit: int, what: str) -> str:
    more = f" and {limit - budget.amount} of the {budget.period} before" if limit > budget.amount else ""
    return f"{_WHOSE[budget.holder]} budget of {budget.amount} {budget.unit} a {budget.period}{more} {what}"
