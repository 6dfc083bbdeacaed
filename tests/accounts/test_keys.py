"""Keys and users: made, found, limited and revoked, on each engine and in databases of every age."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from engine.accounts import first_start, keys, passwords, users
from engine.errors import Conflict, Invalid, NotFound
from engine.settings import Settings
from engine.storage.database import Database, connect, open_database
from engine.storage.dsn import resolve
from engine.storage.rows import accounts

PASSWORD = "correct horse"


def run(db: Database, sql: str, **values: Any) -> None:
    db.write(lambda connection: connection.execute(text(sql), values).rowcount)


def test_a_made_key_finds_its_account(db: Database) -> None:
    user = users.create_user(db, "李雷", PASSWORD, group="vip", quota=5)
    made = keys.create_key(db, "李雷", "notebook", group="auto", quota=70, expires=99, models=["m-1", "m-2"])
    bare, channel = accounts.split_key(made.key)
    account = accounts.find_key(db, bare)
    assert account is not None
    assert channel is None
    assert (account.user_id, account.username, account.user_group, account.user_quota) == (user, "李雷", "vip", 5)
    assert (account.token_id, account.token_name, account.group) == (made.token_id, "notebook", "auto")
    assert (account.unlimited, account.remain_quota, account.expires, account.status) == (False, 70, 99, 1)
    assert account.model_limits == {"m-1", "m-2"}
    assert (account.user_status, account.user_deleted, account.admin) == (1, False, False)


@pytest.mark.parametrize(
    ("setting", "logged"),
    [
        ("", False),
        (None, False),
        ('{"record_ip_log": true}', True),
        ('{"record_ip_log": false}', False),
        ('{"a": "record_ip_log"}', False),
        ("record_ip_log, broken", False),
        ('["record_ip_log"]', False),
    ],
)
def test_a_user_says_whether_its_addresses_are_logged(lite: Database, setting: str | None, logged: bool) -> None:
    key = keys.create_key(lite, users.create_user(lite, "ann", PASSWORD), "k").key
    run(lite, "UPDATE users SET setting = :setting", setting=setting)
    row = accounts.find_row(lite, accounts.split_key(key)[0])
    assert row is not None
    assert accounts.account(row, "k").logs_ip is logged
    assert accounts.account(row[:-1], "k").logs_ip is logged
    assert accounts.account(row[:-2], "k").logs_ip is logged
    assert not accounts.account(row[:-3], "k").logs_ip, "a row that an older release kept for outages"


def test_keys_have_the_familys_form(db: Database) -> None:
    users.create_user(db, "u", PASSWORD)
    made = keys.create_key(db, "u", "k")
    assert made.key.startswith("sk-")
    assert len(made.key) == 51
    assert made.key[3:].isalnum()
    with db.read() as connection:
        stored = connection.execute(text("SELECT * FROM tokens")).mappings().one()
    assert stored["key"] == made.key[3:]


def test_a_key_without_limits_is_unlimited(lite: Database) -> None:
    users.create_user(lite, "u", PASSWORD)
    account = accounts.find_key(lite, keys.create_key(lite, "u", "k").key[3:])
    assert account is not None
    assert (account.unlimited, account.model_limits, account.networks, account.group) == (True, None, (), "default")


def test_a_key_in_another_case_is_another_key(db: Database) -> None:
    users.create_user(db, "u", PASSWORD)
    bare = keys.create_key(db, "u", "k").key[3:]
    assert accounts.find_key(db, bare) is not None
    assert accounts.find_key(db, bare.swapcase()) is None
    assert accounts.find_key(db, "") is None
    assert accounts.find_key(db, "' OR 1=1 --\0") is None


def test_a_revoked_key_is_gone_at_once_and_stays_in_the_table(db: Database) -> None:
    users.create_user(db, "u", PASSWORD)
    made = keys.create_key(db, "u", "k")
    assert keys.revoke_key(db, made.key)
    assert accounts.find_key(db, made.key[3:]) is None
    assert not keys.revoke_key(db, made.key)
    assert not keys.revoke_key(db, 4711)
    assert keys.list_keys(db) == []
    with db.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM tokens WHERE deleted_at IS NOT NULL")).scalar() == 1


def test_lists_mask_the_key(lite: Database) -> None:
    users.create_user(lite, "u", PASSWORD)
    users.create_user(lite, "v", PASSWORD)
    made = keys.create_key(lite, "u", "mine")
    keys.create_key(lite, "v", "other")
    (listed,) = keys.list_keys(lite, "u")
    assert (listed.name, listed.username) == ("mine", "u")
    assert made.key not in repr(listed)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("sk-abc", ("abc", None)),
        ("abc", ("abc", None)),
        ("sk-abc-17", ("abc", 17)),
        ("sk-abc-x", ("abc", -1)),
        ("sk-abc-1-2", ("abc", -1)),
        (" sk-abc ", ("abc", None)),
        ("sk-sk-abc", ("sk", -1)),
        ("", ("", None)),
    ],
)
def test_a_key_as_sent_splits_into_key_and_channel(sent: str, expected: tuple[str, int | None]) -> None:
    assert accounts.split_key(sent) == expected


def test_networks_are_read_leniently_but_never_open_the_door() -> None:
    assert accounts.networks(None) == accounts.networks(" \n") == ()
    one, two = accounts.networks("10.1.2.3/8\n\n 2001:db8::/32 ,nonsense")
    assert ip_address("10.9.9.9") in one
    assert ip_address("2001:db8::1") in two
    (nobody,) = accounts.networks("nonsense")
    assert ip_address("127.0.0.1") not in nobody


def test_both_programs_limits_hold(lite: Database) -> None:
    users.create_user(lite, "u", PASSWORD)
    made = keys.create_key(lite, "u", "k", models=["a", "b"], networks=["10.0.0.0/8"])
    run(lite, "ALTER TABLE tokens ADD COLUMN models text")
    run(lite, "ALTER TABLE tokens ADD COLUMN subnet text")
    run(lite, "UPDATE tokens SET models = 'b, c', subnet = '10.1.0.0/16,192.168.0.0/16'")
    lite.look()
    account = accounts.find_key(lite, made.key[3:])
    assert account is not None
    assert account.model_limits == {"b"}
    assert [str(network) for network in account.networks] == ["10.1.0.0/16"]


@pytest.mark.parametrize("program", ["one-api-0.5", "one-api-0.6", "new-api-2025-04", "new-api-2026-08"])
def test_keys_of_older_programs_are_found(empty: Settings, kind: str, sheets: Path, program: str) -> None:
    raw = connect(resolve(empty.sql_dsn, "", empty.data))
    lines = (sheets / f"{program}-{kind}.sql").read_text().splitlines()
    for statement in "\n".join(line for line in lines if not line.startswith("--")).split(";\n"):
        if statement.strip():
            raw.write(lambda connection, statement=statement: connection.exec_driver_sql(statement).rowcount)
    raw.close()
    db = open_database(empty)
    q = db.dialect.identifier_preparer.quote
    bare = "aB3" * 16
    try:
        insert = f"INSERT INTO users (id, username, password, status, {q('group')}, access_token, aff_code)"
        run(db, f"{insert} VALUES (7, 'root', '', 1, NULL, 'abc', 'xyz')")
        run(db, f"INSERT INTO tokens (id, user_id, {q('key')}, status, name) VALUES (3, 7, '{bare}', 1, NULL)")
        if program == "one-api-0.6":
            run(db, "UPDATE tokens SET models = 'm-1,m-2', subnet = '10.0.0.0/8'")
        account = accounts.find_key(db, bare)
        assert account is not None
        assert (account.user_id, account.username, account.token_name, account.group) == (7, "root", "", "default")
        limited = program == "one-api-0.6"
        assert account.model_limits == (frozenset({"m-1", "m-2"}) if limited else None)
        assert bool(account.networks) is limited
        # and ours can be made beside them
        user = users.create_user(db, "second", PASSWORD)
        made = keys.create_key(db, user, "k")
        found = accounts.find_key(db, made.key[3:])
        assert found is not None
        assert found.user_id == user
        assert keys.revoke_key(db, made.token_id)
        assert accounts.find_key(db, made.key[3:]) is None
    finally:
        db.close()


def test_a_limit_that_an_older_table_cannot_hold_is_refused(lite: Database) -> None:
    users.create_user(lite, "u", PASSWORD)
    lite.write(lambda connection: connection.exec_driver_sql("ALTER TABLE tokens DROP COLUMN model_limits").rowcount)
    lite.look()
    with pytest.raises(Conflict, match="model_limits"):
        keys.create_key(lite, "u", "k", models=["m"])


def test_the_first_start_happens_once(db: Database) -> None:
    first = first_start.first_start(db)
    assert first is not None
    account = accounts.find_key(db, first.key[3:])
    assert account is not None
    assert account.admin
    with db.read() as connection:
        kept = connection.execute(text("SELECT password FROM users")).scalar()
    assert passwords.check_password(first.password, str(kept))
    assert str(kept).startswith("$2b$10$")
    assert first_start.first_start(db) is None


def test_a_name_is_taken_once(db: Database) -> None:
    users.create_user(db, "u", PASSWORD)
    with pytest.raises(Conflict, match="already"):
        users.create_user(db, "u", PASSWORD)


@pytest.mark.parametrize(("password", "why"), [("short", "8 are needed"), ("ü" * 37, "74 bytes")])
def test_passwords_that_cannot_be_kept_whole_are_refused(lite: Database, password: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        users.create_user(lite, "u", password)


def test_a_password_of_72_bytes_counts_to_its_last_byte() -> None:
    kept = passwords.hash_password("äöüßé" * 7 + "ä")
    assert passwords.check_password("äöüßé" * 7 + "ä", kept)
    assert not passwords.check_password("äöüßé" * 7 + "ab", kept)
    assert not passwords.check_password("äöüßé" * 7 + "äx", kept)
    assert not passwords.check_password("", "")
    assert not passwords.check_password("x", "no bcrypt")


def test_unknown_users_and_bad_networks_are_named(lite: Database) -> None:
    with pytest.raises(NotFound, match="no user 'nobody'"):
        keys.create_key(lite, "nobody", "k")
    users.create_user(lite, "u", PASSWORD)
    with pytest.raises(Invalid, match=r"10\.0\.0\.300"):
        keys.create_key(lite, "u", "k", networks=["10.0.0.300"])
