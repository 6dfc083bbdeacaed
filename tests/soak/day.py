"""The day of docs/gitops.md under load: two machines on PostgreSQL and Redis follow a Git server; no call may fail.

    python -m tests.soak.day --seconds 60 --rate 20 --runs 3

While calls go to both machines, documents are pushed, a wrong commit is refused, mended, priced anew, rolled back and
pushed again. Prints for each step how long it took until both machines had it, and for each run the calls, how many of
them failed, and their times. Ends with 1 where one failed. Nothing is asserted of times: the machine may be busy.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from click.testing import CliRunner

from engine.cli import main as command
from tests.databases import server_database
from tests.relay.scripted import Say, Upstream
from tests.releases.conftest import ROUTE, provider
from tests.releases.test_git import TOKEN, Author, GitServer
from tests.support import Gateway

PRICE = """apiVersion: gatewright/v1
kind: Price
metadata: {{name: ours}}
spec:
  models:
    - {{names: [morning], tokens: {{input: {usd}, output: {usd}}}}}
"""
_PATIENCE = 60.0


def _answer(say: Say) -> None:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
    usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
    say.whole({"id": "x", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage})


@dataclass
class Load:
    """Calls at a steady rate, each to the next machine; how each came out."""

    machines: list[Gateway]
    key: str
    rate: float
    times: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self, callers: int = 8) -> Iterator[None]:
        threads = [threading.Thread(target=self._call, args=(number, callers)) for number in range(callers)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()

    def _call(self, number: int, callers: int) -> None:
        body = {"model": "morning", "messages": [{"role": "user", "content": "hi"}]}
        headers = {"authorization": f"Bearer {self.key}"}
        with requests.Session() as session:
            while not self.stop.is_set():
                machine = self.machines[number % len(self.machines)]
                begun = time.monotonic()
                try:
                    answer = session.post(machine.base + "/v1/chat/completions", json=body, headers=headers, timeout=60)
                    if answer.status_code != 200:
                        self.failed.append(f"{answer.status_code} {answer.text[:200]}")
                except requests.RequestException as error:
                    self.failed.append(repr(error)[:200])
                self.times.append(time.monotonic() - begun)
                self.stop.wait(max(0.0, callers / self.rate - (time.monotonic() - begun)))

    def told(self) -> str:
        ordered = sorted(self.times) or [0.0]
        p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000 for part in (0.5, 0.99))
        return f"{len(self.times)} calls, {len(self.failed)} failed, p50 {p50:.0f} ms, p99 {p99:.0f} ms"


@dataclass
class Site:
    """The two machines, the Git server, and who commits."""

    machines: list[Gateway]
    author: Author
    data: Path
    dsn: str

    def run(self, *words: object) -> Any:
        env = {"GATEWRIGHT_DATA": str(self.data), "GATEWRIGHT_SERVER": "", "SQL_DSN": self.dsn}
        return CliRunner(env=env).invoke(command, [str(word) for word in words])

    def until(self, what: str, true: Callable[[], bool]) -> None:
        """Wait for something on both machines, and say how long it took."""
        begun = time.monotonic()
        while not true():
            if time.monotonic() - begun > _PATIENCE:
                raise SystemExit(f"{what}: not within {_PATIENCE:.0f} s: {self.facts()}")
            time.sleep(0.05)
        print(f"  {what}: {time.monotonic() - begun:.2f} s", flush=True)

    def facts(self) -> list[dict[str, Any]]:
        told = []
        for machine in self.machines:
            headers = {"authorization": f"Bearer {machine.key}"}
            told.append(requests.get(machine.base + "/readyz", headers=headers, timeout=30).json()["sources"])
        return told

    def head(self) -> int:
        answer = json.loads(self.run("releases", "list", "--limit", 1, "--json").output)
        return int(answer[0]["number"]) if answer else 0

    def everywhere(self, number: int) -> bool:
        return all(facts["release"] >= number for facts in self.facts())


@contextmanager
def served() -> Iterator[Site]:
    """Two machines that share PostgreSQL and Redis and follow one repository."""
    place = Path(tempfile.mkdtemp(prefix="gitops-day-"))
    upstream, server = Upstream(), GitServer(place)
    upstream.script = _answer
    author = Author(place)
    with server_database("postgresql", place) as settings:
        env = {
            "SQL_DSN": settings.sql_dsn,
            "REDIS_CONN_STRING": "redis://127.0.0.1:6379/9",
            "GATEWRIGHT_GIT": server.url,
            "GATEWRIGHT_GIT_TOKEN": TOKEN,
            "GATEWRIGHT_GIT_BRANCH": "main",
            "GATEWRIGHT_GIT_PATH": "specs",
            "GATEWRIGHT_GIT_EVERY": "1",
            "GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port},127.0.0.1:{server.port}",
        }
        machines: list[Gateway] = []
        try:
            for name in ("one", "two"):
                machines.append(Gateway(place / name, env=env, specs={"house.yaml": provider(upstream.base)}))
                if name == "one":
                    machines[0].ready()  # it makes the tables
            machines[1].key = machines[0].key
            site = Site(machines, author, place / "one", settings.sql_dsn)
            _until_ready(machines[1])
            files = {"specs/route.yaml": ROUTE.format(models="morning"), "specs/price.yaml": PRICE.format(usd=1)}
            author.push(files, "The first documents")
            site.until("the first documents run", lambda: site.head() > 0 and site.everywhere(site.head()))
            yield site
        finally:
            for machine in machines:
                machine.stop()
            server.close()
            upstream.close()


def _until_ready(machine: Gateway) -> None:
    end = time.monotonic() + 180
    while time.monotonic() < end:
        try:
            if requests.get(machine.base + "/readyz", timeout=2).status_code == 200:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise SystemExit(machine.output)


def day(site: Site, number: int) -> None:
    """The steps, each until both machines have it."""
    author = site.author
    head = site.head()
    author.push({"specs/price.yaml": PRICE.format(usd=2 + number)}, "A price")
    site.until("a price line runs everywhere", lambda: site.everywhere(head + 1))
    author.push({"specs/route.yaml": ROUTE.format(models=f"morning, noon-{number}")}, "Noon")
    site.until("a model more runs everywhere", lambda: site.everywhere(head + 2))
    author.push({"specs/route.yaml": ROUTE.format(models="morning").replace("provider: house", "provider: huose")})
    site.until("a wrong commit is refused", lambda: all("huose" in str(facts.get("git")) for facts in site.facts()))
    author.git("revert", "--no-edit", "HEAD")
    author.push({}, "Mended")
    site.until("it is mended", lambda: all(not facts["git"].get("error") for facts in site.facts()))
    back = site.head() - 1
    if site.run("rollback", back).exit_code:
        raise SystemExit("the rollback was refused")
    rolled = site.head()
    site.until("rolled back everywhere", lambda: site.everywhere(rolled))
    drift = site.run("drift", author.tree / "specs")
    if drift.exit_code != 2:
        raise SystemExit(f"drift says {drift.exit_code}: {drift.output}")
    author.push({"specs/price.yaml": PRICE.format(usd=9 + number)}, "Evening")
    site.until("the next commit runs everywhere", lambda: site.everywhere(rolled + 1))


def main() -> int:
    """Run it; 1 where a call failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=20, help="calls a second")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    failures = 0
    with served() as site:
        time.sleep(3)
        for number in range(options.runs):
            print(f"run {number + 1}", flush=True)
            load, begun = Load(site.machines, site.machines[0].key, options.rate), time.monotonic()
            with load.running():
                day(site, 10 * number)
                time.sleep(max(0.0, options.seconds - (time.monotonic() - begun)))
            print(f"  {load.told()}", flush=True)
            for words in load.failed[:5]:
                print(f"    {words}")
            failures += len(load.failed)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
