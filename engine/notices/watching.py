"""What is noticed by looking: balances and keys near their end, budgets, and machines that refuse documents.

One process looks every few seconds at whoever called since the last time, so a finished call costs nothing for this.
Each thing is told once, and again only after it was well in between: a mark in the database says what was told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from engine.accounts.people import Person
from engine.jobs import Job, Lease
from engine.notices.ground import Ground
from engine.storage.database import Database
from engine.storage.releases import machines
from engine.storage.rows import budgets, people
from engine.storage.rows.api import teams
from engine.storage.rows.budgets import KEY, USER, Budget
from engine.storage.rows.crud import Row
from engine.storage.rows.work import called, marks, outbox
from engine.storage.rows.work.marks import Mark

EVERY, EVERY_KEY = 15.0, 3600.0
_OVERLAP = 60
"""Seconds that are looked at again: a call's entry may come into the database a little after its time."""
_SOON = 3 * 86_400
_MONTH = 40 * 86_400
LOW, SPENT, ENDS, PASSED, REFUSED, SEEN = "low:", "key:", "ends:", "budget:", "refused:", "seen"
_TENTH = 10


class Watch:
    """See the module."""

    def __init__(self, db: Database, ground: Callable[[], Ground], *, clock: Callable[[], float] = time.time) -> None:
        self._db, self._ground, self._clock = db, ground, clock
        self._cleaned = 0.0

    def jobs(self) -> list[Job]:
        """What is looked at, and how often."""
        return [Job("notices.watch", EVERY, self.look), Job("notices.keys", EVERY_KEY, self.look_at_keys)]

    def look(self, lease: Lease | None = None) -> str:
        """Look at whoever has called, and at all who were told before."""
        now = int(self._clock())
        mark = marks.below(self._db, SEEN).get("")
        users, keys = called.since(self._db, (mark.at if mark else now) - _OVERLAP)
        count = self._balances(users, now) + self._keys(keys, now) + self._budgets(users, keys, now)
        count += self._machines(now)
        self._db.write(lambda connection: marks.put(connection, SEEN, Mark(0, now)), durable=False)
        self._clean(now)
        return f"{count} things to tell, of {len(users)} people who called"

    def _balances(self, users: Iterable[int], now: int) -> int:
        """Once below the threshold, and again only after a top-up lifted it above."""
        ground, before = self._ground(), marks.below(self._db, LOW)
        warned = {int(which) for which in before if which.isdigit()}
        fresh: dict[str, tuple[int, dict[str, Any]]] = {}
        well: list[str] = []
        rows = people.by_ids(self._db, sorted({*users, *warned}))
        well += [f"{LOW}{which}" for which in warned - {row["id"] for row in rows}]
        for row in rows:
            balance, threshold = int(row.get("quota") or 0), ground.threshold(Person(row))
            if balance >= threshold and row["id"] in warned:
                well.append(f"{LOW}{row['id']}")
            elif balance < threshold and row["id"] not in warned:
                fresh[f"{LOW}{row['id']}"] = row["id"], {"units": balance, "threshold": threshold}
        return self._tell("balance.low", fresh, well, now)

    def _keys(self, keys: Iterable[int], now: int) -> int:
        """A key that is bounded, has less than a tenth left, and less than its owner's threshold."""
        ground, before = self._ground(), marks.below(self._db, SPENT)
        warned = {int(which) for which in before if which.isdigit()}
        rows = [row for row in called.keys(self._db, sorted({*keys, *warned})) if not row["unlimited_quota"]]
        owners = {row["id"]: Person(row) for row in people.by_ids(self._db, sorted({row["user_id"] for row in rows}))}
        fresh: dict[str, tuple[int, dict[str, Any]]] = {}
        well: list[str] = []
        for row in rows:
            owner, left = owners.get(row["user_id"]), int(row["remain_quota"] or 0)
            if owner is None:
                continue
            bound = min(ground.threshold(owner), (left + int(row["used_quota"] or 0)) // _TENTH)
            if left >= bound and row["id"] in warned:
                well.append(f"{SPENT}{row['id']}")
            elif left < bound and row["id"] not in warned:
                values = {"key": row["name"] or str(row["id"]), "why": "quota", "units": left}
                fresh[f"{SPENT}{row['id']}"] = owner.id, values
        return self._tell("key.ending", fresh, well, now)

    def look_at_keys(self, lease: Lease | None = None) -> str:
        """Keys that end within three days."""
        now, before = int(self._clock()), marks.below(self._db, ENDS)
        fresh: dict[str, tuple[int, dict[str, Any]]] = {}
        for row in called.ending(self._db, now, now + _SOON):
            name = f"{row['id']}:{row['expired_time']}"
            values = {"key": row["name"] or str(row["id"]), "why": "time", "expires_at": row["expired_time"]}
            if name not in before:
                fresh[f"{ENDS}{name}"] = row["user_id"], values
        return f"{self._tell('key.ending', fresh, (), now)} keys end soon"

    def _budgets(self, users: Iterable[int], keys: Iterable[int], now: int) -> int:
        """Each of its two bounds once in a period: where warnings begin, and all of it."""
        known = budgets.bind(self._db)
        holders = [*((USER, which) for which in users), *((KEY, which) for which in keys)]
        binding = {budget for holder in holders for budget in known.by_holder.get(holder, ())}
        binding |= {budget for which in keys for budget in known.by_key.get(which, ())}
        before, fresh = marks.below(self._db, PASSED) if binding else {}, {}
        for budget in sorted(binding, key=lambda budget: budget.id):
            used = budgets.used(self._db, budget, now)
            begins = budgets.begins(budget.period, now, self._db.zone)
            percent = used * 100 // max(1, budget.limit(begins))
            for level in {budget.soft_percent, 100} - {0}:
                name = f"{budget.id}:{begins}:{level}"
                whose = self._holder(budget) if percent >= level and name not in before else None
                if whose is not None:
                    fresh[f"{PASSED}{name}"] = whose[0], {**_of_budget(budget, used, percent), "name": whose[1]}
        return self._tell("budget.passed", fresh, (), now)

    def _holder(self, budget: Budget) -> tuple[int, str] | None:
        """Whom to tell, and what the holder is called."""
        if budget.holder == KEY:
            rows = called.keys(self._db, [budget.holder_id])
            return (rows[0]["user_id"], rows[0]["name"] or str(budget.holder_id)) if rows else None
        if budget.holder != USER:
            return teams.told_of_holder(self._db, budget.holder, budget.holder_id)
        name = people.names(self._db, [budget.holder_id]).get(budget.holder_id)
        return (budget.holder_id, name) if name is not None else None

    def _machines(self, now: int) -> int:
        """A machine that can't take up the newest documents."""
        before = marks.below(self._db, REFUSED)
        there = machines.listed(self._db)
        fresh: dict[str, tuple[int, dict[str, Any]]] = {}
        for machine in there:
            if not machine.ok and not machine.silent and machine.id not in before:
                faults = machine.report.get("faults")
                first = str(faults[0]) if isinstance(faults, list) and faults else ""
                fresh[f"{REFUSED}{machine.id}"] = 0, {"machine": machine.name, "fault": first}
        refusing = {machine.id for machine in there if not machine.ok}
        return self._tell("documents.refused", fresh, [REFUSED + id_ for id_ in before if id_ not in refusing], now)

    def _tell(self, event: str, fresh: Mapping[str, tuple[int, dict[str, Any]]], well: Iterable[str], now: int) -> int:
        """Put in an event for each mark that is new; take away those of what is well again."""
        gone = list(well)
        if not fresh and not gone:
            return 0

        def work(connection: Connection) -> None:
            marks.drop(connection, gone)
            for name, (user, values) in fresh.items():
                marks.put(connection, name, Mark(1, now))
                outbox.happened(self._db, connection, event, values, user)

        self._db.write(work)
        return len(fresh)

    def _clean(self, now: int) -> None:
        """Marks that mean nothing any more go, once an hour."""
        if now - self._cleaned > EVERY_KEY:
            self._cleaned = now
            marks.forget(self._db, (PASSED, ENDS), now - _MONTH)
            marks.forget(self._db, ("limit:",), now - 86_400)


def _of_budget(budget: Budget, used: int, percent: int) -> Row:
    return {
        "holder": budget.holder,
        "holder_id": budget.holder_id,
        "period": budget.period,
        "unit": budget.unit,
        "amount": budget.amount,
        "used": used,
        "percent": percent,
    }
