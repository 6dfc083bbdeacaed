"""Lists, reports and an export of a large database: 1,000 channels, 10,000 keys and users, 2 million log rows.

On SQLite and on the PostgreSQL that tests use; a gateway of its own with each. Of each question p50 and p95 of the wall
clock, and the CPU of the gateway for one; then the relay's p99 alone and beside an export of a million rows. The load
of the machine stands beside: other programs' work is in the wall clock.

    .venv/bin/python tests/bench/bench_management.py [sqlite] [postgresql] [--rows 2000000]
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import requests  # noqa: E402
from sqlalchemy import Connection, text  # noqa: E402

from engine.storage.database import Database, open_database  # noqa: E402
from tests.databases import empty_database  # noqa: E402
from tests.support import Gateway  # noqa: E402

CHANNELS, KEYS, USERS, ROWS = 1_000, 10_000, 10_000, 2_000_000
DAYS, DAY = 90, 86_400
LIST, REPORT, RELAY = 100.0, 200.0, 20.0
"""Milliseconds that a p95 may be, and that a p99 of the relay may rise."""
TIMES = 20
_PACE = 0.02
_CALLS = 1_000


@dataclass
class Question:
    """A path with ``{}`` places that are drawn anew for each time, and the bound of its p95."""

    name: str
    path: str
    bound: float = LIST
    user: bool = False
    draw: Callable[[random.Random], dict[str, Any]] = field(default=lambda _: {})


def _drawn(random_: random.Random) -> dict[str, Any]:
    return {"n": random_.randint(2, USERS), "m": random_.randint(0, 49), "c": random_.randint(1, CHANNELS)}


def questions(now: int) -> list[Question]:
    """Lists and reports of New API's routes and of ``/api/v2``, in their bounded forms."""
    day, week, month = (f"start_timestamp={now - span * DAY}&end_timestamp={now}" for span in (1, 7, 30))
    since = f"since={now - 30 * DAY}&until={now}"
    asked = [
        Question("log, newest", "/api/log/?p=1&page_size=20"),
        Question("log, of a user", "/api/log/?p=1&page_size=20&username=user-{n}"),
        Question("log, of a model in a week", "/api/log/?p=1&page_size=20&model_name=model-{m}&" + week),
        Question("log, of a channel", "/api/log/?p=1&page_size=20&channel={c}"),
        Question("log, errors", "/api/log/?p=1&page_size=20&type=5"),
        Question("log, the last page that is given", "/api/log/?p=100&page_size=100"),
        Question("log, a pattern in a month", "/api/log/?p=1&page_size=20&model_name=model-{m}%25&" + month),
        Question("log, own", "/api/log/self?p=1&page_size=20", user=True),
        Question("channels", "/api/channel/?p=1&page_size=100"),
        Question("channels, by a word", "/api/channel/search?keyword=channel-{c}"),
        Question("users", "/api/user/?p=90&page_size=100"),
        Question("users, by a word", "/api/user/search?keyword=user-{n}"),
        Question("keys, own", "/api/token/?p=1&page_size=100", user=True),
        Question("v2 logs", "/api/v2/logs?limit=50"),
        Question("v2 logs, of a user and model", "/api/v2/logs?limit=50&user_id={n}&model_name=model-{m}"),
        Question("v2 logs, has in a month", "/api/v2/logs?limit=50&model_name.has=del-{m}"),
        Question("v2 keys of all", "/api/v2/keys/all?limit=50&name.begins=key-{n}"),
        Question("v2 users", "/api/v2/users?limit=50&group=default&sort=-id"),
        Question("v2 channels", "/api/v2/channels?limit=50"),
        Question("v2 channels' health", "/api/v2/channels/health"),
        Question("v2 limits of a key", "/api/v2/keys/{n}/limits"),
        Question("report by model, week by hours", "/api/data/?" + week, REPORT),
        Question("report by user, day", "/api/data/users?" + day, REPORT),
        Question("report of a user, month", "/api/data/?username=user-{n}&" + month, REPORT),
        Question("report, own, month", "/api/data/self?" + month, REPORT, user=True),
        Question("v2 hours, all, month", f"/api/v2/reports/hours?{since}", REPORT),
        Question(
            "v2 hours, by model, month by days", f"/api/v2/reports/hours?dimension=model&step=day&{since}", REPORT
        ),
        Question("v2 hours, by user, month whole", f"/api/v2/reports/hours?dimension=user&step=whole&{since}", REPORT),
        Question(
            "v2 hours, of a channel, month", f"/api/v2/reports/hours?dimension=channel&value={{c}}&{since}", REPORT
        ),
        Question("v2 margin, by model, month", f"/api/v2/reports/margin?dimension=model&{since}", REPORT),
        Question("statistics of a user, day", "/api/log/stat?username=user-{n}&" + day, REPORT),
        Question("statistics of all, day", "/api/log/stat?" + day, REPORT),
    ]
    for one in asked:
        one.draw = _drawn
    return asked


def _series(db: Database, most: int) -> str:
    """A table ``s`` of the numbers from 1."""
    if db.dialect.name == "postgresql":
        return f"generate_series(1, {most}) AS s(n)"
    return f"(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {most}) SELECT n FROM s) AS s"


def _hash(number: int, most: int) -> str:
    """A number below ``most`` that looks drawn, of the row's."""
    return f"((n * {2654435761 + 2 * number} % 4294967291) % {most})"


def fill(db: Database, rows: int, now: int) -> None:
    """All rows, by SQL alone; indexes of the log are made afterwards."""
    off, on = ("FALSE", "TRUE") if db.dialect.name == "postgresql" else ("0", "1")
    first = now - DAYS * DAY
    groups = "CASE WHEN n % 10 = 0 THEN 'vip' ELSE 'default' END"
    user = f"(2 + {_hash(1, USERS - 1)} * ({_hash(2, 1000)} + 1) / 1000)"
    other = "'{\"usage\":{\"input\":' || (n % 900) || ',\"output\":' || (n % 300) || '},\"frt\":' || (n % 4000) || '}'"
    statements = [
        'INSERT INTO users (id, username, password, display_name, role, status, quota, used_quota, "group", aff_code,'
        f" created_at) SELECT n + 1, 'user-' || (n + 1), '-', 'User ' || (n + 1), 1, 1, 500000, 1000, {groups},"
        f" 'aff-' || n, {first} + n FROM {_series(db, USERS - 1)}",
        "INSERT INTO tokens (id, user_id, key, status, name, created_time, accessed_time, expired_time, remain_quota,"
        f' unlimited_quota, model_limits_enabled, used_quota, "group", cross_group_retry) SELECT n + 1, n + 1,'
        f" 'k' || n, 1, 'key-' || (n + 1), {first} + n, {now}, -1, 5000, {on}, {off}, 5, '', {off}"
        f" FROM {_series(db, KEYS - 1)}",
        'INSERT INTO channels (id, type, key, status, name, weight, base_url, models, "group", priority, auto_ban, tag,'
        f" created_time) SELECT n, 1, 'secret', 1, 'channel-' || n, 1, 'http://127.0.0.1:9', 'model-' || (n % 50) ||"
        f" ',model-' || ((n + 7) % 50), {groups}, 0, 1, 'tag-' || (n % 20), {first} + n FROM {_series(db, CHANNELS)}",
        'INSERT INTO abilities ("group", model, channel_id, enabled, priority, weight)'
        f" SELECT {groups}, 'model-' || (n % 50), n, {on}, 0, 1 FROM {_series(db, CHANNELS)}",
        "INSERT INTO logs (user_id, created_at, type, content, username, token_name, model_name, quota, prompt_tokens,"
        ' completion_tokens, use_time, is_stream, channel_id, token_id, "group", ip, request_id, upstream_request_id,'
        f" other) SELECT u, at, CASE WHEN n % 50 = 0 THEN 5 ELSE 2 END, '', 'user-' || u, 'key-' || u, 'model-' || m,"
        f" {_hash(3, 5000)}, n % 900, n % 300, n % 40, {on}, c, u, {groups}, '', 'r-' || n, '', {other}"
        f" FROM (SELECT n, {user} AS u, {_hash(4, 50)} AS m, 1 + {_hash(5, CHANNELS)} AS c,"
        f" {first} + CAST(n AS BIGINT) * {DAYS * DAY - 60} / {rows} AS at FROM {_series(db, rows)}) AS x",
    ]
    indexes = _indexes(db)

    def work(connection: Connection) -> None:
        for name, _ in indexes:
            connection.execute(text(f'DROP INDEX "{name}"'))
        for statement in statements:
            connection.execute(text(statement))
        for _, made in indexes:
            connection.execute(text(made))
        if db.dialect.name == "postgresql":
            for table in ("users", "tokens", "channels", "logs"):
                sequence = f"pg_get_serial_sequence('{table}', 'id')"
                connection.execute(text(f"SELECT setval({sequence}, (SELECT max(id) FROM {table}))"))

    db.write(work)
    db.write(lambda connection: _sum(connection, now))
    db.write(lambda connection: connection.execute(text("ANALYZE")).close())


def _indexes(db: Database) -> list[tuple[str, str]]:
    sql = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'logs' AND sql IS NOT NULL"
    if db.dialect.name == "postgresql":
        sql = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'logs' AND indexname NOT LIKE '%pkey'"
    with db.read() as connection:
        return [(row[0], row[1]) for row in connection.execute(text(sql))]


def _sum(connection: Connection, now: int) -> None:
    """The sums that the gateway would have: hours of the last 30 days, days before them."""
    old = now - 30 * DAY
    old -= old % DAY
    hour = (
        f"(CASE WHEN created_at < {old} THEN created_at - created_at % {DAY} ELSE created_at - created_at % 3600 END)"
    )
    served = "CASE WHEN type = 2 THEN 1 ELSE 0 END"
    values = {
        "all": "''",
        "user": "CAST(user_id AS VARCHAR(20))",
        "key": "CAST(token_id AS VARCHAR(20))",
        "group": '"group"',
        "model": "model_name",
        "channel": "CAST(channel_id AS VARCHAR(20))",
        "user_model": "user_id || '|' || model_name",
        "channel_model": "channel_id || '|' || model_name",
    }
    for dimension, value in values.items():
        connection.execute(
            text(
                "INSERT INTO gatewright_hours (dimension, value, hour, calls, errors, quota, prompt_tokens,"
                " completion_tokens, seconds, slow_1, slow_3, slow_10, slow_30, slow_100, failed, cost, costed,"
                " costed_quota, lossy, streamed, first_300, first_1000, first_3000, first_10000)"
                f" SELECT '{dimension}', {value}, {hour}, SUM({served}), SUM(1 - {served}), SUM(quota),"
                " SUM(prompt_tokens), SUM(completion_tokens), SUM(use_time), 0, 0, 0, 0, 0, 0, SUM(quota), SUM(1),"
                f" SUM(quota), 0, 0, 0, 0, 0, 0 FROM logs GROUP BY 2, 3"
            )
        )
    (newest,) = connection.execute(text("SELECT MAX(id) FROM logs")).one()
    place = f"{newest} {newest} {now} {newest}"
    connection.execute(text("DELETE FROM gatewright_facts WHERE name = 'hours'"))
    connection.execute(text(f"INSERT INTO gatewright_facts (name, value) VALUES ('hours', '{place}')"))


def percentile(times: list[float], percent: float) -> float:
    """Of times, in the same unit."""
    return sorted(times)[min(len(times) - 1, int(len(times) * percent / 100))]


def measure(gateway: Gateway, now: int) -> None:
    """Ask everything."""
    drawing = random.Random(7)
    headers = {False: gateway.root(), True: _own(gateway)}
    with requests.Session() as session:
        for question in questions(now):
            times, cpu = [], gateway.cpu()
            for turn in range(TIMES + 1):
                url = gateway.base + question.path.format(**question.draw(drawing))
                began = time.perf_counter()
                answer = session.get(url, headers=headers[question.user], timeout=60)
                took = (time.perf_counter() - began) * 1000
                assert answer.status_code == 200, (question.name, answer.text[:300])
                assert b'"success":false' not in answer.content[:200], (question.name, answer.text[:300])
                times += [took] if turn else []
            each = (gateway.cpu() - cpu) / (TIMES + 1) * 1000
            p95 = percentile(times, 95)
            mark = "" if p95 < question.bound else f"  ABOVE {question.bound:.0f}"
            print(
                f"  {question.name:36} p50 {statistics.median(times):7.1f} ms  p95 {p95:7.1f} ms  cpu {each:6.1f} ms"
                f"  {len(answer.content):8} bytes{mark}",
                flush=True,
            )


def _own(gateway: Gateway) -> dict[str, str]:
    """A token of one of the users: root gives it a password."""
    root, password = gateway.root(), "of the bench 77"
    body = {"id": 77, "username": "user-77", "password": password, "group": "default", "display_name": "User 77"}
    answer = requests.put(f"{gateway.base}/api/user/", json=body, headers=root, timeout=60).json()
    assert answer["success"], answer
    login = requests.post(
        f"{gateway.base}/api/user/login", json={"username": "user-77", "password": password}, timeout=60
    ).json()
    return {"authorization": f"Bearer {login['data']['access_token']}"}


def relay(gateway: Gateway, calls: int) -> list[float]:
    """Milliseconds of calls, one after another at a pace."""
    body = {"model": "demo-openai", "max_tokens": 5, "messages": [{"role": "user", "content": "River"}]}
    headers, times = {"authorization": f"Bearer {gateway.key}"}, []
    with requests.Session() as session:
        for _ in range(calls):
            began = time.perf_counter()
            answer = session.post(f"{gateway.base}/v1/chat/completions", json=body, headers=headers, timeout=60)
            times.append((time.perf_counter() - began) * 1000)
            assert answer.status_code == 200, answer.text[:300]
            time.sleep(max(0.0, _PACE - times[-1] / 1000))
    return times


def beside_an_export(gateway: Gateway, now: int, rows: int) -> None:
    """The relay's p99 alone, and while a million rows leave."""
    relay(gateway, 50)
    alone = relay(gateway, _CALLS)
    since = now - DAYS * DAY // 2
    url = f"{gateway.base}/api/v2/logs/export?format=jsonl&created_at.ge={since}"
    lines, headers, going = 0, gateway.root(), threading.Event()

    def read() -> None:
        nonlocal lines
        with requests.get(url, headers=headers, stream=True, timeout=600) as answer:
            going.set()
            for piece in answer.iter_content(1 << 20):
                lines += piece.count(b"\n")

    reader, began = threading.Thread(target=read), time.perf_counter()
    reader.start()
    going.wait(60)
    beside: list[float] = []
    while reader.is_alive():
        beside += relay(gateway, 100)
    took = time.perf_counter() - began
    assert lines >= rows // 2 - rows // 1000, lines
    before, after = percentile(alone, 99), percentile(beside, 99)
    rise = after - before
    print(
        f"  relay p50 {statistics.median(alone):.1f} ms, p99 {before:.1f} ms alone; beside an export of {lines} rows"
        f" ({took:.0f} s, {len(beside)} calls) p50 {statistics.median(beside):.1f} ms, p99 {after:.1f} ms:"
        f" {rise:+.1f} ms{'' if rise < RELAY else f'  ABOVE {RELAY:.0f}'}"
    )


@contextmanager
def filled(kind: str, rows: int, now: int) -> Iterator[Gateway]:
    """A gateway over a full database."""
    with tempfile.TemporaryDirectory() as directory, empty_database(kind, Path(directory)) as settings:
        db = open_database(settings)
        began, cpu = time.perf_counter(), time.process_time()
        gateway_env = {"SQL_DSN": settings.sql_dsn} if settings.sql_dsn else {}
        first = Gateway(Path(directory), demo=True, env=gateway_env)
        first.ready()
        first.stop()
        fill(db, rows, now)
        db.close()
        print(f"  filled in {time.perf_counter() - began:.0f} s ({time.process_time() - cpu:.0f} s of CPU here)")
        gateway = Gateway(Path(directory), demo=True, workers=2, env=gateway_env, may_stall=True)
        gateway.ready()
        try:
            yield gateway
        finally:
            gateway.stop()
            stalls = [line for line in gateway.lines if "held up this worker" in line]
            print("\n".join(stalls[:5]) or "  nothing held up a worker")


def main() -> None:
    """Measure each database. What is above its bound is marked; the load beside it tells whose fault that may be."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    rows = int(sys.argv[sys.argv.index("--rows") + 1]) if "--rows" in sys.argv else ROWS
    kinds = [word for word in words if not word.isdigit()] or ["sqlite", "postgresql"]
    for kind in kinds:
        now = int(time.time())
        print(
            f"{kind}: {CHANNELS} channels, {KEYS} keys, {USERS} users, {rows} log rows; load {os.getloadavg()[0]:.1f}"
        )
        with filled(kind, rows, now) as gateway:
            measure(gateway, now)
            beside_an_export(gateway, now, rows)
        print(f"  load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
