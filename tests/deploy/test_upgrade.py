"""This version over the one of before and back, with data, on each engine: what was there stays, and the books agree.

The old version is checked out beside (``older.py``); both are run by their own commands.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from engine.ledger import proof
from engine.settings import Settings
from engine.storage import migrations
from engine.storage.database import Database, open_database
from tests.databases import empty_database
from tests.deploy.test_rolling import PRICE, PROVIDER, Member, goes_back, upstream
from tests.storage.takeover import columns_of, snapshot
from tests.support import PATIENCE, ROOT, compiled, free_port

SECRET = "what the operator keeps elsewhere"
CHANGED = {migrations.VERSION_TABLE, "gatewright_facts", "gatewright_jobs"}
"""What tells of versions and of work, and not of people's things."""
CHARGE = 10
"""Units that one answer of the upstream costs."""


class Installation:
    """A database and a data directory, which one version or another runs on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.env = {"SQL_DSN": settings.sql_dsn, "GATEWRIGHT_DATA": str(settings.data), "CRYPTO_SECRET": SECRET}
        self.calls = 0

    def run(self, tree: Path, *words: str) -> str:
        """A command of a version."""
        command = [sys.executable, "-m", "engine.cli", *words]
        done = subprocess.run(
            command, cwd=tree, env={**os.environ, **self.env}, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def serve(self, tree: Path, *keys: str) -> None:
        """A version starts, answers calls with these keys, and ends."""
        member = Member(tree, self.settings.data, free_port(), self.settings.sql_dsn, {"CRYPTO_SECRET": SECRET})
        try:
            member.ready()
            for key in keys or ((self.settings.data / "first.key").read_text().strip(),):
                body = {"model": "acme-1", "messages": [{"role": "user", "content": "hi"}]}
                url, headers = f"http://127.0.0.1:{member.port}", {"authorization": f"Bearer {key}"}
                reply = requests.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE)
                assert reply.status_code == 200, reply.text
                self.calls += 1
        finally:
            assert member.stop(timeout=PATIENCE) == 0, member.output
        assert "Traceback" not in member.output, member.output

    def open(self, *, migrate: bool = False) -> Database:
        """The database, as this version sees it."""
        settings = Settings(data=self.settings.data, sql_dsn=self.settings.sql_dsn, crypto_secret=SECRET)
        return open_database(settings, migrate=migrate)

    def columns(self) -> dict[str, set[str]]:
        """The columns of each table that there is."""
        with closing(self.open()) as db:
            return columns_of(db)

    def rows(self, columns: dict[str, set[str]]) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of these columns."""
        with closing(self.open()) as db:
            return snapshot(db, columns)


@pytest.mark.parametrize("kind", ["sqlite", "mysql", "postgresql"])
@pytest.mark.xdist_group("rolling")
@pytest.mark.timeout(400)
def test_this_version_over_the_one_of_before_and_back_loses_nothing(kind: str, old: Path, tmp_path: Path) -> None:
    with upstream() as base, empty_database(kind, tmp_path / "data") as settings:
        site = Installation(settings)
        (settings.data / "specs").mkdir(parents=True)
        (settings.data / "specs" / "acme.yaml").write_text(PROVIDER.replace("BASE", base) + "---" + PRICE)
        compiled(settings.data)
        site.serve(old)
        first = (settings.data / "first.key").read_text().strip()
        site.run(old, "user", "create", "anna", "--quota", "100000")
        key = json.loads(site.run(old, "key", "create", "laptop", "--user", "anna", "--json"))["key"]
        code = json.loads(site.run(old, "code", "create", "gift", "--quota", "500", "--json"))[0]
        site.serve(old, first, key)
        columns = site.columns()
        before = site.rows(columns)

        site.open(migrate=True).close()  # what the first start of this version does
        after = site.rows(columns)
        for table in before.keys() - CHANGED:
            assert after[table] == before[table], table

        site.serve(ROOT, first, key)
        site.run(ROOT, "code", "redeem", code, "--user", "anna")
        late = json.loads(site.run(ROOT, "key", "create", "late", "--user", "anna", "--json"))["key"]
        if goes_back(old):
            site.serve(old, first, key, late)
            site.serve(ROOT, late)
        site.run(ROOT, "ledger", "verify")
        with closing(site.open()) as db:
            result = proof.verify(db, db, settings.data / "journal")
        assert (result.agrees, result.waiting) == (True, 0), result
        assert (result.calls, result.charged) == (site.calls, CHARGE * site.calls)
