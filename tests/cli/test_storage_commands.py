"""The commands for keys, users and databases, as a terminal sees them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from engine.accounts.factors import proofs
from engine.cli import main
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.rows import accounts, factors
from engine.storage.rows.api import passkeys


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


def test_rewards_for_invitations_are_moved_to_the_balance(data: Path) -> None:
    run("user", "create", "ann", "--quota", "5")
    db = open_database(Settings(data=data))
    db.write(lambda c: c.execute(text("UPDATE users SET aff_quota = 1200000 WHERE username = 'ann'")).rowcount)
    db.close()
    assert run("user", "transfer", "ann", "--quota", "700000").output == (
        "ann: 700000 moved; 700005 quota units left, 500000 of rewards\n"
    )
    assert json.loads(run("user", "transfer", "ann", "--json").output) == {
        "amount": 500_000, "balance": 1_200_005, "left": 0,
    }  # fmt: skip
    wrong = {("ann",): "the user has 0", ("ann", "--quota", "9"): "from 500000", ("nobody",): "no user 'nobody'"}
    for words, why in wrong.items():
        told = run("user", "transfer", *words)
        assert (told.exit_code, why in told.output) == (1, True), told.output


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


def test_a_user_is_listed_disabled_and_given_quota() -> None:
    run("user", "create", "ann", "--quota", "5")
    assert json.loads(run("user", "quota", "ann", "--add", "10", "--json").output) == {"quota": 15}
    assert run("user", "quota", "ann", "--set", "3", "--reason", "correction").output == "ann: 3 quota units left\n"
    assert run("user", "quota", "ann").exit_code == 2
    assert run("user", "disable", "ann").exit_code == 0
    assert run("user", "group", "ann", "vip").exit_code == 0
    (ann,) = json.loads(run("user", "list", "--json").output)
    assert (ann["username"], ann["status"], ann["quota"], ann["group"]) == ("ann", 2, 3, "vip")
    assert "disabled" in run("user", "list").output
    assert run("user", "enable", "ann").exit_code == 0
    assert run("user", "disable", "bob").exit_code == 1


def test_a_keys_bounds_are_changed(data: Path) -> None:
    run("user", "create", "ann")
    key = run("key", "create", "laptop", "--user", "ann").output.strip()
    words = ("--quota", "9", "--model", "a", "--network", "10.0.0.0/8", "--disable", "--days", "1")
    assert run("key", "change", key, *words).exit_code == 0
    db = open_database(Settings(data=data))
    try:
        account = accounts.find_key(db, key[3:])
        assert account is not None
        assert (account.remain_quota, account.unlimited, account.status) == (9, False, 2)
        assert account.model_limits == {"a"}
        assert account.expires > 0
    finally:
        db.close()
    assert run("key", "change", "1", "--any-model", "--any-network", "--unlimited", "--enable").exit_code == 0
    assert run("key", "change", "77", "--enable").exit_code == 1
    assert run("key", "change", "1", "--network", "nonsense").exit_code == 1


def test_codes_are_made_redeemed_and_switched_off() -> None:
    run("user", "create", "ann")
    one, two = json.loads(run("code", "create", "gift", "--quota", "500", "--count", "2", "--json").output)
    assert run("code", "redeem", one, "--user", "ann").output == "500 quota units for ann\n"
    again = run("code", "redeem", one, "--user", "ann")
    assert (again.exit_code, "used already" in again.output) == (1, True)
    (left,) = json.loads(run("code", "list", "--status", "unused", "--json").output)
    assert left["key"] == two
    assert run("code", "disable", str(left["id"])).exit_code == 0
    assert run("code", "disable", str(left["id"])).exit_code == 1
    assert run("code", "remove", str(left["id"])).exit_code == 0
    assert one in run("code", "list").output


def test_budgets_are_set_listed_and_removed() -> None:
    run("user", "create", "ann")
    assert run("budget", "set", "--user", "ann", "--period", "month", "--quota", "500").exit_code == 0
    assert run("budget", "set", "--key", "7", "--period", "day", "--tokens", "90", "--warn", "50").exit_code == 0
    assert run("budget", "set", "--key", "7", "--user", "ann", "--period", "day", "--tokens", "1").exit_code == 2
    assert run("budget", "set", "--user", "bob", "--period", "day", "--tokens", "1").exit_code == 1
    listed = json.loads(run("budget", "list", "--json").output)
    assert [(one["holder"], one["amount"], one["used"]) for one in listed] == [("user", 500, 0), ("key", 90, 0)]
    assert "0 of 500 quota a month" in run("budget", "list").output
    assert run("budget", "set", "--new", "user", "--period", "day", "--quota", "7").exit_code == 0
    assert run("budget", "set", "--new", "user", "--user", "ann", "--period", "day", "--quota", "7").exit_code == 2
    assert re.search(r"user +new +0 of 7 quota a day", run("budget", "list").output)
    assert run("user", "create", "carl", "--password", "a long password").exit_code == 0
    assert [row["amount"] for row in json.loads(run("budget", "list", "--json").output)].count(7) == 2
    assert run("budget", "remove", str(listed[0]["id"])).exit_code == 0
    assert run("budget", "remove", str(listed[0]["id"])).exit_code == 1


def test_factors_that_nobody_has_any_more_are_switched_off(data: Path) -> None:
    run("user", "create", "ann", "--role", "root")
    db = open_database(Settings(data=data))
    try:
        row = {"user_id": 1, "credential_id": "aWQ", "public_key": "a2V5", "name": "Lost", "asked_for": True}
        db.write(lambda connection: passkeys.add(db, connection, b"id", row))
        db.write(lambda connection: factors.put(db, connection, 1, "secret", ["hash"]))
        db.write(lambda connection: factors.change(db, connection, 1, {"is_enabled": True}))
        assert proofs.asked(db, 1)
        assert run("user", "factors-off", "ann").output == "ann: signs in without a second factor\n"
        assert not proofs.asked(db, 1)
        assert proofs.methods(db, 1) == []
    finally:
        db.close()
    told = run("user", "factors-off", "nobody")
    assert (told.exit_code, "no user 'nobody'" in told.output) == (1, True)
