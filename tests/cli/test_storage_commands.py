"""The commands for keys, users and databases, as a terminal sees them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.cli import main
from engine.settings import Settings
from engine.storage import accounts
from engine.storage.database import open_database


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SQL_DSN", "SQLITE_PATH", "GATEWRIGHT_SPECS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GATEWRIGHT_DATA", str(tmp_path))
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_a_key_is_made_listed_and_revoked(data: Path) -> None:
    made = json.loads(run("user", "create", "ann", "--json").output)
    assert (made["name"], len(made["password"])) == ("ann", 16)
    key = run("key", "create", "laptop", "--user", "ann", "--model", "m", "--days", "1").output.strip()
    db = open_database(Settings(data=data))
    account = accounts.find_key(db, accounts.split_key(key)[0])
    db.close()
    assert account is not None
    assert account.model_limits == {"m"}
    listed = json.loads(run("key", "list", "--json").output)
    assert [entry["name"] for entry in listed] == ["laptop"]
    assert "ann/laptop" in run("key", "list").output
    assert run("key", "revoke", str(listed[0]["token_id"])).exit_code == 0
    assert run("key", "list").output == ""
    again = run("key", "revoke", key)
    assert (again.exit_code, "no such key" in again.output) == (1, True)


def test_mistakes_are_told_in_words() -> None:
    found = run("key", "create", "k", "--user", "nobody")
    assert found.exit_code == 1
    assert "no user 'nobody'" in found.output
    assert "at least 8" in run("user", "create", "u", "--password", "x").output


def test_a_database_is_described_and_left_alone(data: Path) -> None:
    missing = run("db", "check")
    assert (missing.exit_code, "no database file" in missing.output) == (1, True)
    run("user", "create", "u")
    report = json.loads(run("db", "check", "--json").output)
    assert (report["program"], report["numbering"], report["missing_columns"]) == ("Gatewright", "newApi", [])
    (data / "empty.db").touch()
    assert "empty" in run("db", "check", f"sqlite:///{data}/empty.db").output
    assert (data / "empty.db").stat().st_size <= 4096


def test_a_password_in_a_dsn_is_not_shown() -> None:
    found = run("db", "check", "postgres://u:hidden-word@127.0.0.1:9/x")
    assert found.exit_code == 1
    assert "127.0.0.1:9" in found.output
    assert "hidden-word" not in found.output
