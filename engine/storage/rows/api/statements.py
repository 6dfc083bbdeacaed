"""What a statement is made of: an account's balance, its credits and charges in a time and since, in one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, literal, select

from engine.storage.database import Database
from engine.storage.rows.crud import Row
from engine.storage.snapshot import snapshot
from engine.storage.tables.core import users
from engine.storage.tables.ledger import ledger
from engine.storage.tables.own import grants


@dataclass(slots=True)
class Taken:
    """``balance`` is now's; what was charged to it and credited ``since`` the time's end; the lines of the time."""

    balance: int = 0
    charged_since: int = 0
    credited_since: int = 0
    credits: list[Row] = field(default_factory=list)
    charges: list[Row] = field(default_factory=list)


def read(db: Database, user: int, start: int, end: int, day: Callable[[int], str]) -> Taken:
    """Everything that a statement of this time needs."""
    taken = Taken()
    with snapshot(db) as connection:
        taken.balance = int(connection.execute(select(users.c.quota).where(users.c.id == user)).scalar() or 0)
        row = ledger.c
        own = (row.user_id == user, row.counted == literal(True, row.counted.type))
        paid = (*own, func.coalesce(row.plan, 0) == 0)
        since = select(func.sum(row.quota)).where(*paid, row.created_at >= end)
        taken.charged_since = int(connection.execute(since).scalar() or 0)
        grant = grants.c
        mine = (grant.user_id == user, grant.token_id == 0, func.coalesce(grant.plan_id, 0) == 0)
        since = select(func.sum(grant.amount)).where(*mine, grant.created_at >= end)
        taken.credited_since = int(connection.execute(since).scalar() or 0)
        chosen = select(grant.created_at, grant.reason, grant.reference, grant.amount)
        chosen = chosen.where(*mine, grant.created_at >= start, grant.created_at < end).order_by(grant.id)
        for at, reason, reference, amount in connection.execute(chosen):
            line = {"date": day(at), "kind": "credit", "what": reason or "", "reference": reference or ""}
            taken.credits.append({**line, "units": int(amount)})
        taken.charges = list(_charges(connection, own, start, end, day))
    return taken


def _charges(
    connection: Connection, own: tuple[Any, ...], start: int, end: int, day: Callable[[int], str]
) -> Iterator[Row]:
    """A line for each day and model, and apart what plans paid."""
    row, sums = ledger.c, dict[tuple[str, str, str], list[int]]()
    chosen = select(row.created_at, row.model, row.plan, row.quota, row.prompt_tokens, row.completion_tokens)
    chosen = chosen.where(*own, row.created_at >= start, row.created_at < end)
    for at, model, plan, *amounts in connection.execute(chosen.execution_options(stream_results=True)):
        line = sums.setdefault((day(at), "plan" if plan else "charge", model or ""), [0, 0, 0, 0])
        for place, amount in enumerate([*amounts, 1]):
            line[place] += int(amount or 0)
    for (date, kind, model), (quota, sent, got, calls) in sorted(sums.items()):
        more = {"calls": calls, "input_tokens": sent, "output_tokens": got, "units": -quota}
        yield {"date": date, "kind": kind, "what": model, "reference": "", **more}
