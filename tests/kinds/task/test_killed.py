"""The process for jobs is killed at any point, again and again: every task ends, and is paid or paid back once."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.ledger import proof
from engine.settings import Settings
from engine.storage.database import open_database
from tests.databases import server_database
from tests.kinds.task.videos_here import documents
from tests.support import Gateway, until
from tests.upstreams.tasks import Answered, Asked, Vendor

_TASKS = 24


class Half:
    """A vendor: of its tasks each second one fails, each after some questions."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}

    def answer(self, asked: Asked) -> Answered:
        if asked.method == "POST":
            name = f"v{len(self.asked)}"
            self.asked[name] = 0
            return Answered({"id": name, "status": "queued"})
        name = asked.path.rsplit("/", 1)[1]
        self.asked[name] += 1
        done = "failed" if int(name[1:]) % 2 else "completed"
        return Answered({"id": name, "status": done if self.asked[name] > 3 else "in_progress"})


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def dsn(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield ""
        return
    with server_database(request.param, tmp_path / "unused") as settings:
        yield settings.sql_dsn


def job_process(gateway: Gateway) -> int | None:
    """The process that holds a lease, by what the database says of it."""
    settings = Settings(data=gateway.data, sql_dsn=gateway.env_dsn)  # type: ignore[attr-defined]
    db = open_database(settings, migrate=False)
    try:
        with db.read() as connection:
            row = connection.exec_driver_sql("SELECT holder FROM gatewright_jobs WHERE until > 0").first()
    finally:
        db.close()
    return int(row[0].split(":")[1]) if row else None


def test_tasks_end_and_are_paid_once_however_often_their_follower_dies(tmp_path: Path, dsn: str) -> None:
    vendor = Vendor()
    vendor.answer = Half().answer
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{vendor.port}", **({"SQL_DSN": dsn} if dsn else {})}
    specs = {"own.yaml": documents(vendor.base, "{first: 0.2, most: 0.4}")}
    gateway = Gateway(tmp_path / "gateway", specs=specs, env=env, priced=True)
    gateway.env_dsn = dsn  # type: ignore[attr-defined]
    settings = Settings(data=gateway.data, sql_dsn=dsn)
    chance, killed = random.Random(7), set[int]()
    try:
        gateway.ready()
        names = [gateway.post("/v1/videos", {"model": "v", "prompt": "x"}).json()["id"] for _ in range(_TASKS)]
        db = open_database(settings, migrate=False)

        def ended() -> bool:
            """Whether all have; kills the process for jobs twice meanwhile."""
            with db.read() as connection:
                sql = "SELECT COUNT(*) FROM tasks WHERE status NOT IN ('SUCCESS', 'FAILURE')"
                left = connection.exec_driver_sql(sql).scalar()
            pid = job_process(gateway)
            if left and pid is not None and pid not in killed and len(killed) < 2:
                time.sleep(chance.uniform(0.1, 0.6))
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            return not left

        until(ended, 240, 0.3)
        assert killed, "nobody was killed"
        with db.read() as connection:
            ended = connection.exec_driver_sql("SELECT status, quota FROM tasks").fetchall()
            refunds = connection.exec_driver_sql("SELECT COUNT(*) FROM logs WHERE type = 6").scalar()
        assert sorted(map(tuple, ended)) == [("FAILURE", 0)] * (_TASKS // 2) + [("SUCCESS", 20_000)] * (_TASKS // 2)
        assert refunds == _TASKS // 2
        assert len(set(names)) == _TASKS
        found = proof.verify(db, db, gateway.data / "journal")
        assert (found.differences, found.charged) == ([], _TASKS // 2 * 20_000)
        db.close()
    finally:
        gateway.stop()
        vendor.close()
    assert "Traceback" not in gateway.output, gateway.output
