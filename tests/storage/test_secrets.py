"""Secrets at rest: plain by default, encrypted with CRYPTO_SECRET, read in both forms, brought under a new one."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from engine.cli import main
from engine.errors import Conflict, Invalid
from engine.settings import Settings
from engine.storage import rotation
from engine.storage.database import Database, connect, open_database
from engine.storage.dsn import resolve
from engine.storage.rows import channels, options
from engine.storage.vault import PREFIX, SealedError, Vault
from tests.storage import takeover

KEYS = '["一", "two"]'


def filled(db: Database) -> None:
    rows = {1: "up-secret", 2: "", 3: KEYS}

    def work(connection) -> int:
        quote = connection.dialect.identifier_preparer.quote
        for which, key in rows.items():
            sql = f"INSERT INTO channels (id, type, {quote('key')}, name, models) VALUES ({which}, 1, :key, 'c', 'm')"
            connection.execute(text(sql), {"key": key})
        for name, value in (("SMTPToken", "mail"), ("github.client_secret", "hub"), ("Notice", "hello")):
            connection.execute(
                text(f"INSERT INTO options ({quote('key')}, value) VALUES (:k, :v)"), {"k": name, "v": value}
            )
        connection.execute(text("INSERT INTO two_fas (id, user_id, secret) VALUES (1, 1, 'JBSWY3DP')"))
        return 0

    db.write(work)


def stored(db: Database) -> dict[object, str]:
    quote = db.dialect.identifier_preparer.quote
    with db.read() as connection:
        rows = connection.execute(text(f"SELECT id, {quote('key')} FROM channels")).all()
        rows += connection.execute(text(f"SELECT {quote('key')}, value FROM options")).all()
        rows += [("2fa", connection.execute(text("SELECT secret FROM two_fas")).scalar())]
    return dict(map(tuple, rows))


def test_secrets_are_read_in_both_forms_and_go_back(db: Database) -> None:
    filled(db)
    before = stored(db)
    assert rotation.rotate(db, "first", []) == 5
    held = stored(db)
    assert {name for name, value in held.items() if value.startswith(PREFIX)} == {
        1,
        3,
        "SMTPToken",
        "github.client_secret",
        "2fa",
    }
    assert (held[2], held["Notice"]) == ("", "hello")
    db.vault = Vault("first")
    try:
        assert [row.keys for row in channels.load(db)] == [("up-secret",), (), (KEYS,)]
        assert options.load(db)["SMTPToken"] == "mail"
        db.write(lambda c: c.execute(text("UPDATE channels SET name = 'same'")).rowcount)
        assert rotation.rotate(db, "first", []) == 0
        assert rotation.rotate(db, "second", ["first"]) == 5
        assert stored(db)[1] != held[1]
        assert rotation.uncover(db, "second", []) == 5
        assert stored(db) == before
        assert channels.load(db)[0].keys == ("up-secret",)
    finally:
        db.vault = Vault("")


def test_without_the_right_secret_nothing_is_changed_and_one_row_does_not_take_the_others(db: Database) -> None:
    filled(db)
    rotation.rotate(db, "first", [])
    db.write(lambda c: c.execute(text("UPDATE channels SET name = 'plain' WHERE id = 2")).rowcount)
    held = stored(db)
    with pytest.raises(SealedError, match=r"not the one that it was encrypted with.*nothing was changed"):
        rotation.rotate(db, "second", [])
    with pytest.raises(Invalid, match="nothing to encrypt with"):
        rotation.rotate(db, "", [])
    with pytest.raises(SealedError, match="CRYPTO_SECRET is not set"):
        rotation.uncover(db, "", [])
    assert stored(db) == held
    one, two, _ = channels.load(db)
    assert (one.keys, one.faults) == ((), ("channels.key: CRYPTO_SECRET is not set",))
    assert two.faults == ()
    assert "SMTPToken" not in options.load(db)
    assert options.load(db)["Notice"] == "hello"
    assert rotation.status(db)["channels.key"] == {"unreadable": 2}


def test_a_sealed_text_is_bound_to_its_place_and_can_not_be_changed() -> None:
    vault = Vault("secret")
    made = vault.seal("value", "channels.key")
    assert vault.open(made, "channels.key") == "value"
    assert vault.seal("value", "channels.key") != made
    assert vault.seal(made, "channels.key") == made
    assert vault.seal("", "channels.key") == ""
    for wrong in (made[:-4] + "AAA=", made[:20], f"{made}!"):
        with pytest.raises(SealedError):
            vault.open(wrong, "channels.key")
    with pytest.raises(SealedError, match="belongs to another place"):
        vault.open(made, "options.value")
    assert "value" not in made
    assert vault.open("plain", "channels.key") == "plain"


def test_a_secret_that_would_not_fit_is_told_before_anything_is_written(lite: Database) -> None:
    filled(lite)
    lite.write(lambda c: c.execute(text("UPDATE two_fas SET secret = :s"), {"s": "x" * 250}).rowcount)
    with pytest.raises(Conflict, match=r"two_fas\.secret: row 1 would not fit"):
        rotation.rotate(lite, "first", [])
    assert stored(lite)[1] == "up-secret"


@pytest.fixture
def older(tmp_path: Path, sheets: Path) -> Path:
    raw = connect(resolve("", "", tmp_path))
    takeover.build(raw, "one-api-0.5", sheets, "http://127.0.0.1:9", log_rows=1)
    raw.close()
    return tmp_path


def test_the_commands_on_an_older_database(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SQL_DSN", "SQLITE_PATH", "CRYPTO_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GATEWRIGHT_DATA", str(older))

    def run(*words: str) -> str:
        result = CliRunner().invoke(main, ["secrets", *words])
        return f"{result.exit_code} {result.output}"

    assert "channels.key: 3 plain" in run("status")
    assert run("rotate").startswith("1 Error: CRYPTO_SECRET is not set")
    monkeypatch.setenv("CRYPTO_SECRET", "one")
    assert run("rotate") == "0 3 secrets encrypted\n"
    monkeypatch.setenv("CRYPTO_SECRET", "two")
    monkeypatch.setenv("BEFORE", "one")
    assert run("rotate", "--older", "NOWHERE").startswith("2 ")
    assert run("rotate", "--older", "BEFORE") == "0 3 secrets encrypted\n"
    assert "channels.key: 3 encrypted" in run("status")
    db = open_database(Settings(data=older, crypto_secret="two"))
    assert channels.load(db)[0].keys == ("up-secret",)
    db.close()
    assert run("plain") == "0 3 secrets stored plain\n"
