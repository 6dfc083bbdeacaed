"""How long log rows are kept: they go, and the books go on agreeing."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

from engine.ledger import proof
from engine.server.building import WorkerParts
from engine.settings import Settings
from tests.ledger.conftest import Books

DAY = 86_400


def test_rows_go_after_their_days_and_the_books_still_agree(books: Books) -> None:
    ledger = books.ledger()
    ledger.start()
    for number, days in enumerate((40, 31, 29, 0)):
        entry = books.entry(number, 7)
        when = int(time.time()) - days * DAY
        ledger.put(replace(entry, created_at=when, row={**entry.row, "created_at": when}))
    assert ledger.flush()
    ledger.close()
    worker = SimpleNamespace(settings=Settings(log_days=30), db=books.db, log_db=books.db)
    for _ in range(2):
        WorkerParts._forget(worker, None)  # type: ignore[arg-type]
        assert books.sql("SELECT request_id FROM logs ORDER BY request_id") == [("r2",), ("r3",)]
    result = proof.verify(books.db, books.db, books.data / "journal")
    assert (result.agrees, result.calls, result.charged, result.older) == (True, 4, 28, [])
    books.db.write(lambda connection: connection.exec_driver_sql("DELETE FROM logs").rowcount)
    assert not proof.verify(books.db, books.db, books.data / "journal").agrees
