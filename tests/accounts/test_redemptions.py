"""Redemption codes: worth something once, whoever asks at the same time, in databases of every age."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from sqlalchemy import text

from engine.accounts import redemptions, users
from engine.accounts.redemptions import NotRedeemed
from engine.errors import GatewrightError, NotFound
from engine.settings import Settings
from engine.storage.database import Database, connect, open_database
from engine.storage.dsn import resolve
from tests.storage import takeover
from tests.support import PATIENCE


@pytest.fixture
def user(db: Database) -> int:
    return users.create_user(db, "ann", "correct horse", quota=5)


def quota(db: Database, user: int) -> int:
    with db.read() as connection:
        return int(connection.execute(text("SELECT quota FROM users WHERE id = :u"), {"u": user}).scalar() or 0)


def test_a_code_gives_its_quota_once(db: Database, user: int) -> None:
    first, second = redemptions.create(db, "促销", 500_000, count=2, creator=1)
    assert (len(first), first == second) == (32, False)
    assert redemptions.redeem(db, db, f" {first.upper()} ", user) == 500_000
    with pytest.raises(NotRedeemed, match="used already"):
        redemptions.redeem(db, db, first, user)
    assert quota(db, user) == 500_005
    used = redemptions.listed(db, redemptions.USED)
    assert [(code.key, code.used_by, code.name) for code in used] == [(first, user, "促销")]
    assert used[0].redeemed > 0
    with db.read() as connection:
        row = connection.execute(text("SELECT * FROM logs")).mappings().one()
        grant = connection.execute(text("SELECT amount, reason, reference FROM gatewright_grants")).one()
    assert (row["type"], row["user_id"], row["username"], row["quota"]) == (1, user, "ann", 500_000)
    assert tuple(grant) == (500_000, "redemption", str(used[0].id))


def test_of_many_who_ask_at_once_one_gets_it(db: Database, user: int) -> None:
    (code,) = redemptions.create(db, "race", 7)
    told: list[str] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        try:
            told.append(str(redemptions.redeem(db, db, code, user)))
        except NotRedeemed as error:
            told.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(told)[0] == "7"
    assert len(told) == 8
    assert told.count("7") == 1
    assert quota(db, user) == 12


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda db, code: redemptions.disable(db, redemptions.listed(db)[0].id), "disabled"),
        (lambda db, code: redemptions.remove(db, redemptions.listed(db)[0].id), "no such code"),
        (lambda db, code: run(db, "UPDATE redemptions SET expired_time = 5"), "expired"),
        (lambda db, code: run(db, "UPDATE redemptions SET quota = -5"), "worth nothing"),
        (lambda db, code: run(db, "UPDATE redemptions SET status = 3"), "used already"),
    ],
)
def test_a_code_that_is_worth_nothing_changes_nothing(
    lite: Database, spoil: Callable[[Database, str], object], why: str
) -> None:
    user = users.create_user(lite, "ann", "correct horse", quota=5)
    (code,) = redemptions.create(lite, "c", 7)
    spoil(lite, code)
    with pytest.raises(NotRedeemed, match=why):
        redemptions.redeem(lite, lite, code, user)
    assert quota(lite, user) == 5


def run(db: Database, sql: str) -> int:
    return db.write(lambda connection: connection.execute(text(sql)).rowcount)


def test_a_user_who_is_not_there_uses_up_no_code(lite: Database) -> None:
    (code,) = redemptions.create(lite, "c", 7)
    with pytest.raises(NotFound, match="user 99"):
        redemptions.redeem(lite, lite, code, 99)
    assert redemptions.listed(lite)[0].status == redemptions.UNUSED


@pytest.mark.parametrize(
    ("name", "quota", "more", "why"),
    [
        ("", 1, {}, "1 to 20 characters"),
        ("x" * 21, 1, {}, "1 to 20 characters"),
        ("x", 0, {}, "more than 0"),
        ("x", -5, {}, "more than 0"),
        ("x", 2**63, {}, "more than 0"),
        ("x", 1, {"count": 101}, "1 to 100"),
        ("x", 1, {"expires": int(time.time()) - 1}, "expired already"),
    ],
)
def test_codes_that_make_no_sense_are_not_made(
    lite: Database, name: str, quota: int, more: dict[str, int], why: str
) -> None:
    with pytest.raises(GatewrightError, match=why):
        redemptions.create(lite, name, quota, **more)
    assert redemptions.listed(lite) == []


@pytest.mark.parametrize("program", takeover.PROGRAMS)
def test_codes_of_older_programs_are_redeemed(empty: Settings, sheets, program: str) -> None:
    raw = connect(resolve(empty.sql_dsn, "", empty.data))
    takeover.build(raw, program, sheets, "http://127.0.0.1:9", log_rows=1)
    raw.close()
    db = open_database(empty)
    try:
        assert redemptions.redeem(db, db, "a" * 32, 2) == 500_000
        assert quota(db, 2) == 9_500_000
        with pytest.raises(NotRedeemed):
            redemptions.redeem(db, db, "a" * 32, 2)
        (made,) = redemptions.create(db, "ours", 3)
        assert redemptions.redeem(db, db, made, 1) == 3
        assert quota(db, 1) == takeover.HUGE + 3
        assert {code.status for code in redemptions.listed(db)} == {redemptions.USED}
    finally:
        db.close()
