"""Databases as the family's programs leave them: schemas from the reference's sheets, with content that is awkward.

``build(db, program, sheets, base)`` fills an empty database; ``snapshot(db, tables)`` reads every column of every row,
so that a later one tells what was changed. Programs: one-api-0.5, one-api-0.6, new-api-2025-04, new-api-2026-08.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from engine.storage.database import Database

PROGRAMS = ("one-api-0.5", "one-api-0.6", "new-api-2025-04", "new-api-2026-08")
ROOT_KEY = "RootRootRootRootRootRootRootRootRootRootRootRoot"
LIMITED = "LimitedLimitedLimitedLimitedLimitedLimitedLimit1"
OUTSIDE = "OutsideOutsideOutsideOutsideOutsideOutsideOutsi1"
GONE = "GoneGoneGoneGoneGoneGoneGoneGoneGoneGoneGoneGone"
EXPIRED = "ExpiredExpiredExpiredExpiredExpiredExpiredExpir1"
OFF = "DisabledDisabledDisabledDisabledDisabledDisable1"
OF_DELETED = "OfDeletedOfDeletedOfDeletedOfDeletedOfDeletedOf1"
HUGE = 2**53 + 12_345
NUMBER = {"one-api": 36, "new-api": 43}
"""One and the same provider, by the numbering of either program; each number means something else in the other."""
UNKNOWN = {"is_multi_key": False, "multi_key_size": 0, "from the future": {"ключ": [1, None, "二"]}}


def old(program: str) -> bool:
    """Whether the program is of the older line."""
    return program.startswith("one-api")


def load(db: Database, ddl: str) -> None:
    """Run a sheet's statements."""
    lines = "\n".join(line for line in ddl.splitlines() if not line.startswith("--"))
    statements = [statement.replace("%", "%%") for statement in lines.split(";\n") if statement.strip()]
    if db.kind != "mysql":
        db.write(lambda connection: [connection.exec_driver_sql(statement).rowcount for statement in statements])
        return
    for statement in statements:
        db.write(lambda connection, statement=statement: connection.exec_driver_sql(statement).rowcount)


def put(connection: Connection, table: str, row: dict[str, Any], columns: set[str]) -> None:
    """Insert a row; members whose columns this schema lacks are left out, as that program would."""
    quote = connection.dialect.identifier_preparer.quote
    given = {name: value for name, value in row.items() if name in columns}
    marks = ", ".join(f":v{index}" for index in range(len(given)))
    names = ", ".join(quote(name) for name in given)
    values = {f"v{index}": value for index, value in enumerate(given.values())}
    connection.execute(text(f"INSERT INTO {quote(table)} ({names}) VALUES ({marks})"), values)


def columns_of(db: Database) -> dict[str, set[str]]:
    """Every column by table, as the database says now."""
    with db.read() as connection:
        found = inspect(connection).get_multi_columns()
    return {name: {str(column["name"]) for column in listed} for (_, name), listed in found.items()}


def build(db: Database, program: str, sheets: Path, base: str, log_rows: int = 20) -> None:
    """Make the program's tables and fill them."""
    load(db, (sheets / f"{program}-{db.kind}.sql").read_text())
    there = columns_of(db)

    def fill(connection: Connection) -> int:
        for table, rows in content(program, db.kind, base).items():
            for row in rows if table in there else ():
                put(connection, table, row, there[table])
            if db.kind == "postgresql" and table in there and "id" in there[table]:
                counter = f"pg_get_serial_sequence('{table}', 'id')"
                connection.execute(text(f"SELECT setval({counter}, (SELECT MAX(id) FROM {table}))"))
        return 0

    db.write(fill)
    db.write(lambda connection: _logs(connection, there["logs"], log_rows))


def content(program: str, kind: str, base: str) -> dict[str, list[dict[str, Any]]]:
    """Rows by table, with the members of all programs; ``put`` takes those that there are columns for."""
    info: Any = json.dumps(UNKNOWN, ensure_ascii=False)
    if kind == "sqlite":
        info = info.encode()
    return {
        "users": _users(program, kind),
        "tokens": _tokens(program, kind),
        "channels": _channels(program, base, info),
        "abilities": [
            {"group": group, "model": model, "channel_id": 1, "enabled": True, "priority": None, "weight": 0}
            for group in ("default", "vip")
            for model in ("chat-a", "chat-b")
        ],
        "options": [
            {"key": "ModelRatio", "value": '{"chat-a": 1, "chat-b": 2.5}'},
            {"key": "CompletionRatio", "value": '{"chat-a": 3}'},
            {"key": "GroupRatio", "value": '{"default": 1, "vip": 0.5, "贵宾": 2}'},
            {"key": "UserUsableGroups", "value": '{"default": "默认分组", "贵宾": "贵宾分组"}'},
            {"key": "RetryTimes", "value": "0"},
            {"key": "OidcClientId", "value": "our-client"},
            {"key": "Notice", "value": None},
        ],
        "redemptions": [
            {"id": 1, "user_id": 1, "key": "a" * 32, "status": 1, "name": "促销", "quota": 500_000, "created_time": 5},
            {"id": 2, "user_id": 1, "key": "b" * 32, "status": 3, "name": None, "quota": 7, "created_time": None},
        ],
        "tasks": [
            {
                "id": 1,
                "created_at": 1,
                "task_id": "t-1",
                "platform": "suno",
                "user_id": 2,
                "group": "vip",
                "status": "SUCCESS",
                "properties": info,
                "data": info,
                "private_data": info,
            }
        ],
        "setups": [{"id": 1, "version": "v0", "initialized_at": 1_700_000_000}],
        "user_sessions": [
            {
                "sid": "s1",
                "user_id": 1,
                "version": 1,
                "user_auth_version": 1,
                "status": "active",
                "refresh_hash": "0" * 64,
            }
            | {"login_method": "password", "last_active_at": 1, "expires_at": 2_000_000_000}
        ],
    }


def _users(program: str, kind: str) -> list[dict[str, Any]]:
    when = "2026-01-02 03:04:05.6789+00:00" if kind == "sqlite" else "2026-01-02 03:04:05"
    password = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
    usual = {"password": password, "status": 1, "group": "default", "email": "", "aff_count": 0}
    users = [
        usual
        | {"id": 1, "username": "root", "display_name": "Root User", "role": 100, "quota": HUGE, "used_quota": None},
        usual | {"id": 2, "username": "李雷", "role": 1, "quota": 9_000_000, "used_quota": HUGE, "group": "vip"},
        usual | {"id": 3, "username": "deleted_ab12", "role": 1, "quota": None, "used_quota": None},
        usual | {"id": 4, "username": "off", "role": 1, "status": 2, "quota": -5, "email": "A@b.example"},
    ]
    for user in users:
        user |= {"aff_code": f"af{user['id']}", "telegram_id": "77" if user["id"] == 2 else "", "setting": None}
        user["access_token"] = f"{user['id']:032x}" if old(program) else None
        user["auth_version"] = 1
    users[2] |= {"status": 3} if old(program) else {"deleted_at": when}
    return users


def _tokens(program: str, kind: str) -> list[dict[str, Any]]:
    when = "2026-01-02 03:04:05+00:00" if kind == "sqlite" else "2026-01-02 03:04:05"
    usual = {"user_id": 2, "status": 1, "created_time": 1, "expired_time": -1, "unlimited_quota": False}
    usual |= {"remain_quota": HUGE, "used_quota": 0, "group": "", "allow_ips": "", "subnet": ""}
    return [
        usual | {"id": 1, "user_id": 1, "key": ROOT_KEY, "name": "根", "unlimited_quota": True, "used_quota": None},
        usual
        | {"id": 2, "key": LIMITED, "name": "limited", "models": "chat-a, other", "subnet": "127.0.0.0/8,::1"}
        | {"model_limits_enabled": True, "model_limits": "chat-a,other", "allow_ips": "127.0.0.0/8\n::1"},
        usual | {"id": 3, "key": OUTSIDE, "name": "outside", "subnet": "10.0.0.0/8", "allow_ips": "10.0.0.0/8"},
        usual | {"id": 4, "key": GONE, "name": "gone"} | ({"status": 2} if old(program) else {"deleted_at": when}),
        usual | {"id": 5, "key": EXPIRED, "name": "expired", "expired_time": 1_600_000_000},
        usual | {"id": 6, "key": OFF, "name": None, "status": 2},
        usual | {"id": 7, "key": OF_DELETED, "name": "orphan", "user_id": 3},
    ]


def _channels(program: str, base: str, info: Any) -> list[dict[str, Any]]:
    number = NUMBER["one-api" if old(program) else "new-api"]
    usual = {"status": 1, "group": "default,vip", "created_time": 1_700_000_000, "other": "", "config": ""}
    usual |= {"channel_info": info, "other_info": '{"status_reason": ""}', "auto_ban": None, "used_quota": HUGE}
    return [
        usual
        | {"id": 1, "type": number, "key": "up-secret", "name": "渠道一", "base_url": base, "models": "chat-a,chat-b"}
        | {"model_mapping": '{"chat-a": "sent-a"}', "weight": None, "priority": None, "setting": None},
        usual | {"id": 2, "type": 1, "key": "x", "name": "down", "status": 3, "models": "chat-c", "base_url": None},
        usual | {"id": 3, "type": 4, "key": "x", "name": "other number", "models": "chat-d", "base_url": ""},
    ]


def _logs(connection: Connection, columns: set[str], count: int) -> int:
    quote = connection.dialect.identifier_preparer.quote
    other = '{"model_ratio": 1, "未知": {"deep": [null, true]}, "admin_info": {"use_channel": ["1"]}}'
    row = {
        "user_id": 2,
        "type": 2,
        "content": "模型倍率 1.00",
        "username": "李雷",
        "token_name": "limited",
        "model_name": "chat-a",
        "quota": 12,
        "prompt_tokens": 3,
        "completion_tokens": 3,
        "channel_id": 1,
        "token_id": 2,
        "is_stream": True,
        "use_time": 2,
        "group": "vip",
        "other": other,
    }
    given = {name: value for name, value in row.items() if name in columns}
    listed = ", ".join(quote(name) for name in given)
    sql = text(f"INSERT INTO logs (created_at, {listed}) VALUES (:at, {', '.join(f':{name}' for name in given)})")
    doubled = 5 if count > 10_000 else 0
    if count:
        connection.execute(sql, [given | {"at": 1_700_000_000 + n} for n in range(count >> doubled)])
    for _ in range(doubled):
        connection.execute(text(f"INSERT INTO logs (created_at, {listed}) SELECT created_at, {listed} FROM logs"))
    put(connection, "logs", {"user_id": 1, "created_at": 3, "type": 5, "content": None, "is_stream": None}, columns)
    return count


def snapshot(db: Database, columns: dict[str, set[str]]) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of these tables, by these columns, as the driver gives them (so bytes and text differ)."""
    found = {}
    with db.read() as connection:
        quote = connection.dialect.identifier_preparer.quote
        for table, names in sorted(columns.items()):
            listed = ", ".join(quote(name) for name in sorted(names))
            rows = connection.exec_driver_sql(f"SELECT {listed} FROM {quote(table)}").all()
            found[table] = sorted((tuple(map(_plain, row)) for row in rows), key=repr)
    return found


def _plain(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value
