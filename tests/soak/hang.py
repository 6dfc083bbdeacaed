"""A database that does not refuse but is silent: its server stopped for seconds under load, or its file locked.

``run(kind, seconds)`` gives a line of figures or fails: calls go on, none waits longer than a read's bound and none at
all once the outage is known, `/readyz` tells it in time, what a key may owe is bounded, and afterwards the books agree.
As a program: ``python -m tests.soak.hang --seconds 180``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests

from tests.soak.servers import Server
from tests.soak.site import Seen, Site, check

READ, CONNECT = 2, 2
"""Seconds of SQL_READ_TIMEOUT and SQL_CONNECT_TIMEOUT (PostgreSQL's driver makes 2 of 1)."""
_ENV = {"SQL_READ_TIMEOUT": str(READ), "SQL_CONNECT_TIMEOUT": str(CONNECT), "SQL_WRITE_TIMEOUT": "3"}
_SLACK = 1.5
"""Seconds for a machine that does other things too."""
_REMEMBERED = 3.0
"""Seconds for which workers believe a key's row and balance without asking."""
_STARTS = threading.Lock()
"""Alembic migrates one database at a time in a process."""
_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("COMMIT")
"""


@contextmanager
def silent(kind: str, server: Server | None, site: Site) -> Iterator[None]:
    """The database says nothing: its server is stopped, or (SQLite) its file is locked."""
    if server is not None:
        server.hang()
        try:
            yield
        finally:
            server.resume()
        return
    file = site.directory / "data" / "gatewright.db"
    command = [sys.executable, "-c", _LOCK, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as locker:
        assert locker.stdin is not None
        assert locker.stdout is not None
        assert locker.stdout.readline() == b"locked\n"
        yield
        locker.stdin.close()


class _Watch:
    """Asks a path again and again; ``took`` are (moment, seconds, status, body) of each answer."""

    def __init__(self, url: str, every: float) -> None:
        self.took: list[tuple[float, float, int, dict[str, object]]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(url, every))
        self._thread.start()

    def _ask(self, url: str, every: float) -> None:
        while not self._over.wait(every):
            began = time.monotonic()
            answer = requests.get(url, timeout=30)
            self.took.append((began, time.monotonic() - began, answer.status_code, answer.json()))

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def __enter__(self) -> _Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def run(kind: str, seconds: float, *, threads: int = 4, begun: threading.Barrier | None = None) -> str:
    """One silence of so many seconds; at least 8, so that every bound is passed.

    ``begun`` is met when the gateway runs: several runs at once do not measure each other's starts.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatewright-hang-")))
        directory.chmod(0o755)  # the servers run under users of their own
        server = None
        if kind != "sqlite":
            server = Server(kind, directory / kind)
            stack.callback(server.close)
        with _STARTS:
            site = Site(directory, dsn=server.dsn if server else "", env=_ENV)
        stack.callback(site.close)
        seen, numbers, lock = Seen(), iter(range(1, 200_000)), threading.Lock()
        took: list[tuple[float, float]] = []
        pause = max(0.1, seconds * threads / 600)  # a call costs its number, and together they stay below the exposure

        def serve(count: int) -> None:
            for _ in range(count):
                with lock:
                    number = next(numbers)
                began = time.monotonic()
                site.send(number, "stream" if number % 2 else "whole", seen)
                took.append((began, time.monotonic() - began))

        def serve_until(end: float) -> None:
            while time.monotonic() < end:
                serve(1)
                time.sleep(pause)

        serve(10)
        if begun is not None:
            begun.wait(90)
        base = site.gateway.base
        with _Watch(f"{base}/healthz", 0.02) as alive, _Watch(f"{base}/readyz", 0.2) as ready:
            with silent(kind, server, site):
                start = time.monotonic()
                callers = [threading.Thread(target=serve_until, args=(start + seconds,)) for _ in range(threads)]
                for caller in callers:
                    caller.start()
                for caller in callers:
                    caller.join()
                for number in (300_000, 300_001, 300_002):  # 500,000 units is what a key may owe meanwhile
                    site.send(number, "whole", seen)
                over = time.monotonic()
            end = time.monotonic() + 15
            while not _ready(base):
                assert time.monotonic() < end, "it is not ready again"
                time.sleep(0.1)
            again = time.monotonic() - over
        serve(10)
        told = check(site, seen)
        assert seen.broken == set(), seen.broken
        assert set(seen.statuses) == {"200", "503"}, seen.statuses
        assert 1 <= seen.statuses["503"] <= 2, seen.statuses
        slowest = max(one for _, one in took)
        assert slowest <= CONNECT + _SLACK, f"a call took {slowest:.2f} s"
        known = start + _REMEMBERED + CONNECT + _SLACK
        late = max(one for began, one in took if known < began < over)
        assert late < _SLACK, f"a call took {late:.2f} s though the outage was known"
        blocked = max(one for _, one, _, _ in alive.took)
        assert blocked < _SLACK, f"a worker was blocked for {blocked:.2f} s"
        first = _told_at(kind, ready) - start
        return f"{told}; slowest call {slowest:.2f} s, once known {late:.3f} s, /healthz at most {blocked:.3f} s; " + (
            f"/readyz said so after {first:.1f} s, and ready again after {again:.1f} s"
        )


def _told_at(kind: str, ready: _Watch) -> float:
    """When `/readyz` first told of it, at most a read's bound and what it has to find out by a commit."""
    wanted = "takes no commits" if kind == "sqlite" else "unreachable"
    told = [began + one for began, one, status, body in ready.took if body["database"] == wanted]
    assert told, {str(body["database"]) for _, _, _, body in ready.took}
    status = {status for _, _, status, body in ready.took if body["database"] == wanted}
    assert status == ({200} if kind == "sqlite" else {503})
    slowest = max(one for _, one, _, _ in ready.took)
    assert slowest <= CONNECT + _SLACK, f"/readyz took {slowest:.2f} s"
    return told[0]


def _ready(base: str) -> bool:
    """Both workers say so: whichever answers."""
    return all(requests.get(f"{base}/readyz", timeout=10).json()["database"] == "ok" for _ in range(6))


def main() -> None:
    """Run on the engines named, or on all three."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.hang")
    parser.add_argument("kinds", nargs="*", default=["sqlite", "mysql", "postgresql"])
    parser.add_argument("--seconds", type=float, default=180)
    chosen = parser.parse_args()
    for kind in chosen.kinds:
        print(f"{kind}, silent for {chosen.seconds:.0f} s: {run(kind, chosen.seconds)}", flush=True)


if __name__ == "__main__":
    main()
