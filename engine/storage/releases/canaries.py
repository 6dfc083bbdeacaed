"""Canaries: trials that a share of calls goes to, and what is counted of calls on either release.

Counts are exact: they are made in the transaction that books the calls' charges (``count``).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError

from engine.errors import Conflict, NotFound
from engine.storage.database import Database
from engine.storage.releases.documents import Author
from engine.storage.rows import crud
from engine.storage.rows.posting import Entry
from engine.storage.rows.work import outbox
from engine.storage.tables.core import tokens, users
from engine.storage.tables.releases import canaries, canary_counts, trials

NEW, OLD = "new", "old"
RUNNING, PROMOTED, DROPPED = "running", "promoted", "dropped"
KEY = "canary"
"""Where a log row's ``admin_info`` has the measures of a call: canary, arm, failed, ms or nothing, lines of losses."""
_CHUNK = 500
_SUMS = tuple(column.name for column in canary_counts.c if not column.primary_key)


@dataclass(frozen=True, slots=True)
class Canary:
    """A canary of trial ``trial``. ``rules`` are as they were declared, ``verdict`` is the last look, as plain data."""

    number: int
    trial: str
    name: str
    rules: Mapping[str, Any]
    author: Author
    state: str = RUNNING
    reason: str = ""
    looks: int = 0
    verdict: Mapping[str, Any] = field(default_factory=dict)
    begun_at: int = 0
    ended_at: int = 0


def begin(db: Database, trial: str, name: str, rules: Mapping[str, Any], until: int, author: Author) -> int:
    """Give a trial a share of calls; its number. A ``Conflict`` where another canary runs."""

    def work(connection: Connection) -> int:
        at_work = connection.execute(select(canaries.c.number).where(canaries.c.state == RUNNING)).scalar()
        if at_work is not None:
            raise Conflict(f"canary {at_work} runs: promote or drop it first")
        longest = func.max(trials.c.until)  # its trial lasts as long as it does
        last = int(connection.execute(select(longest).where(trials.c.id == trial)).scalar() or 0)
        if not last:
            raise NotFound(f"there is no trial {trial}: begin one first")
        crud.change(db, connection, trials, [trials.c.id == trial], {"until": max(last, until)})
        number = int(connection.execute(select(func.max(canaries.c.number))).scalar() or 0) + 1
        row = {"number": number, "trial": trial, "name": name[:191], "rules": json.dumps(dict(rules))}
        row |= {"state": RUNNING, "reason": "", "looks": 0, "verdict": "{}", "begun_at": int(time.time())}
        row |= {"ended_at": 0, "user_id": author.id, "username": author.name}
        try:
            crud.add(db, connection, canaries, row)
        except IntegrityError:
            raise Conflict("another canary began at this moment; look at it first") from None
        return number

    return db.write(work)


def running(db: Database) -> Canary | None:
    """The canary that runs. PERF: one look, four times a second on each machine."""
    if canaries.name not in db.columns:
        return None
    query = db.prepared.get("canary")
    if query is None:
        query = db.prepared["canary"] = db.query(select(canaries.c.number).where(canaries.c.state == RUNNING))
    row = query.one()
    return None if row is None else one(db, int(row[0]))


def one(db: Database, number: int) -> Canary:
    """A canary."""
    row = crud.one(db, canaries, canaries.c.number == number)
    if row is None:
        raise NotFound(f"there is no canary {number}")
    return _canary(row)


def newest(db: Database, limit: int = 20) -> list[Canary]:
    """Canaries, the newest first."""
    return [_canary(row) for row in crud.listed(db, canaries, (), [canaries.c.number.desc()], limit=limit)]


def looked(db: Database, canary: Canary, looks: int, verdict: Mapping[str, Any], *, dropped: str = "") -> bool:
    """Note a look, and that the canary is ``dropped`` for a reason; false where it has ended, or another process has
    made this look."""
    where = [canaries.c.number == canary.number, canaries.c.state == RUNNING, canaries.c.looks == canary.looks]
    row: dict[str, Any] = {"looks": looks, "verdict": json.dumps(dict(verdict))}

    def work(connection: Connection) -> bool:
        same = crud.change(db, connection, canaries, where, row)
        return bool(same and (not dropped or end(db, connection, canary.number, DROPPED, dropped)))

    return db.write(work)


def end(db: Database, connection: Connection, number: int | None, state: str, reason: str) -> int:
    """End a canary (whichever runs, without a number), in the caller's transaction; how many ended."""
    if canaries.name not in db.columns:
        return 0
    where = [canaries.c.state == RUNNING, *([] if number is None else [canaries.c.number == number])]
    there = crud.one(db, canaries, *where, connection=connection)
    row = {"state": state, "reason": reason[:4000], "ended_at": int(time.time())}
    if there is None or not crud.change(db, connection, canaries, where, row):
        return 0
    facts = {"canary": int(there["number"]), "name": there["name"], "state": state, "reason": reason}
    outbox.happened(db, connection, "canary.ended", facts)
    return 1


def released(db: Database, canary: int | None, author: Author, connection: Connection, number: int) -> None:
    """End the canary that runs, in the transaction that makes release ``number``: promoted, where the release is of
    ``canary``, else dropped. A ``Conflict`` where that one does not run any more."""
    if canary is not None and not end(db, connection, canary, PROMOTED, f"release {number}"):
        raise Conflict(f"canary {canary} does not run any more; nothing was published")
    end(db, connection, None, DROPPED, f"release {number} of {author.name} came meanwhile, and with it another base")


def count(connection: Connection, entries: Sequence[Entry]) -> None:
    """Add the measures of calls that belong to a canary to its sums, in the transaction that books them."""
    sums: dict[tuple[int, str, int], dict[str, float]] = {}
    for entry in entries:
        other = entry.row.get("other")
        measures = other["admin_info"].get(KEY) if isinstance(other, dict) and "admin_info" in other else None
        if measures is not None:
            place = (int(measures[0]), str(measures[1]), entry.token_id)
            amounts = sums.setdefault(place, dict.fromkeys(_SUMS, 0))
            for name, amount in _amounts(entry, measures).items():
                amounts[name] += amount
    for place, amounts in sorted(sums.items()):  # in one order, so that two such transactions wait and never deadlock
        key = dict(zip(("canary", "arm", "token_id"), place, strict=True))
        crud.add_up(connection, canary_counts, key, amounts)


def _amounts(entry: Entry, measures: Sequence[Any]) -> dict[str, float]:
    _, _, failed, ms, losses = measures
    tokens = entry.row.get("prompt_tokens", 0) + entry.row.get("completion_tokens", 0)
    amounts: dict[str, float] = {"calls": 1, "errors": int(failed), "losses": losses, "losses2": losses**2}
    if ms is not None:
        log_ms = math.log(max(ms, 1))
        amounts |= {"timed": 1, "log_ms": log_ms, "log_ms2": log_ms**2}
    if tokens:
        amounts |= {"tokens": tokens, "quota": entry.quota, "tokens2": float(tokens) ** 2}
        amounts |= {"quota_tokens": float(entry.quota) * tokens, "quota2": float(entry.quota) ** 2}
    return amounts


def counts(db: Database, number: int, by: str = "key") -> dict[str, list[dict[str, float]]]:
    """The sums of a canary by arm, a map for each key; or for each ``group`` of keys, where these were drawn whole."""
    sums: dict[str, dict[Any, dict[str, float]]] = {NEW: {}, OLD: {}}
    rows = crud.listed(db, canary_counts, [canary_counts.c.canary == number], [canary_counts.c.token_id])
    groups = _groups(db, [row["token_id"] for row in rows]) if by == "group" else {}
    for row in rows:
        side = sums[row["arm"].strip()].setdefault(
            groups.get(row["token_id"], row["token_id"]), dict.fromkeys(_SUMS, 0.0)
        )
        for name in _SUMS:
            side[name] += float(row[name] or 0)
    return {arm: list(side.values()) for arm, side in sums.items()}


def _groups(db: Database, ids: Sequence[int]) -> dict[int, str]:
    """The groups that keys call with: their own, else their user's."""
    groups: dict[int, str] = {}
    for start in range(0, len(ids), _CHUNK):
        part = tokens.c.id.in_(ids[start : start + _CHUNK])
        chosen = select(tokens.c.id, tokens.c.group, users.c.group).join(users, users.c.id == tokens.c.user_id)
        with db.read() as connection:
            groups |= {row[0]: row[1] or row[2] or "default" for row in connection.execute(chosen.where(part))}
    return groups


def _canary(row: dict[str, Any]) -> Canary:
    return Canary(
        int(row["number"]),
        row["trial"],
        row["name"] or "",
        json.loads(row["rules"] or "{}"),
        Author(int(row["user_id"] or 0), row["username"] or ""),
        row["state"],
        row["reason"] or "",
        int(row["looks"] or 0),
        json.loads(row["verdict"] or "{}"),
        int(row["begun_at"] or 0),
        int(row["ended_at"] or 0),
    )
