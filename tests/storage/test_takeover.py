"""A database of each program and engine is upgraded: only added to, its settings honoured, and both programs go on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from engine.accounts import users
from engine.accounts.plans import catalogue
from engine.cluster.holds import Holds
from engine.ledger.funding import Funding
from engine.ledger.proof import verify
from engine.ledger.reserve import Reserves
from engine.ledger.terms import Terms
from engine.payments import due
from engine.settings import Settings
from engine.storage.database import Database, connect, open_database
from engine.storage.dsn import resolve
from engine.storage.rows import accounts, budgets, channels, options
from engine.storage.rows.posting import Entry, post
from engine.storage.tables import METADATA
from engine.storage.upgrade.checking import check
from engine.storage.upgrade.upgrading import notice, upgrade
from engine.storage.values import DISABLED
from tests.storage import takeover
from tests.storage.takeover import PROGRAMS, columns_of, old, put, snapshot

FILLED = {
    # places that were empty, which the upgrade fills for the newer program to read
    ("users", "deleted_at"),
    ("tokens", "model_limits"),
    ("tokens", "model_limits_enabled"),
    ("tokens", "allow_ips"),
}


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def theirs(empty: Settings, program: str, sheets: Path) -> Iterator[Database]:
    """A database that the program has filled, untouched by us."""
    raw = connect(resolve(empty.sql_dsn, "", empty.data))
    takeover.build(raw, program, sheets, "http://127.0.0.1:9")
    yield raw
    raw.close()


def test_an_upgrade_only_adds_and_the_old_program_goes_on(theirs: Database, program: str) -> None:
    before = columns_of(theirs)
    rows = snapshot(theirs, before)
    report = check(theirs)
    assert ("One API" in report.program) == old(program)
    done = upgrade(theirs)
    assert done.left == ()
    after = columns_of(theirs)
    assert all(names <= after[table] for table, names in before.items())
    assert all({column.name for column in table.columns} <= after[table.name] for table in METADATA.tables.values())
    kept = {table: {name for name in names if (table, name) not in FILLED} for table, names in before.items()}
    expected = rows if kept == before else snapshot_of(rows, before, kept)
    found = snapshot(theirs, kept)
    # copied beside what stays: an option under its newer name, and an identity into the newest program's table
    found["options"] = [row for row in found["options"] if "oidc.client_id" not in row]
    assert len(found.pop("external_identity_claims", [1])) == 1
    expected.pop("external_identity_claims", None)
    assert found == expected
    _old_program_writes(theirs, before)


def snapshot_of(rows: dict, before: dict, kept: dict) -> dict:
    """A snapshot with fewer columns."""
    found = {}
    for table, names in before.items():
        places = [place for place, name in enumerate(sorted(names)) if name in kept[table]]
        found[table] = sorted((tuple(row[place] for place in places) for row in rows[table]), key=repr)
    return found


def _old_program_writes(db: Database, before: dict[str, set[str]]) -> None:
    """The old program inserts by its own columns alone."""
    user = {"id": 90, "username": "later", "password": "x", "aff_code": "later", "access_token": "9" * 32}
    token = {"id": 90, "user_id": 90, "key": "L" * 48, "name": "later", "unlimited_quota": True}
    channel = {"id": 90, "type": 1, "key": "k", "name": "later", "models": "m", "group": "default", "config": ""}
    log = {"user_id": 90, "created_at": 9, "type": 2, "content": "c", "username": "later"}
    for table, row in (("users", user), ("tokens", token), ("channels", channel), ("logs", log)):
        db.write(lambda connection, table=table, row=row: put(connection, table, row, before[table]))
    account = accounts.find_key(db, "L" * 48)
    assert account is not None
    assert (account.username, account.unlimited, account.group) == ("later", True, "default")


def test_a_second_upgrade_finds_nothing_to_do(theirs: Database) -> None:
    upgrade(theirs)
    again = upgrade(theirs)
    assert (again.tables, again.columns, again.indexes, again.steps) == ((), (), (), {})
    report = check(theirs)
    assert (report.missing_tables, report.missing_columns, report.outstanding) == ((), (), ())


@pytest.mark.parametrize("program", ["one-api-0.5"], indirect=True)
def test_an_open_database_takes_up_what_another_process_added(theirs: Database, empty: Settings) -> None:
    db = open_database(empty)
    try:
        assert not notice(db)
        assert accounts.find_key(db, takeover.LIMITED) is not None
        upgrade(theirs)
        theirs.write(lambda c: c.execute(text("UPDATE tokens SET allow_ips = '10.0.0.0/8' WHERE id = 2")).rowcount)
        assert notice(db)
        limited = accounts.find_key(db, takeover.LIMITED)
        assert limited is not None
        assert [str(network) for network in limited.networks] == ["10.0.0.0/8"]
        assert not notice(db)
    finally:
        db.close()


@pytest.mark.parametrize("upgraded", [False, True])
def test_keys_channels_and_options_are_read_alike_before_and_after(
    theirs: Database, empty: Settings, program: str, upgraded: bool
) -> None:
    if upgraded:
        upgrade(theirs)
    db = open_database(empty)
    try:
        limited = accounts.find_key(db, takeover.LIMITED)
        assert limited is not None
        assert (limited.username, limited.group, limited.remain_quota) == ("李雷", "vip", takeover.HUGE)
        if program != "one-api-0.5":  # which has no such limits
            assert limited.model_limits == {"chat-a", "other"}
            assert [str(network) for network in limited.networks] == ["127.0.0.0/8", "::1/128"]
        orphan = accounts.find_key(db, takeover.OF_DELETED)
        assert orphan is not None
        assert orphan.user_deleted
        gone = accounts.find_key(db, takeover.GONE)
        assert gone is None or gone.status == DISABLED
        rows = {row.id: row for row in channels.load(db)}
        one = rows[1]
        assert {row.numbering for row in rows.values()} == {"oneApi" if old(program) else "newApi"}
        assert (one.name, one.models, one.groups) == ("渠道一", ("chat-a", "chat-b"), ("default", "vip"))
        assert (one.model_mapping, one.weight, one.priority, one.faults) == ({"chat-a": "sent-a"}, 0, 0, ())
        found = options.load(db)
        assert json.loads(found["UserUsableGroups"])["贵宾"] == "贵宾分组"
        assert found["Notice"] == ""
    finally:
        db.close()


@pytest.mark.parametrize("program", ["one-api-0.5"], indirect=True)
def test_types_keep_their_numbering_when_the_newer_program_edits_rows(theirs: Database, empty: Settings) -> None:
    upgrade(theirs)

    def newer(connection):
        connection.execute(text("UPDATE channels SET other_info = '{}' WHERE id = 1"))
        connection.execute(text("UPDATE channels SET other_info = '{}', type = 43 WHERE id = 2"))
        connection.execute(text("DELETE FROM channels WHERE id = 3"))
        row = {"id": 3, "type": 4, "key": "k", "name": "its own", "other_info": "", "created_time": 1_800_000_000}
        put(connection, "channels", row, set(row))
        return 0

    theirs.write(newer)
    db = open_database(empty)
    try:
        assert [row.numbering for row in channels.load(db)] == ["oneApi", "newApi", "newApi"]
    finally:
        db.close()


@pytest.mark.parametrize("program", ["new-api-2025-04", "new-api-2026-08"], indirect=True)
@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_json_stays_bytes_on_sqlite(theirs: Database, program: str) -> None:
    upgrade(theirs)
    columns = ["properties", "data"] + (["private_data"] if program.endswith("08") else [])
    with theirs.read() as connection:
        for column in columns:
            assert connection.execute(text(f"SELECT DISTINCT typeof({column}) FROM tasks")).scalars().all() == ["blob"]
        kinds = set(connection.execute(text("SELECT typeof(channel_info) FROM channels")).scalars())
    assert kinds == ({"blob"} if program.endswith("08") else {"null"})


REBUILT = (
    "users top_ups models vendors two_fas checkins subscription_orders user_oauth_bindings external_identity_claims"
    " perf_metrics"
)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("program", ["new-api-2026-08"], indirect=True)
def test_what_is_ours_outlives_the_tables_that_the_newest_program_rebuilds(theirs: Database, empty: Settings) -> None:
    db = open_database(empty)
    ours = {name: names for name, names in columns_of(db).items() if name.startswith("gatewright_")}
    assert len(ours) > 5
    user, token = 2, 2
    budgets.put(db, db, budgets.Budget(0, budgets.USER, user, "day", budgets.TOKENS, 1000, 80))
    users.change_quota(db, user, add=5)

    def charge(request: str) -> None:
        row = {"user_id": user, "token_id": token, "request_id": request, "quota": 7}
        entry = Entry(request, 1, user, token, 1, 7, True, "upstream", row)
        db.write(lambda connection: post(connection, db, [entry]) and 0)

    charge("before")
    before = snapshot(db, ours)
    for name in REBUILT.split():
        _rebuild(theirs, name)
    assert snapshot(db, ours) == before
    charge("after")
    account = accounts.find_key(db, takeover.LIMITED)
    assert account is not None
    assert account.user_quota == 9_000_000 + 5 - 14
    assert verify(db, db, empty.data / "journal").agrees
    db.close()


def _rebuild(db: Database, name: str) -> None:
    """As the newest program does at each start: copy, drop, rename, and its own indexes anew."""

    def work(connection: Connection) -> int:
        listed = f"SELECT sql FROM sqlite_master WHERE tbl_name = '{name}' AND sql IS NOT NULL ORDER BY type = 'index'"
        table, *indexes = connection.exec_driver_sql(listed).scalars().all()
        head, rest = table.split("(", 1)
        connection.exec_driver_sql(f"CREATE TABLE {name}__temp ({rest}")
        connection.exec_driver_sql(f"INSERT INTO {name}__temp SELECT * FROM {name}")
        connection.exec_driver_sql(f"DROP TABLE {name}")
        connection.exec_driver_sql(f"ALTER TABLE {name}__temp RENAME TO {name}")
        for index in indexes:
            connection.exec_driver_sql(index)
        return len(head)

    db.write(work)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("program", ["one-api-0.6"], indirect=True)
def test_check_and_upgrade_say_what_they_do(theirs: Database, empty: Settings, run_command) -> None:
    told = run_command("db", "check", data=empty.data)
    assert "One API 0.6.11 preview" in told
    assert "tokens.model_limits" in told
    assert "steps that an upgrade would do: channel_numbering, token_limits" in told
    told = run_command("db", "upgrade", data=empty.data)
    assert "token_limits: 3 limits copied" in told
    assert "deleted_users: 1 users marked" in told
    assert "sign_in_options: 1 options copied" in told
    assert "besides" not in run_command("db", "check", data=empty.data)


@pytest.fixture
def run_command(monkeypatch: pytest.MonkeyPatch):
    from click.testing import CliRunner

    from engine.cli import main

    def run(*words: str, data: Path) -> str:
        monkeypatch.setenv("GATEWRIGHT_DATA", str(data))
        monkeypatch.delenv("SQL_DSN", raising=False)
        result = CliRunner().invoke(main, list(words))
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_a_subscription_of_theirs_pays_is_reset_and_ends(empty: Settings, sheets: Path, tmp_path: Path) -> None:
    """Rows as New API writes them, flags that say nothing among them; the books count from what was used before."""
    raw = connect(resolve(empty.sql_dsn, "", empty.data))
    takeover.build(raw, "new-api-2026-08", sheets, "http://127.0.0.1:9")
    now = int(time.time())
    plan = {
        "id": 1,
        "title": "Pro",
        "price_amount": 5,
        "total_amount": 900,
        "quota_reset_period": "daily",
        "enabled": True,
    }
    life = {
        "id": 1,
        "user_id": 2,
        "plan_id": 1,
        "amount_total": 900,
        "amount_used": 300,
        "start_time": 1,
        "status": "active",
    }
    life |= {
        "end_time": now + 9 * 86_400,
        "next_reset_time": now - 5,
        "upgrade_group": "vip",
        "prev_user_group": "default",
    }
    there = columns_of(raw)
    for table, row in (("subscription_plans", plan), ("user_subscriptions", life)):
        raw.write(lambda connection, table=table, row=row: put(connection, table, row, there[table]))
    raw.close()
    db = open_database(empty)
    try:
        account = accounts.find_key(db, takeover.LIMITED)
        assert account is not None
        assert account.funding == accounts.PLANS_FIRST
        holds = Holds(tmp_path / "holds")
        purses = Funding(db, Reserves(db, holds)).of(account, "m")
        assert list(purses.order) == [1, 0]
        held = purses.hold(account.user_id, account.token_id, 500, Terms())
        assert (held.plan, purses.hold(account.user_id, account.token_id, 500, Terms()).plan) == (1, 0)
        row = {"user_id": 2, "token_id": account.token_id, "request_id": "p1", "quota": 450, "model_name": "chat-a"}
        entry = Entry("p1", now, 2, account.token_id, 0, 450, True, "upstream", row, plan=1)
        db.write(lambda connection: post(connection, db, [entry]))
        assert catalogue.subscription(db, 1)["amount_used"] == 750
        assert catalogue.shown(catalogue.one(db, 1))["allow_wallet_overflow"] is True
        assert due.work(db, None, now) == "0 plans ended, 1 began anew"
        assert due.work(db, None, now + 10 * 86_400) == "1 plans ended, 0 began anew"
        ended = catalogue.subscription(db, 1)
        assert (ended["amount_used"], ended["status"]) == (0, "expired")
        assert accounts.find_key(db, takeover.LIMITED).user_group == "default"  # type: ignore[union-attr]
        assert verify(db, db, empty.data / "journal").differences == []
        holds.close()
    finally:
        db.close()
