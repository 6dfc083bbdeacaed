"""The schema that a fresh database gets, compared with the family's newest, on each engine."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from engine.settings import Settings
from engine.storage.database import Database, connect, open_database
from engine.storage.dsn import resolve
from engine.storage.tables import METADATA

HARMLESS = {
    # the reference writes this one table by hand on SQLite, where NULL counts as true
    ("subscription_plans", "allow_balance_pay"),
    ("subscription_plans", "allow_wallet_overflow"),
    ("subscription_plans", "price_amount"),
    ("subscription_plans", "enabled"),
}
COLUMNS = {
    "mysql": "SELECT table_name, column_name, column_type, is_nullable, column_default, ordinal_position"
    " FROM information_schema.columns WHERE table_schema = DATABASE()",
    "postgresql": "SELECT table_name, column_name, format_type(a.atttypid, a.atttypmod), is_nullable, column_default,"
    " ordinal_position FROM information_schema.columns c JOIN pg_attribute a"
    " ON a.attname = c.column_name AND a.attrelid = (quote_ident(c.table_name))::regclass"
    " WHERE table_schema = 'public'",
}
INDEXES = {
    "mysql": "SELECT table_name, index_name, non_unique, GROUP_CONCAT(column_name ORDER BY seq_in_index)"
    " FROM information_schema.statistics WHERE table_schema = DATABASE() GROUP BY 1, 2, 3",
    "postgresql": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
}


@pytest.fixture
def ddl(kind: str, sheets: Path) -> str:
    return (sheets / f"new-api-2026-08-{kind}.sql").read_text()


def _ours(rows: Any) -> set[tuple[Any, ...]]:
    return {tuple(row) for row in rows if not str(row[0]).startswith("gatewright_")}


def _server_schema(db: Database) -> tuple[set[tuple[Any, ...]], set[tuple[Any, ...]]]:
    with db.read() as connection:
        return tuple(_ours(connection.execute(text(q[db.kind]))) for q in (COLUMNS, INDEXES))  # type: ignore[return-value]


def _load(db: Database, ddl: str) -> None:
    lines = "\n".join(line for line in ddl.splitlines() if not line.startswith("--"))
    for statement in lines.split(";\n"):
        if statement.strip():
            db.write(lambda connection, statement=statement: connection.exec_driver_sql(statement).rowcount)


@pytest.mark.parametrize("kind", ["mysql", "postgresql"], indirect=True)
def test_a_fresh_database_has_the_newest_schema(kind: str, empty: Settings, ddl: str) -> None:
    db = open_database(empty)
    ours = _server_schema(db)
    name = str(db._target.url.database)
    drop = f"DROP DATABASE {name}" if kind == "mysql" else "DROP SCHEMA public CASCADE"
    create = f"CREATE DATABASE {name} CHARACTER SET utf8mb4" if kind == "mysql" else "CREATE SCHEMA public"
    with db.read() as connection:
        connection.execute(text(drop))
        connection.execute(text(create))
    db.close()
    again = connect(db._target)
    try:
        _load(again, ddl)
        theirs = _server_schema(again)
    finally:
        again.close()
    assert len(theirs[0]) > 300
    assert ours[0] - theirs[0] == set()
    assert theirs[0] - ours[0] == set()
    assert ours[1] ^ theirs[1] == set()


def _lite_schema(connection: sqlite3.Connection) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'gatewright_%'")
    for (table,) in tables.fetchall():
        for place, name, kind, required, default, key in connection.execute(f"PRAGMA table_info(`{table}`)"):
            spec = (place, kind.lower().replace(" ", ""), required and not key, (default or "").replace('"', "'"), key)
            found[table, name] = spec
        for _, name, is_unique, origin, partial in connection.execute(f"PRAGMA index_list(`{table}`)"):
            columns = tuple(row[2] for row in connection.execute(f"PRAGMA index_info(`{name}`)"))
            found[table, name if origin == "c" else origin, columns] = (is_unique, partial)
    return found


def test_a_fresh_sqlite_database_has_the_newest_schema(lite: Database, tmp_path: Path, sheets: Path) -> None:
    theirs = sqlite3.connect(":memory:")
    theirs.executescript((sheets / "new-api-2026-08-sqlite.sql").read_text())
    ours = sqlite3.connect(tmp_path / "gatewright.db")
    expected, found = _lite_schema(theirs), _lite_schema(ours)
    ours.close()
    theirs.close()
    assert len(expected) > 400
    wrong = {key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)}
    assert wrong <= HARMLESS


def test_an_up_to_date_database_is_opened_without_alembic(opened: tuple[Settings, Database]) -> None:
    settings = opened[0]
    code = (
        "import sys\nfrom pathlib import Path\nfrom engine.storage import migrations\n"
        "from engine.storage.database import connect\nfrom engine.storage.dsn import resolve\n"
        f"db = connect(resolve({settings.sql_dsn!r}, '', Path({str(settings.data)!r})))\n"
        "assert migrations.bring_up(db) is False\n"
        "assert 'alembic' not in sys.modules\ndb.close()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_starters_at_the_same_time_do_not_collide(empty: Settings) -> None:
    code = (
        "from pathlib import Path\nfrom engine.storage import migrations\n"
        "from engine.storage.database import connect\nfrom engine.storage.dsn import resolve\n"
        f"db = connect(resolve({empty.sql_dsn!r}, '', Path({str(empty.data)!r})))\n"
        "print(migrations.bring_up(db))\ndb.close()\n"
    )
    starters = [
        subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = sorted(starter.communicate(timeout=60)[0].strip() for starter in starters)
    assert answers == ["False", "False", "True"]


@pytest.mark.parametrize("program", ["one-api-0.5", "one-api-0.6", "new-api-2025-04", "new-api-2026-08"])
def test_a_database_of_another_program_gets_only_our_own_tables(
    empty: Settings, kind: str, sheets: Path, program: str
) -> None:
    raw = connect(resolve(empty.sql_dsn, "", empty.data))
    _load(raw, (sheets / f"{program}-{kind}.sql").read_text())
    raw.look()
    before = dict(raw.columns)
    raw.close()
    db = open_database(empty)
    try:
        after = dict(db.columns)
        added = {name for name in after if name not in before}
        assert added == {"gatewright_alembic", *(name for name in METADATA.tables if name.startswith("gatewright_"))}
        assert {name: after[name] for name in before} == before
        with db.read() as connection:
            facts = {row[0]: row[1] for row in connection.execute(text("SELECT name, value FROM gatewright_facts"))}
        assert facts["numbering"] == ("oneApi" if program.startswith("one") else "newApi")
    finally:
        db.close()
