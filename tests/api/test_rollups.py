"""Sums of calls per hour: each log row counts once whoever sums and whenever it comes, and days keep what hours had."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from sqlalchemy import func, insert, select

from engine.errors import Invalid
from engine.reports import calls, margins, rollups
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.rows.api import hours
from engine.storage.rows.calls import Wanted
from engine.storage.tables.billing import quota_data
from engine.storage.tables.core import logs

NOW = int(time.time())
OF_ALL = [name for name in hours.DIMENSIONS if name not in ("release", "tag")]
"""Of the others a row says nothing here."""


@pytest.fixture
def base(empty: Settings) -> Iterator[Database]:
    one = open_database(empty)
    yield one
    one.close()


def rows(count: int, seed: int, **fixed: Any) -> list[dict[str, Any]]:
    dice = random.Random(seed)
    return [
        {
            "created_at": NOW - dice.randrange(5 * 3600),
            "type": dice.choice((2, 2, 2, 5, 3)),
            "user_id": dice.randrange(1, 4),
            "username": "somebody",
            "token_id": dice.randrange(1, 6),
            "group": dice.choice(("default", "vip")),
            "model_name": dice.choice(("small", "large", "a|b")),
            "channel_id": dice.randrange(1, 3),
            "quota": dice.randrange(1000),
            "prompt_tokens": dice.randrange(100),
            "completion_tokens": dice.randrange(100),
            "use_time": dice.choice((0, 2, 5, 40)),
            **fixed,
        }
        for _ in range(count)
    ]


def put(base: Database, listed: list[dict[str, Any]]) -> None:
    base.write(lambda connection: connection.execute(insert(logs), listed) and None)


def direct(base: Database) -> dict[str, int]:
    """What the log says itself."""
    with base.read() as reader:
        chosen = select(logs.c.type, func.count(), func.sum(logs.c.quota)).group_by(logs.c.type)
        told = {int(row[0]): (int(row[1]), int(row[2])) for row in reader.execute(chosen)}
    return {"calls": told[2][0], "errors": told[5][0], "quota": told[2][1] + told[5][1]}


def total(base: Database, dimension: str, **more: Any) -> dict[str, int]:
    answer = rollups.sums(base, base, dimension, NOW - 40 * hours.DAY, NOW, **more)
    return {name: sum(one[name] for one in answer.values()) for name in ("calls", "errors", "quota")}


def test_each_row_counts_once_however_far_the_log_was_summed(base: Database) -> None:
    rollups.follow(base, base, quota_data=True, now=NOW - rollups.SETTLED)
    put(base, rows(400, 1))
    clock = float(NOW)
    for step in range(6):
        for dimension in OF_ALL:
            assert total(base, dimension) == direct(base), (step, dimension)
        while rollups.follow(base, base, quota_data=True, now=clock):
            pass
        put(base, rows(50, 2 + step, created_at=NOW - 3600 * step))  # late rows, of hours that were summed
        clock += rollups.SETTLED
    with base.read() as reader:
        summed = int(reader.execute(select(func.sum(hours.hours.c.calls))).scalar() or 0)
        exported = int(reader.execute(select(func.sum(quota_data.c.count))).scalar() or 0)
        place = int(hours.place(reader).split()[0])
        counted = select(func.count()).where(logs.c.id <= place, logs.c.type == 2)
        assert exported == reader.execute(counted).scalar()
    assert summed == exported * len(OF_ALL)
    assert summed > 0


def test_rows_that_may_still_be_written_are_not_summed_yet(base: Database) -> None:
    put(base, rows(10, 1))
    assert not rollups.follow(base, base, quota_data=False, now=NOW)
    assert not rollups.follow(base, base, quota_data=False, now=NOW + rollups.SETTLED - 1)
    with base.read() as reader:
        assert hours.place(reader).split()[0] == "0"
    rollups.follow(base, base, quota_data=False, now=NOW + rollups.SETTLED)
    with base.read() as reader:
        assert int(hours.place(reader).split()[0]) >= 10


def test_what_another_program_has_exported_is_not_exported_again(base: Database) -> None:
    put(base, rows(100, 1, type=2))
    rollups.follow(base, base, quota_data=True, now=NOW)
    put(base, rows(30, 2, type=2))
    for moment in (31, 62, 93):
        rollups.follow(base, base, quota_data=True, now=NOW + moment)
    assert total(base, "all")["calls"] == 130
    with base.read() as reader:
        assert int(reader.execute(select(func.sum(quota_data.c.count))).scalar() or 0) == 30


def test_workers_that_sum_at_once_count_nothing_twice(base: Database) -> None:
    rollups.follow(base, base, quota_data=True, now=NOW - rollups.SETTLED)
    put(base, rows(300, 1))
    rollups.follow(base, base, quota_data=True, now=NOW)
    wrong: list[BaseException] = []

    def work() -> None:
        try:
            rollups.follow(base, base, quota_data=True, now=NOW + 31)
        except BaseException as error:
            wrong.append(error)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert wrong == []
    assert total(base, "all") == direct(base)
    with base.read() as reader:
        assert int(reader.execute(select(func.sum(quota_data.c.count))).scalar() or 0) == direct(base)["calls"]


def test_days_keep_what_hours_had(base: Database) -> None:
    old = NOW - 35 * hours.DAY
    put(base, [{**row, "created_at": old - number * 1000} for number, row in enumerate(rows(200, 1))] + rows(20, 2))
    for moment in (0, 31):
        rollups.follow(base, base, quota_data=False, now=NOW + moment)
    before = total(base, "user_model")
    gone = 0
    while step := rollups.compact(base, NOW):
        gone += step
    assert gone > 100
    assert total(base, "user_model") == before == direct(base)
    left = hours.listed(base, "all", 0, NOW)
    assert all(hour % hours.DAY == 0 for _, _, hour in left if hour < NOW - 31 * hours.DAY)


def test_one_users_sums_are_its_own(base: Database) -> None:
    put(base, [*rows(60, 1, user_id=1, type=2), *rows(40, 2, user_id=12, type=2)])
    for moment in (0, 31):
        rollups.follow(base, base, quota_data=False, now=NOW + moment)
    put(base, rows(5, 3, user_id=1, type=2))
    told = rollups.sums(base, base, "user_model", NOW - hours.DAY, NOW, begins="1|", wanted=Wanted(user=1))
    assert sum(one["calls"] for one in told.values()) == 65
    listed = calls.quota_rows(base, base, "user_model", NOW - hours.DAY, NOW, user=1)
    assert sum(row["count"] for row in listed) == 65
    assert {row["model_name"] for row in listed} == {"small", "large", "a|b"}
    assert sum(row["count"] for row in calls.quota_rows(base, base, "user", NOW - hours.DAY, NOW)) == 105


def test_spans_are_bounded(base: Database) -> None:
    for since, until in ((NOW, NOW - 1), (NOW - 400 * hours.DAY, NOW)):
        with pytest.raises(Invalid):
            rollups.sums(base, base, "all", since, until)


def told_by_a_row(**other: Any) -> str:
    return orjson.dumps(other).decode()


def test_what_a_row_says_is_summed_by_meaning_bucket_release_and_tag(base: Database) -> None:
    usage = {"input_total": 9, "output_total": 4, "cache_read": 5, "output": 4}
    served = told_by_a_row(
        admin_info={"cost": "0.000000123"}, frt=1200, release="r1", tags=["a", "b"], losses=[["x", "y"]], usage=usage
    )
    unknown = told_by_a_row(release="r1", frt=100, channel="from a document")
    failed = told_by_a_row(error_type="timeout", release="r2")
    foreign = "no JSON"
    put(
        base,
        [
            *rows(3, 1, type=2, other=served, quota=10, use_time=4),
            *rows(2, 2, type=2, other=unknown, quota=7, channel_id=0, use_time=0),
            *rows(4, 3, type=5, other=failed, quota=0),
            *rows(1, 4, type=5, other=foreign, quota=0),
        ],
    )
    for step in range(3):  # of the log alone, of sums alone, and of days
        (whole,) = margins.rows(rollups.sums(base, base, "all", NOW - 40 * hours.DAY, NOW), 500_000)
        assert (whole["calls"], whole["costed"], whole["costed_quota"]) == (5, 3, 30)
        assert (whole["cost"], whole["charged"], whole["margin"]) == ("0.000000369", "0.000060", "0.000060"), step
        sums: dict[str, Any] = {}
        for row in rollups.told(rollups.sums(base, base, "all", NOW - 40 * hours.DAY, NOW)):
            for part in ("errors_by_meaning", "buckets"):
                for name, number in row[part].items():
                    sums[name] = sums.get(name, 0) + number
            for name in ("slow_1", "slow_3", "slow_10", "streamed", "first_300", "first_1000", "first_3000", "lossy"):
                sums[name] = sums.get(name, 0) + row[name]
        expected = {"timeout": 4, "unknown": 1, "cache_read": 15, "output": 12, "streamed": 5, "lossy": 3}
        expected |= {"first_300": 3, "first_1000": 3, "first_3000": 0}
        assert sums.items() >= expected.items(), step
        assert not {"input_total", "output_total"} & sums.keys()
        for dimension, values in (
            ("release", {"r1": 5, "r2": 0}),
            ("tag", {"a": 3, "b": 3}),
        ):
            listed = margins.rows(rollups.sums(base, base, dimension, NOW - 40 * hours.DAY, NOW), 500_000)
            assert {row["value"]: row["calls"] for row in listed} == values
        channels = margins.rows(rollups.sums(base, base, "channel", NOW - 40 * hours.DAY, NOW), 500_000)
        assert {row["value"]: row["calls"] for row in channels}["from a document"] == 2
        if step == 0:
            for moment in (0, 31):
                rollups.follow(base, base, quota_data=False, now=NOW + moment)
        else:
            while rollups.compact(base, NOW + 40 * hours.DAY):
                pass


def test_a_log_that_is_far_ahead_is_summed_by_the_database_and_says_so(
    base: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(base, rows(60, 1, type=2))
    monkeypatch.setattr(rollups, "_TAIL", 50)
    report = rollups.report(base, base, "model", NOW - hours.DAY, NOW)
    assert not report.whole
    assert sum(numbers["calls"] for numbers in report.sums.values()) == 60
    monkeypatch.setattr(rollups, "_TAIL", 60)
    assert rollups.report(base, base, "model", NOW - hours.DAY, NOW).whole


def test_a_version_before_writes_sums_beside_this_one(base: Database) -> None:
    columns = ("dimension", "value", "hour", "calls", "errors", "quota", "prompt_tokens", "completion_tokens")
    columns += ("seconds", "slow_3", "slow_10", "slow_30", "slow_100", "failed")
    older = {**dict.fromkeys(columns, 1), "dimension": "all", "value": "", "hour": NOW - NOW % hours.HOUR}
    base.write(lambda connection: connection.execute(insert(hours.hours).values(older)) and None)
    (row,) = rollups.told(rollups.sums(base, base, "all", NOW - hours.DAY, NOW))
    assert (row["calls"], row["cost"], row["streamed"]) == (1, "0", 0)
