"""What pays for a call of a user who has plans: which of them, or the balance, by the user's own preference.

``Funding.of(account)`` gives ``Purses``, which hold and tell as ``Reserves`` do. A plan that ends first pays first; a
plan is passed over when it can't hold the call, and the balance pays after plans only if all of them allow that
(New API's rules; billing.md, 7.3). Users without a plan never come here: their account's ``funding`` is empty.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from sqlalchemy import and_, bindparam, null, select

from engine.cluster.store import LastKnown
from engine.errors import CallError
from engine.ledger.reserve import Reservation, Reserves
from engine.ledger.terms import Terms
from engine.storage.database import Database, StorageError
from engine.storage.rows.accounts import PLANS_FIRST, WALLET_FIRST, Account
from engine.storage.rows.api.plan_models import SUBSCRIPTION
from engine.storage.tables.billing import user_subscriptions
from engine.storage.tables.own import plan_models

_REMEMBER = 3.0
_BOUND = 20_000
_WALLET = 0
_NONE = (
    "the account pays by plans only, and none is active; buy one, or let the balance pay in the settings of the account"
)
_OTHERS = (
    "the account pays by plans only, and none of its plans pays for {model}; buy one that does, or let the balance pay"
    " in the settings of the account"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """An active subscription: when it ends (unix s), and whether the balance pays when it can't.

    ``models``: what it pays for, names or patterns; nothing: everything.
    """

    id: int
    ends: int
    overflow: bool
    models: tuple[str, ...] = ()

    def pays_for(self, model: str) -> bool:
        """Whether calls of a model are paid by it."""
        return not self.models or any(fnmatchcase(model, pattern) for pattern in self.models)


@dataclass(frozen=True, slots=True)
class Purses:
    """What may pay, in order: subscriptions by id, and 0 for the balance."""

    reserves: Reserves
    order: Sequence[int]

    def least(self, user_id: int, token_id: int) -> int:
        """About what the fullest has left."""
        return max(self.reserves.least(user_id, token_id, plan) for plan in self.order)

    def hold(self, user_id: int, token_id: int, amount: int, terms: Terms) -> Reservation:
        """Reserve of the first that can hold the amount, or raise a ``CallError``."""
        *before, last = self.order
        for plan in before:
            reservation = self.reserves.attempt(user_id, token_id, amount, terms, plan)
            if reservation is not None:
                return reservation
        return self.reserves.hold(user_id, token_id, amount, terms, last)


class Funding:
    """One worker's knowledge of who has which plans, for a few seconds."""

    def __init__(
        self,
        db: Database,
        reserves: Reserves,
        *,
        last: LastKnown | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._db, self._reserves, self._last, self._clock = db, reserves, last, clock
        self._known: dict[int, tuple[float, list[Plan]]] = {}

    def of(self, account: Account, model: str) -> Purses:
        """What may pay for a call of a model by this account now; ``CallError`` where nothing may."""
        now = self._clock()
        active = [plan for plan in self._plans(account.user_id) if plan.ends > now]
        plans = [plan for plan in active if plan.pays_for(model)]
        own = [plan.id for plan in plans]
        if account.funding == WALLET_FIRST:
            order = [_WALLET, *own]
        elif account.funding == PLANS_FIRST and all(plan.overflow for plan in plans):
            order = [*own, _WALLET]
        else:
            order = own
        if not order:
            why = _OTHERS.format(model=model[:100]) if active else _NONE
            raise CallError("quota", why, code="insufficient_user_quota")
        return Purses(self._reserves, order)

    def _plans(self, user_id: int) -> list[Plan]:
        known = self._known.get(user_id)
        now = time.monotonic()
        if known is not None and now < known[0]:
            return known[1]
        patience, name = self._reserves.patience, f"plans:{user_id}"
        try:
            rows: Any = self._query().all(user=user_id)
        except StorageError:
            rows = self._last.get(name) if self._last is not None and patience else None
            if rows is None and known is None:
                raise
            if rows is None:
                return known[1] if known is not None else []
        else:
            if self._last is not None and patience:
                self._last.keep(name, [list(row) for row in rows], patience)
        plans = [
            Plan(int(row[0]), int(row[1] or 0), row[2] is None or bool(row[2]), tuple((row[3] or "").splitlines()))
            for row in rows
        ]
        if len(self._known) >= _BOUND:
            self._known.clear()
        self._known[user_id] = (now + _REMEMBER, plans)
        return plans

    def _query(self) -> Any:
        query = self._db.prepared.get("plans")
        if query is None:
            plan, overflow = user_subscriptions.c, user_subscriptions.c.allow_wallet_overflow
            there = overflow.name in self._db.columns.get(user_subscriptions.name, ())
            bound = plan_models.c
            chosen = select(plan.id, plan.end_time, overflow if there else null(), bound.models)
            mine = and_(bound.holder == SUBSCRIPTION, bound.holder_id == plan.id)
            chosen = chosen.select_from(user_subscriptions.outerjoin(plan_models, mine)).where(
                plan.user_id == bindparam("user"), plan.status == "active"
            )
            query = self._db.prepared["plans"] = self._db.query(chosen.order_by(plan.end_time, plan.id))
        return query
