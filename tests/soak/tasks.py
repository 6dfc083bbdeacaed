"""The part of `make soak` that tasks are: 500 are submitted and followed while workers and the follower are killed.

Each second one fails at its vendor, after some questions. In the end every task that a caller was told of is there and
has ended, is charged or paid back once, and the books agree. Prints one line for each database.

python -m tests.soak.tasks [--count 500] [--kind sqlite --kind mysql --kind postgresql] [--seed 1] [--every 2]
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import requests

from engine.ledger import proof
from engine.settings import Settings
from engine.storage.database import Database, open_database
from tests.databases import server_database
from tests.kinds.task.videos_here import documents
from tests.support import Gateway
from tests.upstreams.tasks import Answered, Asked, Vendor

CHARGE = 20_000
"""Quota units of a task: four seconds."""
_AT_ONCE, _QUESTIONS, _LONGEST = 8, 3, 900.0


class Half:
    """A vendor: each second task fails."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.asked: dict[str, int] = {}

    def answer(self, asked: Asked) -> Answered:
        """See ``Vendor``."""
        with self._lock:
            if asked.method == "POST":
                name = f"v{len(self.asked)}"
                self.asked[name] = 0
                return Answered({"id": name, "status": "queued"})
            name = asked.path.rsplit("/", 1)[1]
            self.asked[name] += 1
            done = "failed" if int(name[1:]) % 2 else "completed"
            return Answered({"id": name, "status": done if self.asked[name] > _QUESTIONS else "in_progress"})


class Chaos:
    """Kills a worker, or the process that follows tasks, every some seconds."""

    def __init__(self, gateway: Gateway, db: Database, chance: random.Random, every: float) -> None:
        self._gateway, self._db, self._chance, self._every = gateway, db, chance, every
        self.kills: Counter[str] = Counter()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """No more of it."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every * self._chance.uniform(0.5, 1.5)):
            what = self._chance.choice(["worker", "follower"])
            pid = self._worker() if what == "worker" else self._follower()
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.kills[what] += 1

    def _worker(self) -> int | None:
        pids = [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", self._gateway.output)]
        alive = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        return self._chance.choice(alive) if alive else None

    def _follower(self) -> int | None:
        with self._db.read() as connection:
            row = connection.exec_driver_sql("SELECT holder FROM gatewright_jobs WHERE until > 0").first()
        return int(row[0].split(":")[1]) if row else None


def soak(kind: str, count: int, seed: int, every: float) -> str:
    """One database; the line of figures."""
    with tempfile.TemporaryDirectory(prefix="gatewright-tasks-") as text, ExitStack() as stack:
        data = Path(text)
        dsn = "" if kind == "sqlite" else stack.enter_context(server_database(kind, data / "unused")).sql_dsn
        vendor = Vendor()
        stack.callback(vendor.close)
        vendor.answer = Half().answer
        env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{vendor.port}", **({"SQL_DSN": dsn} if dsn else {})}
        specs = {"own.yaml": documents(vendor.base, "{first: 1, most: 2}")}
        gateway = Gateway(data / "gateway", specs=specs, env=env, priced=True, workers=2, may_stall=True)
        stack.callback(gateway.stop)
        gateway.ready()
        db = open_database(Settings(data=gateway.data, sql_dsn=dsn), migrate=False)
        stack.callback(db.close)
        chaos = Chaos(gateway, db, random.Random(seed), every)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            told = [name for name in pool.map(lambda _: _submit(gateway), range(count)) if name]
        _until_ended(db)
        chaos.end()
        return _checked(db, gateway, told, chaos.kills)


def _submit(gateway: Gateway) -> str | None:
    """What a caller is told; nothing where its worker died."""
    headers = {"authorization": f"Bearer {gateway.key}"}
    body = {"model": "v", "prompt": "x"}
    with suppress(requests.ConnectionError, requests.Timeout):
        answer = requests.post(f"{gateway.base}/v1/videos", json=body, headers=headers, timeout=60)
        if answer.status_code == 200:
            return str(answer.json()["id"])
        assert answer.status_code in (429, 502, 503), answer.text
    time.sleep(0.2)
    return None


def _until_ended(db: Database) -> None:
    end = time.monotonic() + _LONGEST
    left = -1
    while left:
        assert time.monotonic() < end, f"{left} tasks have not ended"
        time.sleep(1)
        with db.read() as connection:
            left = connection.exec_driver_sql(
                "SELECT COUNT(*) FROM tasks WHERE status NOT IN ('SUCCESS', 'FAILURE')"
            ).scalar_one()


def _checked(db: Database, gateway: Gateway, told: list[str], kills: Counter[str]) -> str:
    """Everything as it must be; the figures."""
    with db.read() as connection:
        rows = [tuple(row) for row in connection.exec_driver_sql("SELECT task_id, status, quota FROM tasks")]
        refunds = connection.exec_driver_sql("SELECT COUNT(*) FROM logs WHERE type = 6").scalar_one()
        used = connection.exec_driver_sql("SELECT used_quota FROM users WHERE id = 1").scalar_one()
    states = Counter((status, quota) for _, status, quota in rows)
    assert set(states) <= {("SUCCESS", CHARGE), ("FAILURE", 0)}, states
    assert set(told) <= {name for name, _, _ in rows}, "a task that a caller was told of is gone"
    done, failed = states["SUCCESS", CHARGE], states["FAILURE", 0]
    assert (refunds, used) == (failed, done * CHARGE), (refunds, failed, used, done)
    verified = proof.verify(db, db, gateway.data / "journal")
    assert (verified.differences, verified.charged) == ([], used), verified
    assert kills["worker"], "no worker was killed"
    assert kills["follower"], "the follower was not killed"
    return (
        f"{len(told)} told, {len(rows)} there, {done} done, {failed} paid back, killed {kills['worker']} workers and"
        f" {kills['follower']} followers"
    )


def main() -> None:
    """Soak, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--kind", action="append", choices=["sqlite", "mysql", "postgresql"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=2.0)
    chosen = parser.parse_args()
    for kind in chosen.kind or ["sqlite", "mysql", "postgresql"]:
        started = time.monotonic()
        line = soak(kind, chosen.count, chosen.seed, chosen.every)
        print(f"tasks {kind}: {chosen.count} in {time.monotonic() - started:.0f} s: {line}; books agree", flush=True)


if __name__ == "__main__":
    main()
