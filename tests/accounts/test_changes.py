"""Users and keys are changed, balances with a note, in databases of every age."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from engine.accounts import keys, users
from engine.accounts.keys import KeyChange
from engine.errors import Conflict, Invalid, NotFound
from engine.settings import Settings
from engine.storage.database import Database, connect, open_database
from engine.storage.dsn import resolve
from engine.storage.rows import accounts
from tests.storage import takeover

PASSWORD = "correct horse"


@pytest.fixture
def key(db: Database) -> str:
    users.create_user(db, "ann", PASSWORD, quota=1000)
    return keys.create_key(db, "ann", "k", quota=50).key


def found(db: Database, key: str) -> accounts.Account:
    account = accounts.find_key(db, key[3:])
    assert account is not None
    return account


def notes(db: Database) -> list[tuple[int, int, int, str, str]]:
    with db.read() as connection:
        asked = text("SELECT user_id, token_id, amount, reason, reference FROM gatewright_grants ORDER BY id")
        return [tuple(row) for row in connection.execute(asked)]


def test_a_users_balance_changes_with_a_note(db: Database, key: str) -> None:
    user = found(db, key).user_id
    assert users.change_quota(db, "ann", add=500, reason="paid in cash") == 1500
    assert users.change_quota(db, user, add=-2000) == -500
    assert users.change_quota(db, "ann", to=7) == 7
    assert users.change_quota(db, "ann", to=7) == 7
    amounts = [(one[2], one[4]) for one in notes(db)]
    assert amounts == [(500, "paid in cash"), (-2000, "admin"), (507, "admin")]
    with pytest.raises(Invalid, match="would pass what the column holds"):
        users.change_quota(db, "ann", add=2**62)
    with pytest.raises(NotFound, match="no user 'bob'"):
        users.change_quota(db, "bob", add=1)


def test_a_disabled_user_is_listed_and_its_sessions_end(db: Database, key: str) -> None:
    users.change_user(db, "ann", enabled=False, group="贵宾")
    (ann,) = users.list_users(db)
    assert (ann.username, ann.status, ann.group, ann.quota) == ("ann", 2, "贵宾", 1000)
    assert found(db, key).user_status == 2
    with db.read() as connection:
        assert connection.execute(text("SELECT auth_version FROM users")).scalar() == 2
    users.change_user(db, "ann", enabled=True)
    assert found(db, key).user_status == 1


def test_a_keys_bounds_are_replaced_and_taken_off(db: Database, key: str) -> None:
    change = KeyChange(group="vip", quota=80, expires=99, models=["a", "b"], networks=["10.0.0.0/8"])
    assert keys.change_key(db, key, change)
    account = found(db, key)
    assert (account.group, account.remain_quota, account.expires) == ("vip", 80, 99)
    assert account.model_limits == {"a", "b"}
    assert [str(network) for network in account.networks] == ["10.0.0.0/8"]
    assert [one[1:3] for one in notes(db)] == [(account.token_id, 30)]
    off = KeyChange(group="", unlimited=True, expires=-1, models=[], networks=[], enabled=False)
    assert keys.change_key(db, account.token_id, off)
    account = found(db, key)
    assert (account.group, account.unlimited, account.expires, account.status) == ("default", True, -1, 2)
    assert (account.model_limits, account.networks) == (None, ())
    assert not keys.change_key(db, "sk-" + "x" * 48, off)


@pytest.mark.parametrize(
    ("status", "change", "expected"),
    [
        (4, KeyChange(quota=10), 1),
        (4, KeyChange(quota=0), 4),
        (4, KeyChange(unlimited=True), 1),
        (3, KeyChange(expires=-1), 1),
        (3, KeyChange(expires=5), 3),
        (3, KeyChange(quota=10), 3),
        (2, KeyChange(quota=10, expires=-1), 2),
    ],
)
def test_more_of_what_ran_out_brings_a_key_back(lite: Database, status: int, change: KeyChange, expected: int) -> None:
    users.create_user(lite, "ann", PASSWORD)
    key = keys.create_key(lite, "ann", "k", quota=0).key
    lite.write(lambda c: c.execute(text("UPDATE tokens SET status = :s"), {"s": status}).rowcount)
    keys.change_key(lite, key, change)
    assert found(lite, key).status == expected


@pytest.fixture
def older(empty: Settings, sheets, request: pytest.FixtureRequest) -> Iterator[Database]:
    raw = connect(resolve(empty.sql_dsn, "", empty.data))
    takeover.build(raw, request.param, sheets, "http://127.0.0.1:9")
    raw.close()
    db = open_database(empty)
    yield db
    db.close()


@pytest.mark.parametrize("older", ["one-api-0.6"], indirect=True)
def test_limits_are_written_where_the_older_program_looks(older: Database) -> None:
    assert keys.change_key(older, 2, KeyChange(models=["chat-b", "m"], networks=["::1", "10.1.0.0/16"], quota=9))
    account = found(older, "sk-" + takeover.LIMITED)
    assert account.model_limits == {"chat-b", "m"}
    assert [str(network) for network in account.networks] == ["::1/128", "10.1.0.0/16"]
    with older.read() as connection:
        row = connection.execute(text("SELECT models, subnet, remain_quota FROM tokens WHERE id = 2")).one()
    assert tuple(row) == ("chat-b,m", "::1,10.1.0.0/16", 9)
    with pytest.raises(Conflict, match="have no group"):
        keys.change_key(older, 2, KeyChange(group="vip"))
    assert [user.username for user in users.list_users(older)] == ["root", "李雷", "deleted_ab12", "off"]
    users.change_user(older, "李雷", enabled=False)
    assert found(older, "sk-" + takeover.LIMITED).user_status == 2


@pytest.mark.parametrize("older", ["one-api-0.5"], indirect=True)
def test_a_limit_that_nobody_could_read_is_refused(older: Database) -> None:
    with pytest.raises(Conflict, match="can't be bound to models"):
        keys.change_key(older, 2, KeyChange(models=["m"]))
