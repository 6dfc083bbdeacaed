"""A gateway under fire: requests of every kind while its processes and its database are killed, then the books.

``run`` sends so many requests, kills as told, restarts, waits until all is committed, and compares the ledger with what
the upstream counted: each call that its caller saw completed is charged once and exactly, nothing is charged twice.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests

from engine.accounts.keys import create_key
from engine.accounts.users import create_user
from engine.ledger import journal
from engine.ledger.proof import Proof, verify
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.logdb import open_logs
from engine.storage.rows.posting import posted
from tests.relay.scripted import Upstream
from tests.soak.upstream import INPUT, CountingUpstream
from tests.support import Gateway, free_port

SPEC = """
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: counted-a}}
spec:
  baseUrl: {base}/a
  formats: {{openai.chat: {{path: /v1/chat/completions}}}}
  auth: {{scheme: none}}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: counted-b}}
spec:
  baseUrl: {base}/b
  formats: {{openai.chat: {{path: /v1/chat/completions}}}}
  auth: {{scheme: none}}
---
apiVersion: gatewright/v1
kind: Route
metadata: {{name: counted}}
spec:
  channels:
    - {{name: a, provider: counted-a, models: [counted], priority: 1}}
    - {{name: b, provider: counted-b, models: [counted]}}
---
apiVersion: gatewright/v1
kind: Price
metadata: {{name: counted}}
spec:
  models: [{{names: [counted], tokens: {{input: 2, output: 2}}}}]
"""
"""A token in or out costs a unit."""
MODES = ("whole", "stream", "stream", "retry", "leave", "fail")


@dataclass
class Seen:
    """What callers saw, by number."""

    done: set[int] = field(default_factory=set)
    left: set[int] = field(default_factory=set)
    broken: set[int] = field(default_factory=set)
    statuses: Counter[str] = field(default_factory=Counter)


class Site:
    """Upstream, database, gateway; the gateway can be killed and comes back on its port."""

    spec = SPEC
    upstream_kind: type[Upstream] = CountingUpstream

    def __init__(
        self, directory: Path, *, dsn: str = "", log_dsn: str = "", workers: int = 2, quota: int = 10**12,
        env: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.directory = directory
        self.upstream = self.upstream_kind()
        self.settings = Settings(data=directory / "data", sql_dsn=dsn, log_sql_dsn=log_dsn)
        self.env = {
            "GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{self.upstream.port}",
            "SQL_DSN": dsn,
            "LOG_SQL_DSN": log_dsn,
            "SHUTDOWN_TIMEOUT_SECONDS": "2",
            **(env or {}),
        }
        self.workers = workers
        (directory / "data").mkdir(parents=True)
        self.db: Database = open_database(self.settings)
        self.log_db = open_logs(self.settings, self.db)
        self.payer("payer", quota)
        self.port = free_port()
        self._said: list[str] = []
        self.gateway = self._start()
        self.kills: Counter[str] = Counter()
        self.killed_at: list[tuple[float, float]] = []
        """When processes were killed, and when they served again."""
        self.outages: list[tuple[float, float]] = []
        """When database servers were killed, and when they answered again."""

    def payer(self, name: str, quota: int) -> None:
        """Make a user with a key, by which calls are sent from now on."""
        self.user = create_user(self.db, name, "a long password", quota=quota)
        self.key = create_key(self.db, self.user, "k", quota=quota).key

    def _start(self) -> Gateway:
        if hasattr(self, "gateway"):
            self._said.append(self.gateway.output)
        gateway = Gateway(
            self.directory / "data", specs={"counted.yaml": self.spec.format(base=self.upstream.base)},
            workers=self.workers, env=self.env, port=self.port,
        )  # fmt: skip
        end = time.monotonic() + 120
        while time.monotonic() < end:
            assert gateway.process.poll() is None, gateway.output
            try:
                if requests.get(f"{gateway.base}/readyz", timeout=2).status_code == 200:
                    return gateway
            except requests.RequestException:
                time.sleep(0.05)
        raise AssertionError(gateway.output)

    def said(self) -> str:
        """What all gateways so far have said."""
        return "\n".join([*self._said, self.gateway.output])

    def worker_pids(self) -> list[int]:
        """Workers that run."""
        return [pid for pid in self._booted() if Path(f"/proc/{pid}").exists()]

    def begun(self) -> int:
        """How many workers have begun so far."""
        return len(self._booted())

    def _booted(self) -> list[int]:
        return [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", self.gateway.output)]

    def kill_worker(self, chance: random.Random) -> None:
        """Kill one worker; the master makes another."""
        pids, begin = self.worker_pids(), time.monotonic()
        if pids:
            self.kills["worker"] += 1
            try:
                os.kill(chance.choice(pids), signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.killed_at.append((begin, time.monotonic()))

    def kill_all(self) -> None:
        """Kill master and workers together, and start anew."""
        self.kills["master and workers"] += 1
        begin = time.monotonic()
        os.killpg(self.gateway.process.pid, signal.SIGKILL)
        self.gateway.process.wait()
        self.gateway = self._start()
        self.killed_at.append((begin, time.monotonic()))

    def kill_master(self) -> None:
        """Kill the master alone; its workers end what they serve, then another gateway takes the port."""
        self.kills["master"] += 1
        pids, begin = self.worker_pids(), time.monotonic()
        self.gateway.process.kill()
        self.gateway.process.wait()
        end = time.monotonic() + 10
        while time.monotonic() < end and any(Path(f"/proc/{pid}").exists() for pid in pids):
            time.sleep(0.05)
        try:
            os.killpg(self.gateway.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.gateway = self._start()
        self.killed_at.append((begin, time.monotonic()))

    def send(self, number: int, mode: str, seen: Seen) -> None:
        """One request, to its end or not; what came is noted."""
        body = {
            "model": "counted",
            "messages": [{"role": "user", "content": f"n={number} {mode}"}],
            "max_tokens": 20_000,
        }
        stream = mode in ("stream", "leave") or (mode == "retry" and number % 2 == 0)
        headers = {"authorization": f"Bearer {self.key}"}
        try:
            with self._post({**body, "stream": stream}, headers, stream) as answer:
                seen.statuses[str(answer.status_code)] += 1
                if answer.status_code != 200:
                    return
                if not stream:
                    json.loads(answer.content)
                    seen.done.add(number)
                    return
                text = b""
                for piece in answer.iter_content(None):
                    text += piece
                    if mode == "leave" and text.count(b"data:") > 2:
                        seen.left.add(number)
                        return
                (seen.done if b"data: [DONE]" in text else seen.broken).add(number)
        except (requests.RequestException, ValueError, OSError):
            seen.statuses["broken"] += 1
            seen.broken.add(number)

    def _post(self, body: dict[str, object], headers: dict[str, str], stream: bool) -> requests.Response:
        """One request; while nobody listens it waits, as then nothing was sent."""
        end = time.monotonic() + 60
        while True:
            try:
                url = f"http://127.0.0.1:{self.port}/v1/chat/completions"
                return requests.post(url, json=body, headers=headers, timeout=60, stream=stream)
            except requests.ConnectionError as error:
                refused = "NewConnectionError" in repr(error)
                if not refused or time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def rows(self) -> list[tuple[str, int, str]]:
        """Request's number (as the upstream named it), charge, source of each ledger row that was served."""
        with self.db.read() as connection, self.log_db.read() as logs:
            found = connection.exec_driver_sql(
                "SELECT request_id, quota, source FROM gatewright_ledger WHERE source <> ''"
            )
            named = dict(list(logs.exec_driver_sql("SELECT request_id, upstream_request_id FROM logs")))
            return [(named[request], quota, source) for request, quota, source in found]

    def settle(self, seconds: float = 60) -> Proof:
        """Wait until no journal has a line, and prove the books."""
        end = time.monotonic() + seconds
        while True:
            try:
                waiting = uncommitted(self.db, self.log_db, self.directory / "data" / "journal")
                if not waiting:
                    return verify(self.db, self.log_db, self.directory / "data" / "journal")
                assert time.monotonic() < end, f"{waiting} calls are not committed: {self.gateway.output[-3000:]}"
            except Exception as error:
                if time.monotonic() > end:
                    raise AssertionError(str(error)) from error
            time.sleep(0.3)

    def close(self) -> None:
        """End everything."""
        self.gateway.stop(timeout=5)
        if self.log_db is not self.db:
            self.log_db.close()
        self.db.close()
        self.upstream.close()


def uncommitted(db: Database, log_db: Database, journals: Path) -> int:
    """How many finished calls stand in journals alone."""
    logged: dict[str, bool] = {}
    for path in journal.files(journals):
        with suppress(FileNotFoundError):  # a running gateway gives files back
            logged.update((entry.request_id, entry.logged) for entry in journal.entries(path))
    with db.read() as connection, log_db.read() as logs:
        booked, told = posted(connection, list(logged)), posted(logs, list(logged), "logs")
    return sum(request not in booked or (wanted and request not in told) for request, wanted in logged.items())


def run(
    site: Site, count: int, *, threads: int = 16, chaos: Callable[[random.Random], None] | None = None,
    every: float = 1.0, seed: int = 1,
) -> Seen:  # fmt: skip
    """Send ``count`` mixed requests; ``chaos`` is called about every so many seconds meanwhile."""
    seen, chance, over = Seen(), random.Random(seed), threading.Event()

    def trouble() -> None:
        while not over.wait(chance.uniform(0.3, 1.7) * every):
            chaos(chance)  # type: ignore[misc]

    troubler = threading.Thread(target=trouble) if chaos else None
    if troubler:
        troubler.start()
    order = [(number, random.Random(seed * 1_000_003 + number).choice(MODES)) for number in range(1, count + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda one: site.send(one[0], one[1], seen), order))
    over.set()
    if troubler:
        troubler.join()
    return seen


def check(site: Site, seen: Seen) -> str:
    """Compare the ledger with what callers saw and the upstream counted; gives a line of figures."""
    proof = site.settle()
    assert proof.agrees, proof.differences[:10]
    charged: dict[int, list[tuple[int, str]]] = {}
    for name, quota, source in site.rows():
        charged.setdefault(int(name[1:]), []).append((quota, source))
    twice = {number: rows for number, rows in charged.items() if len(rows) > 1}
    assert not twice, f"charged twice: {dict(list(twice.items())[:5])}"
    missing = [number for number in seen.done if number not in charged]
    assert not missing, f"not charged: {missing[:10]} of {len(seen.done)}"
    wrong = [
        (number, rows[0]) for number, rows in charged.items()
        if rows[0][1] == "upstream" and rows[0][0] != INPUT + number
    ]  # fmt: skip
    assert not wrong, f"charged otherwise than the upstream counted: {wrong[:10]}"
    own = [number for number in seen.done if charged[number][0][1] != "upstream"]
    assert not own, f"counted here though the upstream told: {own[:10]}"
    never = [number for number in charged if charged[number][0][1] == "upstream" and not site.upstream.produced[number]]
    assert not never, f"charged though never produced: {never[:10]}"
    unseen = [number for number in charged if number not in seen.done]
    return (
        f"{len(seen.done)} completed, {len(seen.left)} left, {len(seen.broken)} broken, {dict(seen.statuses)};"
        f" {len(charged)} charged ({len(unseen)} of them whose end the caller did not see), killed: {dict(site.kills)}"
    )
