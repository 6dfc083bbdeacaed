"""Databases of the test's own on each engine, as in tests/storage, with an account and a ledger on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.cluster.holds import Holds
from engine.ledger.commit import Ledger
from engine.storage.database import Database
from engine.storage.keys import create_key
from engine.storage.people import create_user
from engine.storage.posting import Entry
from tests.storage.conftest import db, kind, lite, opened, shared

__all__ = ["books_on", "db", "kind", "lite", "opened", "shared"]


@dataclass
class Books:
    """A database with one user and one key, and what makes entries for them."""

    db: Database
    data: Path
    user: int
    token: int
    holds: Holds

    def entry(self, number: int, quota: int, **more: Any) -> Entry:
        request = f"r{number}"
        row = {"user_id": self.user, "token_id": self.token, "request_id": request, "quota": quota, "model_name": "m"}
        made: dict[str, Any] = {
            "request_id": request, "created_at": int(time.time()), "user_id": self.user, "token_id": self.token,
            "channel_id": 0, "quota": quota, "counted": True, "source": "upstream", "row": row,
        }  # fmt: skip
        return Entry(**{**made, **more})

    def ledger(self, db: Any = None, **more: Any) -> Ledger:
        return Ledger(db or self.db, self.data / "journal", self.holds, **more)

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        with self.db.read() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(text)]

    def state(self) -> tuple[int, int, int, int, int, int]:
        """Balance, used, requests of the user; remainder, used of the key; log rows."""
        user = self.sql(f"SELECT quota, used_quota, request_count FROM users WHERE id = {self.user}")[0]
        token = self.sql(f"SELECT remain_quota, used_quota FROM tokens WHERE id = {self.token}")[0]
        return (*user, *token, self.sql("SELECT COUNT(*) FROM logs")[0][0])


def books_on(db: Database, data: Path, quota: int = 100_000) -> Books:
    """One user with one key, and counters of their own."""
    user = create_user(db, "payer", "a long password", quota=quota)
    key = create_key(db, user, "k", quota=quota)
    return Books(db, data, user, key.token_id, Holds(data / "holds"))


@pytest.fixture
def books(db: Database, tmp_path: Path) -> Iterator[Books]:
    """Books on each engine."""
    made = books_on(db, tmp_path / "own")
    yield made
    made.holds.close()


@pytest.fixture
def light(lite: Database, tmp_path: Path) -> Iterator[Books]:
    """Books on SQLite only."""
    made = books_on(lite, tmp_path / "own")
    yield made
    made.holds.close()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait for something to become true."""

    def wait(true: Callable[[], bool], seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "it did not become true in time"
            time.sleep(0.01)

    return wait
