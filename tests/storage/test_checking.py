"""`gatewright db check` and `upgrade` on a database that began as ours: nothing is missing, nothing is to be done."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from engine.accounts.keys import create_key
from engine.accounts.users import create_user
from engine.cli import main
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.migrations import HEAD
from engine.storage.upgrade.checking import check
from engine.storage.upgrade.upgrading import upgrade


@pytest.fixture
def run(empty: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GATEWRIGHT_DATA", str(empty.data))
    monkeypatch.setenv("SQL_DSN", empty.sql_dsn)

    def command(*words: str) -> str:
        result = CliRunner().invoke(main, ["db", *words])
        assert result.exit_code == 0, result.output
        return result.output

    return command


def test_a_fresh_database_has_nothing_outstanding(empty: Settings, run) -> None:
    db = open_database(empty)
    create_key(db, create_user(db, "someone", "a long password"), "k")
    report = check(db)
    assert (report.program, report.revision) == ("Gatewright", HEAD)
    assert (report.missing_tables, report.missing_columns, report.outstanding, report.findings) == ((), (), (), ())
    assert "steps" not in run("check")
    assert run("upgrade").strip() == f"{db.label}: there is nothing to do"
    done = upgrade(db)
    assert done.nothing
    assert not done.steps
    assert json.loads(run("check", "--json"))["outstanding"] == []
    db.close()


def test_an_older_revision_is_told_and_brought_up(empty: Settings, run) -> None:
    db = open_database(empty)
    db.write(lambda c: c.execute(text("ALTER TABLE gatewright_ledger DROP COLUMN logged")).rowcount)
    db.write(lambda c: c.execute(text("UPDATE gatewright_alembic SET version_num = '0002'")).rowcount)
    told = run("check")
    assert f"our revision: 0002 (an upgrade brings it to {HEAD})" in told
    assert "gatewright_ledger.logged" in told
    assert "our own tables are at the newest revision now" in run("upgrade")
    assert run("upgrade").strip() == f"{db.label}: there is nothing to do"
    assert "besides" not in run("check")
    db.close()
