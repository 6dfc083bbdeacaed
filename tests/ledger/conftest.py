"""Databases of the test's own on each engine, as in tests/storage, with an account and a ledger on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.accounts.keys import create_key
from engine.accounts.users import create_user
from engine.cluster.holds import Holds
from engine.ledger.commit import Ledger
from engine.storage.database import Database
from engine.storage.rows.posting import Entry
from tests.databases import server_database
from tests.soak.site import Site


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


FEW = {"SQL_MAX_OPEN_CONNS": "6"}
"""They live as long as the run, beside other gateways, and a server has a hundred connections."""


@pytest.fixture(scope="package")
def crowds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Site]]:
    """A gateway of four workers on each engine, made when first asked for; each test makes a payer of its own."""
    with ExitStack() as stack:
        made: dict[str, Site] = {}

        def get(kind: str) -> Site:
            if kind not in made:
                directory = tmp_path_factory.mktemp(f"crowd-{kind}")
                dsn = stack.enter_context(server_database(kind, directory)).sql_dsn if kind != "sqlite" else ""
                made[kind] = Site(directory / "site", dsn=dsn, workers=4, env=FEW)
                stack.callback(made[kind].close)
            return made[kind]

        yield get
