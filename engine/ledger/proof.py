"""Proves the books: users, keys, channels, plans and log rows agree with the ledger to the unit, or says what differs.

Numbers of invoices are looked at too: 1 to the last of each series, without a gap.

Sums count from the opening balance that was noted before a holder's first charge; what differed before is listed
apart, as it is another program's. Takes the databases and the journals' directory, gives a ``Proof``.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.ledger import journal, served
from engine.ledger.committing import REFUSED
from engine.storage import retention
from engine.storage.database import Database
from engine.storage.rows import audit
from engine.storage.rows.audit import HolderTotals
from engine.storage.rows.work import invoices

_WORDS = ("balance", "used", "requests")
_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Difference:
    """What should be, and what is."""

    holder: str
    id: int | str
    what: str
    expected: int
    found: int | None


@dataclass(slots=True)
class Proof:
    """``differences`` is empty when all agree. ``waiting`` are calls in journals, which no sum has yet."""

    calls: int = 0
    charged: int = 0
    users: int = 0
    tokens: int = 0
    channels: int = 0
    plans: int = 0
    waiting: int = 0
    refused: int = 0
    served: int = 0
    """Calls whose answer began to reach its caller, counted at its first byte; ``open`` ones are not over yet."""
    open: int = 0
    lost: int = 0
    """Calls that were served and never booked."""
    differences: list[Difference] = field(default_factory=list)
    older: list[Difference] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether every sum is what it should be."""
        return not self.differences and not self.refused and not self.lost


def verify(db: Database, log_db: Database, journals: Path) -> Proof:
    """Compare everything, and the calls that were served with those that were booked; changes nothing."""
    calls = served.counts(journals.with_name(served.DIRECTORY))
    sums = audit.sums(db)
    proof = Proof(sums.calls, sums.charged)
    proof.served, proof.open, proof.lost = calls.served, len(calls.open), calls.lost
    counts = {"user": 0, "token": 0, "channel": 0, "plan": 0}
    for holder in sums.holders:
        counts[holder.kind] += 1
        proof.differences += _compared(holder)
    proof.users, proof.tokens, proof.channels, proof.plans = counts.values()
    proof.differences += [
        Difference("invoices", name, "numbers", last, count) for name, last, count in invoices.broken(db)
    ]
    underway = lying(journals)
    since = retention.kept_from(db)
    for call in audit.unmatched(db, log_db, since):
        if not call.rows and log_db is not db and call.request_id in underway:
            continue  # its row is on its way into the other database
        if call.rows != call.wanted:
            proof.differences.append(Difference("log", call.request_id, "rows", call.wanted, call.rows))
        else:
            proof.differences.append(Difference("log", call.request_id, "quota", call.charged, call.said))
        if len(proof.differences) >= _LISTED:
            break
    proof.older = [] if since else _older(sums.holders, audit.log_sums(log_db))
    proof.waiting = len(underway)
    refused = journals / REFUSED
    proof.refused = sum(1 for _ in journal.entries(refused)) if refused.exists() else 0
    return proof


def lying(journals: Path) -> set[str]:
    """Request ids that stand in journals."""
    ids: set[str] = set()
    for path in journal.files(journals):
        with suppress(FileNotFoundError):  # a running gateway gives files back
            ids.update(entry.request_id for entry in journal.entries(path))
    return ids


def _compared(holder: HolderTotals) -> list[Difference]:
    if holder.row is None:
        return []  # the row was deleted; its charges stay in the ledger
    if holder.opened is None:
        return [Difference(holder.kind, holder.id, "opening", 1, None)]
    quota, used, requests = holder.opened
    balance = quota - (holder.charged - holder.planned) + holder.granted
    counted = used + holder.charged + (holder.granted if holder.kind == "plan" else 0)
    should: tuple[Any, ...] = (balance, counted, requests + holder.calls)
    return [
        Difference(holder.kind, holder.id, what, expected, actual)
        for what, expected, actual in zip(_WORDS, should, holder.row, strict=True)
        if actual is not None and actual != expected
    ]


def _older(holders: list[HolderTotals], logged: dict[int, int]) -> list[Difference]:
    """What users had used before our first charge, beside what older log rows say."""
    differences = []
    for holder in holders:
        if holder.kind == "user" and holder.opened is not None:
            before = logged.get(holder.id, 0) - holder.logged
            if before != holder.opened[1]:
                differences.append(Difference("user", holder.id, "used before", before, holder.opened[1]))
    return differences
