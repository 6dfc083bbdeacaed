"""Leases on each engine: one holder at a time, lost ones write nothing, and what a killed process held goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from engine.jobs import Job, Lease, Runner
from engine.settings import Settings
from engine.storage.database import Database
from engine.storage.rows.work import leases
from tests.support import PATIENCE, until

_HOLDER = """
import json, sys, time
from engine.jobs import Job, Runner
from engine.settings import Settings
from engine.storage.database import open_database
from pathlib import Path
db = open_database(Settings(data=Path(sys.argv[1]), sql_dsn=sys.argv[2]), migrate=False)

def work(lease):
    print("working", flush=True)
    time.sleep(60)

Runner(db, lambda: [Job("long", 0, work)], seconds=2, look=0.05).run()
"""


def test_one_of_many_gets_a_lease(db: Database) -> None:
    with ThreadPoolExecutor(6) as pool:
        fences = list(pool.map(lambda number: leases.take(db, "one", f"h{number}", 30), range(6)))
    assert sorted(fence is not None for fence in fences) == [False] * 5 + [True]


def test_a_lease_is_kept_lost_and_given_back(db: Database) -> None:
    first = leases.take(db, "one", "a", 30)
    assert first == 1
    assert leases.take(db, "one", "b", 30) is None
    assert leases.keep(db, "one", "a", first, 30)
    again = leases.take(db, "one", "a", 0)  # the same process begins anew, and its lease ends at once
    assert again == 2
    assert not leases.keep(db, "one", "a", first, 30)
    third = leases.take(db, "one", "b", 30)
    assert third == 3
    assert not leases.give_back(db, "one", "a", again, 0, "too late")
    assert leases.give_back(db, "one", "b", third, 50, "done")
    rows, now = leases.listed(db)
    assert (rows["one"]["result"], rows["one"]["until"]) == ("done", 0)
    assert 45 <= rows["one"]["next_at"] - now <= 50
    assert leases.take(db, "one", "c", 30) is None  # it is not due


def test_a_runner_does_what_is_due_and_outlives_what_fails(db: Database) -> None:
    done: list[str] = []
    twice = threading.Event()

    def work(lease: Lease) -> str:
        done.append(lease.name)
        if len(done) >= 3:
            twice.set()
        assert lease.keep()
        return "fine"

    def fail(lease: Lease) -> str:
        raise ValueError("no")

    runner = Runner(db, lambda: [Job("a", 0, work), Job("b", 900, fail)], look=0.02)
    thread = threading.Thread(target=runner.run)
    thread.start()
    assert twice.wait(PATIENCE)
    runner.stop()
    thread.join()
    rows, now = leases.listed(db)
    assert rows["a"]["result"] == "fine"
    assert rows["b"]["result"] == "failed: ValueError"
    assert rows["b"]["next_at"] > now + 800
    assert rows["b"]["fence"] == 1


def test_what_a_killed_process_held_is_taken_up(opened: tuple[Settings, Database]) -> None:
    settings, db = opened
    command = [sys.executable, "-c", _HOLDER, str(settings.data), settings.sql_dsn or ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."}) as held:
        assert held.stdout is not None
        assert held.stdout.readline() == "working\n"
        assert leases.take(db, "long", "other", 30) is None
        held.send_signal(signal.SIGKILL)
        held.wait()
    assert until(lambda: leases.take(db, "long", "other", 30)) == 2
