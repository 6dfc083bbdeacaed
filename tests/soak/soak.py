"""`make soak`: 10,000 mixed requests on each kind of database while workers, master and database server are killed.

One in five meets an upstream that fails, before its answer or inside of it, one in eight callers leaves; each call's
booking is compared with what the upstream counted for it. Prints one line of agreement for each database.

python -m tests.soak.soak [--count 10000] [--kind sqlite --kind mysql --kind postgresql] [--logs mysql] [--seed 1]
[--every 2]; ``--logs`` gives log rows a database of their own, on a server that is killed too.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.soak.fire import FireSite, calibrated, check, order, run
from tests.soak.servers import Server
from tests.soak.site import Site


def soak(kind: str, logs: str, count: int, seed: int, every: float) -> str:
    """One database, or one and another for log rows; the line of figures."""
    with tempfile.TemporaryDirectory(prefix="gatewright-soak-") as text, ExitStack() as stack:
        directory = Path(text)
        directory.chmod(0o755)
        servers = {}
        for what, engine in (("database", kind), ("log database", logs)):
            if engine in ("mysql", "postgresql"):
                servers[what] = Server(engine, directory / what.replace(" ", "-"))
                stack.callback(servers[what].close)
        dsns = {what: server.dsn for what, server in servers.items()}
        log_dsn = f"sqlite:///{directory / 'logs.db'}" if logs == "sqlite" else dsns.get("log database", "")
        site = FireSite(directory, dsn=dsns.get("database", ""), log_dsn=log_dsn)
        stack.callback(site.close)
        quiet = calibrated(site)
        calls = run(site, order(count, seed), chaos=_chaos(site, servers), every=every, seed=seed)
        return check(site, calls, quiet)


def _chaos(site: Site, servers: Mapping[str, Server]):
    def trouble(chance: random.Random) -> None:
        what = chance.choices(["worker", "all", "master", *servers], [5, 2, 1, *[2] * len(servers)])[0]
        if what == "worker":
            site.kill_worker(chance)
        elif what == "all":
            site.kill_all()
        elif what == "master":
            site.kill_master()
        else:
            site.kills[what] += 1
            gone = time.monotonic()
            servers[what].kill()
            if chance.random() < 0.5:  # a worker that begins meanwhile has no database to begin with
                site.kill_worker(chance)
            time.sleep(chance.uniform(0.1, 2))
            servers[what].start()
            site.outages.append((gone, time.monotonic()))

    return trouble


def main() -> None:
    """Soak, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--kind", action="append", choices=["sqlite", "mysql", "postgresql"])
    parser.add_argument("--logs", choices=["sqlite", "mysql", "postgresql"], default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=2.0)
    chosen = parser.parse_args()
    for kind in chosen.kind or ["sqlite", "mysql", "postgresql"]:
        started = time.monotonic()
        line = soak(kind, chosen.logs, chosen.count, chosen.seed, chosen.every)
        print(
            f"soak {kind}: {chosen.count} requests in {time.monotonic() - started:.0f} s: {line}; books agree",
            flush=True,
        )
    assert threading.active_count() < 200


if __name__ == "__main__":
    main()
