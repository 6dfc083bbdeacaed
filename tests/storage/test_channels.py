"""Channel rows of every age and of both programs are read; a bad one takes no other with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import insert, text

from engine.settings import Settings
from engine.storage.database import Database, connect, open_database
from engine.storage.dsn import resolve
from engine.storage.rows import channels, options
from engine.storage.rows.channels import ChannelRow, MultiKey
from engine.storage.tables import core


def put(db: Database, **columns: Any) -> None:
    db.write(lambda connection: connection.execute(insert(core.channels).values(**columns)).rowcount)


def only(db: Database) -> ChannelRow:
    (found,) = channels.load(db)
    return found


def test_a_full_row_is_read(db: Database) -> None:
    info = {
        "is_multi_key": True,
        "multi_key_size": 3,
        "multi_key_status_list": {"1": 3},
        "multi_key_mode": "polling",
    }
    put(
        db,
        type=14,
        key="one\n\n two \nthree",
        name="渠道",
        models="m-1, m-2,,m-1",
        group="default,vip",
        weight=5,
        priority=-1,
        base_url="https://example.org",
        model_mapping='{"m-1": "up-1"}',
        status_code_mapping='{"429": "500", "x": 1, "400": 499}',
        param_override='{"temperature": 0.5}',
        header_override='{"X-A": "{api_key}"}',
        setting='{"proxy": "socks5://h"}',
        channel_info=info,
    )
    row = only(db)
    assert (row.type, row.numbering, row.name, row.status, row.weight, row.priority) == (14, "newApi", "渠道", 1, 5, -1)
    assert row.keys == ("one", "two", "three")
    assert (row.models, row.groups) == (("m-1", "m-2"), ("default", "vip"))
    assert row.model_mapping == {"m-1": "up-1"}
    assert row.status_code_mapping == {429: 500, 400: 499}
    assert (row.param_override, row.setting) == ({"temperature": 0.5}, {"proxy": "socks5://h"})
    assert row.multi == MultiKey("polling", frozenset({1}), frozenset({1}))
    assert row.faults == ()


def test_json_is_kept_as_bytes_on_sqlite(lite: Database) -> None:
    put(lite, key="k", channel_info={"is_multi_key": False})
    with lite.read() as connection:
        assert connection.execute(text("SELECT typeof(channel_info) FROM channels")).scalar() == "blob"


@pytest.mark.parametrize("written", ['{"is_multi_key": true}', b'{"is_multi_key": true}'])
def test_text_and_bytes_are_both_read(lite: Database, written: str | bytes) -> None:
    put(lite, key="k")
    lite.write(lambda c: c.exec_driver_sql("UPDATE channels SET channel_info = ?", (written,)).rowcount)
    assert only(lite).multi == MultiKey("random", frozenset())


def test_nulls_count_as_neutral(db: Database) -> None:
    put(db, key="")
    names = [c.name for c in core.channels.c if c.name not in ("id", "key")]
    quote = db.dialect.identifier_preparer.quote
    sets = ", ".join(f"{quote(name)} = NULL" for name in names)
    db.write(lambda connection: connection.execute(text(f"UPDATE channels SET {sets}")).rowcount)
    row = only(db)
    assert (row.type, row.status, row.weight, row.priority, row.name, row.base_url) == (0, 0, 0, 0, "", "")
    assert (row.keys, row.models, row.groups, row.multi) == ((), (), ("default",), None)
    assert (row.auto_ban, row.faults) == (False, ())


def test_bad_json_is_named_and_harmless(db: Database) -> None:
    put(db, key="k", model_mapping="{", setting="[1]", param_override="null", header_override="", settings=" ")
    put(db, key="good", models="m")
    bad, good = channels.load(db)
    assert set(bad.faults) == {"model_mapping", "setting"}
    assert bad.model_mapping == bad.setting == {}
    assert good.models == ("m",)


def test_several_keys_in_a_json_list(lite: Database) -> None:
    put(lite, key=orjson.dumps([{"a": 1}, "two"]).decode(), channel_info={"is_multi_key": True})
    put(lite, key='{"a": 1}\n{"b": 2}', channel_info={"is_multi_key": False})
    several, single = channels.load(lite)
    assert several.keys == ('{"a":1}', "two")
    assert single.keys == ('{"a": 1}\n{"b": 2}',)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("program", "expected"), [("one-api-0.5", "oneApi"), ("one-api-0.6", "oneApi"), ("new-api-2025-04", "newApi")]
)
def test_type_numbers_count_by_the_program_that_wrote_them(
    empty: Settings, sheets: Path, program: str, expected: str
) -> None:
    raw = connect(resolve(empty.sql_dsn, "", empty.data))
    for statement in (sheets / f"{program}-sqlite.sql").read_text().split(";\n"):
        raw.write(lambda connection, statement=statement: connection.exec_driver_sql(statement).rowcount)
    raw.write(lambda c: c.exec_driver_sql("INSERT INTO channels (type, key, models) VALUES (26, 'k', 'm')").rowcount)
    raw.close()
    db = open_database(empty)
    try:
        assert only(db).numbering == expected
    finally:
        db.close()


def test_in_a_mixed_database_each_row_tells_who_wrote_it(lite: Database, tmp_path: Path) -> None:
    for statement in (
        "ALTER TABLE channels ADD COLUMN config text",
        "INSERT INTO channels (type, key, config) VALUES (28, 'old', '')",
        "INSERT INTO channels (type, key, other_info) VALUES (28, 'new', '{}')",
        "INSERT INTO channels (type, key) VALUES (2, 'oldest')",
        "DELETE FROM gatewright_facts",
        "DELETE FROM gatewright_alembic",
    ):
        lite.write(lambda connection, statement=statement: connection.exec_driver_sql(statement).rowcount)
    again = open_database(Settings(data=tmp_path))
    try:
        assert [row.numbering for row in channels.load(again)] == ["oneApi", "newApi", "oneApi"]
    finally:
        again.close()


def test_options_are_read(db: Database) -> None:
    rows = [{"key": "RetryTimes", "value": "3"}, {"key": "Notice", "value": None}]
    db.write(lambda connection: connection.execute(insert(core.options), rows).rowcount)
    assert options.load(db) == {"RetryTimes": "3", "Notice": ""}
