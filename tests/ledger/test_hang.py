"""Databases that are silent instead of refusing: stopped servers and a locked file under a gateway; late commits."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from engine.storage.rows.posting import post
from tests.soak.hang import run, silent
from tests.soak.site import Seen, Site, check
from tests.support import PATIENCE, until

pytestmark = pytest.mark.xdist_group("ledger-crash")
SECONDS = 180 if os.environ.get("GATEWRIGHT_NIGHTLY") else 8


@pytest.mark.timeout(300 + SECONDS)
def test_calls_go_on_while_a_database_is_silent() -> None:
    kinds = ("sqlite", "mysql", "postgresql")
    begun = threading.Barrier(len(kinds))

    def silent(kind: str) -> str:
        try:
            return run(kind, SECONDS, begun=begun)
        except Exception:
            begun.abort()
            raise

    with ThreadPoolExecutor() as pool:
        runs = {kind: pool.submit(silent, kind) for kind in kinds}
    failed = {kind: str(one.exception()) for kind, one in runs.items() if one.exception() is not None}
    assert failed == {}


REFUSING = """
apiVersion: gatewright/v1
kind: Policy
metadata: {name: away}
spec: {ledger: {databaseAway: {serve: false}}}
"""


def test_a_policy_may_refuse_calls_while_the_database_is_away() -> None:
    with tempfile.TemporaryDirectory(prefix="gatewright-away-") as folder, ExitStack() as stack:
        site = Site(Path(folder), workers=1, env={"SQL_READ_TIMEOUT": "1", "SQL_WRITE_TIMEOUT": "2"})
        stack.callback(site.close)
        site.gateway.write_spec("away.yaml", REFUSING)
        site.gateway.wait_for(r"compiled[\s\S]*compiled[\s\S]*runs")
        seen, numbers = Seen(), iter(range(1, 1000))

        def served() -> bool:
            before = seen.statuses["200"]
            site.send(next(numbers), "whole", seen)
            return seen.statuses["200"] > before

        assert served()
        with silent("sqlite", None, site):
            until(lambda: not served())
            assert not served()
        until(served)
        assert set(seen.statuses) == {"200", "503"}
        check(site, seen)


@pytest.mark.parametrize("kind", ["mysql", "postgresql"], indirect=True)
def test_a_commit_that_was_given_up_and_is_made_later_is_no_refusal(books) -> None:
    entry = books.entry(1, 5)
    written, go = threading.Event(), threading.Event()

    def late(connection) -> int:
        made = post(connection, books.db, [entry])
        written.set()
        assert go.wait(PATIENCE)
        return len(made)

    other = threading.Thread(target=books.db.write, args=(late,))
    other.start()
    assert written.wait(PATIENCE)
    ledger = books.ledger()
    again = threading.Thread(target=ledger.patiently, args=([entry],), kwargs={"doubt": True})
    again.start()
    time.sleep(0.5)  # its insert waits for the other's by now
    go.set()
    for one in (other, again):
        one.join()
    ledger.close()
    assert ledger.refused == set()
    assert books.state()[:3] == (100_000 - 5, 5, 1)


def test_a_commit_that_hangs_counts_as_away(light) -> None:
    go = threading.Event()
    real = light.db.write

    class Hanging:
        kind, dialect, columns = light.db.kind, light.db.dialect, light.db.columns

        def write(self, work, **more):
            assert go.wait(PATIENCE)
            return real(work, **more)

    ledger = light.ledger(Hanging(), hangs_after=2)
    ledger.start()
    ledger.put(light.entry(1, 5))
    time.sleep(0.1)
    assert not ledger.away
    until(lambda: ledger.away)
    go.set()
    until(lambda: not ledger.away)
    assert ledger.close()
    assert light.state()[1] == 5
