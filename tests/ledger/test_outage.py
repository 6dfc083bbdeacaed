"""Database servers of our own are killed under a gateway, the one for log rows and then the main one; workers too."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from engine.ledger.proof import verify
from tests.soak.servers import Server
from tests.soak.site import Seen, Site, check
from tests.support import until

pytestmark = pytest.mark.xdist_group("ledger-crash")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.mark.parametrize(("main", "log"), [("mysql", "postgresql")])
def test_requests_go_on_while_a_database_is_away(stack: ExitStack, main: str, log: str) -> None:
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatewright-outage-")))
    directory.chmod(0o755)  # the servers run under users of their own
    with ThreadPoolExecutor() as pool:
        made = {kind: pool.submit(Server, kind, directory / kind) for kind in (main, log)}
    servers = {kind: one.result() for kind, one in made.items()}
    for server in servers.values():
        stack.callback(server.close)
    site = Site(directory, dsn=servers[main].dsn, log_dsn=servers[log].dsn)
    stack.callback(site.close)
    seen = Seen()
    numbers = iter(range(1, 1000))

    def serve(count: int) -> None:
        before = len(seen.done)
        for number in (next(numbers) for _ in range(count)):
            site.send(number, "stream" if number % 2 else "whole", seen)
        assert len(seen.done) - before == count, (seen, site.gateway.output[-3000:])

    serve(10)
    servers[log].kill()
    serve(10)
    _kill_one(site)
    serve(10)
    servers[log].start()
    assert site.settle().agrees

    servers[main].kill()
    time.sleep(3.5)  # what workers remember of keys and balances is old then
    serve(20)
    assert seen.statuses == {"200": 50}
    waiting = _kill_one(site)  # the one that begins in its place waits for the database, and the server goes on
    serve(5)
    # 500,000 units is what a key may owe meanwhile
    site.send(300_000, "whole", seen)
    site.send(300_001, "whole", seen)
    site.send(300_002, "whole", seen)
    assert seen.statuses["503"] >= 1, seen.statuses
    assert site.gateway.process.poll() is None
    servers[main].start()
    site.gateway.wait_for("this worker waits for the database")
    site.settle()
    serve(20)
    check(site, seen)
    assert waiting not in site.worker_pids()
    assert verify(site.db, site.log_db, site.directory / "data" / "journal").agrees
    assert len(site.worker_pids()) == 2


def _kill_one(site: Site) -> int:
    """Kill a worker and wait for the one in its place, which may have to wait for the database then."""
    pid, begun = site.worker_pids()[0], site.begun()
    os.kill(pid, signal.SIGKILL)
    until(
        lambda: not Path(f"/proc/{pid}").exists() and site.begun() != begun, words=lambda: site.gateway.output[-2000:]
    )
    return pid
