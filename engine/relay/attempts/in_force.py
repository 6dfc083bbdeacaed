"""What binds a key now: its quota, its account's balance and plans, budgets, and limits of a time; each as it stands.

``in_force(services, snapshot, account)`` tells of each how much, used, left, when it begins anew, and which document,
option or row says so. Takes and changes nothing. Limits of channels bind no caller, and are no part of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from engine.cluster.rates import Seen
from engine.relay.ingress.tags import may
from engine.storage.rows import crud
from engine.storage.rows.accounts import WALLET_ONLY
from engine.storage.tables.billing import user_subscriptions
from engine.storage.tables.core import tokens, users

if TYPE_CHECKING:
    from engine.ledger.budgets import Budgets, Standing
    from engine.relay.attempts.limits import Limits
    from engine.relay.snapshot import Snapshot
    from engine.routing.limits.rules import LimitRule
    from engine.storage.database import Database
    from engine.storage.rows.accounts import Account

KEY, BALANCE, PLAN, BUDGET, RATE = "key", "balance", "plan", "budget", "rate"
KINDS = (KEY, BALANCE, PLAN, BUDGET, RATE)
_ACTIVE = "active"


class BoundServices(Protocol):
    """What is asked of a worker's services."""

    @property
    def db(self) -> Database: ...
    @property
    def budgets(self) -> Budgets: ...
    @property
    def limits(self) -> Limits: ...


@dataclass(frozen=True, slots=True)
class BoundInForce:
    """One bound. Amounts are of what it ``counts``; nothing, where calls of the key have several such counts.

    ``held``: of it by calls under way. ``resets_at``: unix seconds; nothing: never, or nothing is counted now.
    """

    kind: str
    name: str
    counts: str
    source: str
    most: int | None = None
    used: int | None = None
    held: int = 0
    period: str = ""
    resets_at: int | None = None
    by: Sequence[str] = ()
    when: Mapping[str, Any] = field(default_factory=dict)
    """What it asks of a call that it binds."""

    @property
    def left(self) -> int | None:
        """What is left."""
        return None if self.most is None or self.used is None else max(0, self.most - self.used - self.held)


def in_force(services: BoundServices, snapshot: Snapshot, account: Account, model: str = "") -> list[BoundInForce]:
    """All that binds calls of a key; ``model``: counts of one, where there is one for each."""
    standing = services.budgets.standing(account, time.time())
    return [
        *_money(services.db, account),
        *(_budget(one) for one in standing if not one.tag or may(one.tag, account.call_tags)),
        *_rates(services.limits, snapshot.limits.ours, account, model),
    ]


def _money(db: Database, account: Account) -> list[BoundInForce]:
    """What the key and its account may still spend, in quota units."""
    bounds = []
    if not account.unlimited:
        used = _column(db, tokens, "used_quota", account.token_id)
        name = account.token_name
        most = used + account.remain_quota
        bounds.append(BoundInForce(KEY, name, "quota", f"key {account.token_id}", most, used))
    used, user = _column(db, users, "used_quota", account.user_id), f"user {account.user_id}"
    plans = _plans(db, account) if account.funding not in ("", WALLET_ONLY) else []
    bounds.append(BoundInForce(BALANCE, account.username, "quota", user, used + account.user_quota, used))
    return [*bounds, *plans]


def _column(db: Database, table: Any, name: str, which: int) -> int:
    row = crud.one(db, table, table.c.id == which)
    return int((row or {}).get(name) or 0)


def _plans(db: Database, account: Account) -> list[BoundInForce]:
    plan = user_subscriptions.c
    where = [plan.user_id == account.user_id, plan.status == _ACTIVE, plan.end_time > int(time.time())]
    return [
        BoundInForce(
            PLAN,
            str(row["plan_id"]),
            "quota",
            f"subscription {row['id']}",
            row["amount_total"] or None,
            row["amount_used"],
            resets_at=row.get("next_reset_time") or None,
        )
        for row in crud.listed(db, user_subscriptions, where, [plan.end_time])
    ]


def _budget(standing: Standing) -> BoundInForce:
    budget = standing.budget
    return BoundInForce(
        BUDGET,
        budget.holder,
        budget.unit,
        f"budget {budget.id}",
        standing.limit,
        standing.used,
        held=standing.held,
        period=f"a {budget.period}",
        resets_at=standing.ends,
        when={"tags": [standing.tag]} if standing.tag else {},
    )


def _rates(limits: Limits, rules: Sequence[LimitRule], account: Account, model: str) -> list[BoundInForce]:
    binding = [rule for rule in rules if rule.binds(account)]
    asks = [rule.count_of(account, model) for rule in binding]
    seen = iter(limits.look([ask for ask in asks if ask is not None]))
    return [_rate(rule, None if ask is None else next(seen)) for rule, ask in zip(binding, asks, strict=True)]


def _rate(rule: LimitRule, seen: Seen | None) -> BoundInForce:
    used, until = (seen.used, seen.until or None) if seen is not None else (None, None)
    return BoundInForce(
        *(RATE, rule.name, rule.counts, rule.source, rule.most, used),
        period=rule.period,
        resets_at=until,
        by=rule.by,
        when=rule.asks,
    )
