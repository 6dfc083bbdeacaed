"""`make soak`: 10,000 mixed requests on each kind of database while workers, master and database server are killed.

python -m tests.soak.soak [--count 10000] [--kind sqlite --kind mysql --kind postgresql] [--seed 1] [--every 2]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from pathlib import Path

from tests.soak.servers import Server
from tests.soak.site import Site, check, run


def soak(kind: str, count: int, seed: int, every: float) -> str:
    """One database; the line of figures."""
    with tempfile.TemporaryDirectory(prefix="gatewright-soak-") as text:
        directory = Path(text)
        directory.chmod(0o755)
        server = Server(kind, directory / "server") if kind != "sqlite" else None
        site = Site(directory, dsn=server.dsn if server else "")
        try:
            seen = run(site, count, chaos=_chaos(site, server), every=every, seed=seed)
            return check(site, seen)
        finally:
            site.close()
            if server:
                server.close()


def _chaos(site: Site, server: Server | None):
    def trouble(chance: random.Random) -> None:
        what = chance.choices(["worker", "all", "master", "database"], [5, 2, 1, 2 if server else 0])[0]
        if what == "worker":
            site.kill_worker(chance)
        elif what == "all":
            site.kill_all()
        elif what == "master":
            site.kill_master()
        elif server is not None:
            site.kills["database"] += 1
            server.kill()
            time.sleep(chance.uniform(0.1, 2))
            server.start()

    return trouble


def main() -> None:
    """Soak, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--kind", action="append", choices=["sqlite", "mysql", "postgresql"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=2.0)
    chosen = parser.parse_args()
    for kind in chosen.kind or ["sqlite", "mysql", "postgresql"]:
        started = time.monotonic()
        line = soak(kind, chosen.count, chosen.seed, chosen.every)
        print(
            f"soak {kind}: {chosen.count} requests in {time.monotonic() - started:.0f} s: {line}; books agree",
            flush=True,
        )
    assert threading.active_count() < 200


if __name__ == "__main__":
    main()
