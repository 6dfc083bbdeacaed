"""Budgets bind keys and users by day, week and month: exact in the database, atomic between workers."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.accounts import keys, own_keys, users
from engine.accounts.budgets import set_budget
from engine.cluster.store import EmbeddedStore
from engine.errors import Invalid
from engine.ledger.budgets import Budgets, Exceeded
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.rows import accounts, budgets
from engine.storage.rows.budgets import Budget, Use
from engine.storage.rows.posting import Entry, post
from tests.support import PATIENCE

NOW = 0.0


@pytest.fixture(autouse=True)
def _begins_now() -> None:
    """A test's time stands still from its beginning, as what was held long ago is given back by nobody."""
    global NOW
    NOW = time.time()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(Settings(data=tmp_path))
    users.create_user(opened, "ann", "correct horse")
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    made = EmbeddedStore(tmp_path / "state.db", clock=lambda: NOW)
    yield made
    made.close()


@pytest.fixture
def account(db: Database) -> accounts.Account:
    found = accounts.find_key(db, keys.create_key(db, "ann", "k").key[3:])
    assert found is not None
    return found


def worker(db: Database, store: EmbeddedStore) -> Budgets:
    return Budgets(db, store.space("budgets"))


def bound(db: Database, amount: int, *, holder: str = "key", period: str = "day", unit: str = "quota", soft: int = 80):
    budgets.put(db, db, Budget(0, holder, 1, period, unit, amount, soft))


def used(db: Database) -> dict[tuple[str, str], int]:
    return {(one.holder, one.period): budgets.used(db, one, NOW) for all_ in budgets.load(db).values() for one in all_}


def entry(
    request_id: str, quota: int, tokens: int = 0, token: int = 1, at: float | None = None, counted: bool = True
) -> Entry:
    moment = int(NOW if at is None else at)
    row: Any = {"prompt_tokens": tokens, "completion_tokens": 0, "request_id": request_id, "user_id": 1}
    row |= {"token_id": token, "created_at": moment, "quota": quota}
    return Entry(request_id, moment, 1, token, 0, quota, counted, "upstream", row)


def test_callers_without_a_budget_are_not_held_up(
    db: Database, store: EmbeddedStore, account: accounts.Account
) -> None:
    held = worker(db, store).check(account, quota=10**12, tokens=10**12, now=NOW)
    assert held.parts == []


def test_a_used_up_budget_refuses_and_says_when_it_begins_anew(
    db: Database, store: EmbeddedStore, account: accounts.Account
) -> None:
    bound(db, 100)
    one = worker(db, store)
    held = one.check(account, quota=60, tokens=0, now=NOW)
    one.add(held, quota=30, tokens=5)
    second = one.check(account, quota=70, tokens=0, now=NOW)
    one.add(second, quota=70, tokens=0)
    with pytest.raises(Exceeded, match="this API key's budget of 100 quota a day is used up; it begins") as refused:
        one.check(account, quota=0, tokens=0, now=NOW)
    assert 0 < refused.value.resets - NOW <= 25 * 3600


def test_a_budget_says_what_filled_it(db: Database, store: EmbeddedStore, account: accounts.Account) -> None:
    bound(db, 100)
    one = worker(db, store)
    held = one.check(account, quota=60, tokens=0, now=NOW)
    with pytest.raises(Exceeded, match="filled by calls under way, which hold 60 of it besides 0 used") as refused:
        one.check(account, quota=60, tokens=0, now=NOW)
    assert refused.value.resets - NOW < 60
    one.add(held, quota=60, tokens=0)
    with pytest.raises(Exceeded, match="has 40 left, which can't hold the 60 that this call may use") as refused:
        one.check(account, quota=60, tokens=0, now=NOW)
    assert refused.value.resets - NOW > 60


def test_a_warning_comes_before_the_end(db: Database, store: EmbeddedStore, account: accounts.Account) -> None:
    bound(db, 1000, holder="user", unit="tokens", period="month", soft=50)
    one = worker(db, store)
    first = one.check(account, quota=0, tokens=400, now=NOW)
    assert first.warnings == ()
    one.add(first, quota=0, tokens=400)
    assert one.check(account, quota=0, tokens=100, now=NOW).warnings == (
        "the user's budget of 1000 tokens a month is used to 50 percent",
    )


def test_parallel_calls_of_several_workers_do_not_pass_it(
    db: Database, store: EmbeddedStore, account: accounts.Account
) -> None:
    bound(db, 100)
    workers = [worker(db, store) for _ in range(4)]
    let_in: list[int] = []

    def ask(one: Budgets) -> None:
        for _ in range(25):
            try:
                one.check(account, quota=10, tokens=0, now=NOW)
                let_in.append(1)
            except Exceeded:
                pass

    threads = [threading.Thread(target=ask, args=(one,)) for one in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(let_in) == 10


def test_what_a_dead_process_held_is_free_again_after_a_while(db: Database, tmp_path: Path, account) -> None:
    bound(db, 100)
    clock = [NOW]
    store = EmbeddedStore(tmp_path / "clock.db", clock=lambda: clock[0])
    one = worker(db, store)
    one.check(account, quota=100, tokens=0, now=NOW)
    clock[0] = NOW + 1000
    if budgets.begins("day", NOW, None) == budgets.begins("day", clock[0], None):
        assert one.check(account, quota=100, tokens=0, now=clock[0]).parts
    store.close()


def test_counts_that_shared_state_lost_come_from_the_database(
    db: Database, store: EmbeddedStore, account: accounts.Account
) -> None:
    bound(db, 100)
    one = worker(db, store)
    db.write(lambda connection: one.book(connection, [entry("r", 90)]))
    store.space("budgets").clear()
    with pytest.raises(Exceeded):
        one.check(account, quota=20, tokens=0, now=NOW)
    one.check(account, quota=5, tokens=0, now=NOW)


def test_a_new_budget_starts_with_what_the_logs_say(db: Database) -> None:
    yesterday = budgets.begins("month", NOW, None) - 100
    entries = [entry("a", 7, 3), entry("b", 5, 2), entry("c", 1000, 9, at=yesterday), entry("d", 50, 1, token=2)]
    db.write(lambda connection: len(post(connection, db, entries)))
    bound(db, 100, period="month")
    bound(db, 100, holder="user", period="month")
    bound(db, 100, period="month", unit="tokens")
    assert used(db)["key", "month"] == 5
    assert used(db)["user", "month"] == 62
    bound(db, 500, holder="user", period="month")
    assert used(db)["user", "month"] == 62
    assert [one.amount for all_ in budgets.load(db).values() for one in all_ if one.holder == "user"] == [500]


def test_uses_are_counted_to_the_period_they_belong_to(db: Database) -> None:
    for period in budgets.PERIODS:
        bound(db, 100, period=period)
    long_ago = NOW - 40 * 86400
    uses = [
        Use(1, 1, 5, 0, int(NOW)),
        Use(1, 1, 6, 0, int(NOW)),
        Use(1, 2, 9, 0, int(NOW)),
        Use(1, 1, 50, 0, int(long_ago)),
    ]
    db.write(lambda connection: budgets.apply(connection, uses, None))
    assert used(db) == {("key", "day"): 11, ("key", "week"): 11, ("key", "month"): 11}


@pytest.mark.parametrize(
    ("zone", "now", "begun", "ended"),
    [
        ("Asia/Shanghai", "2026-11-28T17:00+00:00", "2026-11-29T00:00+08:00", "2026-11-30T00:00+08:00"),
        ("America/New_York", "2026-11-28T04:59+00:00", "2026-11-27T00:00-05:00", "2026-11-28T00:00-05:00"),
        ("Europe/Berlin", "2026-03-29T12:00+00:00", "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00"),
        ("Europe/Berlin", "2026-10-25T12:00+00:00", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"),
        ("Asia/Kathmandu", "2026-11-28T18:14+00:00", "2026-11-28T00:00+05:45", "2026-11-29T00:00+05:45"),
    ],
)
def test_days_begin_where_the_zone_says_whatever_the_process_is_in(zone: str, now: str, begun: str, ended: str) -> None:
    def moment(text: str) -> int:
        return int(datetime.datetime.fromisoformat(text).timestamp())

    assert budgets.begins("day", moment(now), ZoneInfo(zone)) == moment(begun)
    assert budgets.ends("day", moment(now), ZoneInfo(zone)) == moment(ended)


def test_what_was_used_today_is_not_lost_when_the_zone_changes(
    tmp_path: Path, store: EmbeddedStore, account: accounts.Account
) -> None:
    def begin(zone: str) -> Database:
        db = open_database(Settings(data=tmp_path, timezone=zone))
        budgets.follow_zone(db)
        return db

    def worker_on(db: Database) -> Budgets:
        return Budgets(db, store.space("budgets"))

    # two zones in both of which NOW and the seconds before it are of one day
    first, second = [
        zone
        for zone in ("UTC", "Asia/Shanghai", "America/New_York", "Pacific/Auckland")
        if budgets.begins("day", NOW, ZoneInfo(zone)) < NOW - 100
    ][:2]
    db = begin(first)
    for period in budgets.PERIODS:
        bound(db, 100, period=period)
    mine = worker_on(db)
    held = mine.check(account, quota=40, tokens=0, now=NOW)
    mine.add(held, quota=40, tokens=0)
    db.write(lambda c: [post(c, db, [entry("a", 40)]), mine.book(c, [entry("a", 40)])])
    db.close()
    for zone, quota in ((second, 30), (first, 20)):
        db = begin(zone)
        mine = worker_on(db)
        with pytest.raises(Exceeded):
            mine.check(account, quota=61 if zone == second else 31, tokens=0, now=NOW)
        held = mine.check(account, quota=quota, tokens=0, now=NOW)
        mine.add(held, quota=quota, tokens=0)
        name = f"at {zone}"
        db.write(
            lambda c, name=name, quota=quota, mine=mine, db=db: [
                post(c, db, [entry(name, quota)]),
                mine.book(c, [entry(name, quota)]),
            ]
        )
        db.close()
    db = begin(first)
    assert set(used(db).values()) == {90}
    assert budgets.follow_zone(db) is False
    db.close()


def test_periods_begin_at_midnight_on_monday_and_on_the_first() -> None:
    now = datetime.datetime(2026, 12, 31, 15, 30).timestamp()
    of = datetime.datetime.fromtimestamp
    assert [of(budgets.begins(period, now, None)).isoformat(" ", "minutes") for period in budgets.PERIODS] == [
        "2026-12-31 00:00",
        "2026-12-28 00:00",
        "2026-12-01 00:00",
    ]
    assert [of(budgets.ends(period, now, None)).isoformat(" ", "minutes") for period in budgets.PERIODS] == [
        "2027-01-01 00:00",
        "2027-01-04 00:00",
        "2027-01-01 00:00",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        Budget(0, "group", 1, "day", "quota", 1, 0),
        Budget(0, "key", 1, "year", "quota", 1, 0),
        Budget(0, "key", 1, "day", "euro", 1, 0),
        Budget(0, "key", 1, "day", "quota", -1, 0),
        Budget(0, "key", 1, "day", "quota", 1, 101),
    ],
)
def test_budgets_that_make_no_sense_are_refused(db: Database, wrong: Budget) -> None:
    with pytest.raises(Invalid):
        set_budget(db, db, wrong)


def test_who_is_made_later_begins_with_what_new_ones_have(
    db: Database, store: EmbeddedStore, account: accounts.Account
) -> None:
    """Bound from the first call, each by itself; who was there before, and a team, are not."""
    bound_new = [Budget(0, "user", 0, "day", "quota", 100, 80), Budget(0, "key", 0, "month", "tokens", 50, 0, 10)]
    for budget in bound_new:
        set_budget(db, db, budget)
    one = worker(db, store)
    assert one.check(account, quota=10**9, tokens=10**9, now=NOW).parts == []
    users.create_user(db, "bob", "correct horse")
    users.create_user(db, "lab", None, team=True)
    key = accounts.find_key(db, keys.create_key(db, "bob", "k").key[3:])
    assert key is not None
    held = one.check(key, quota=40, tokens=10, now=NOW)  # at once: no worker waits for three seconds
    assert {(part.holder, part.period, part.amount, part.rollover) for part, _ in held.parts} == {
        ("user", "day", 100, 0),
        ("key", "month", 50, 10),
    }
    one.add(held, quota=40, tokens=10)
    with pytest.raises(Exceeded):
        one.check(key, quota=61, tokens=0, now=NOW)
    own = own_keys.create(db, 2, {"name": "second"}, {"default"}, 10)
    assert {(holder, which) for holder, which in budgets.load(db)} == {
        ("user", 2),
        ("key", key.token_id),
        ("key", own["id"]),
    }
