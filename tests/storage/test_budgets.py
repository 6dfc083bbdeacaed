"""The durable count of budgets on each engine, with parallel writers."""

from __future__ import annotations

import threading
import time

from engine.storage.database import Database
from engine.storage.rows import budgets
from engine.storage.rows.budgets import Budget, Use
from tests.support import PATIENCE


def test_parallel_counts_add_up(db: Database) -> None:
    for holder in ("key", "user"):
        budgets.put(db, db, Budget(0, holder, 1, "day", "quota", 1000, 80))
    now = int(time.time())
    failures: list[BaseException] = []

    def count() -> None:
        try:
            for _ in range(10):
                db.write(
                    lambda connection: budgets.apply(connection, [Use(1, 1, 3, 0, now), Use(1, 2, 1, 0, now)], None)
                )
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert failures == []
    found = budgets.load(db)
    assert [budgets.used(db, found[holder, 1][0], now) for holder in ("key", "user")] == [120, 160]
    assert budgets.remove(db, found["key", 1][0].id)
    assert set(budgets.load(db)) == {("user", 1)}
