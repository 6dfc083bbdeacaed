"""How soon a price line is live on every worker of two machines while they serve, and what that does to calls.

    python -m tests.soak.live --rate 200 --rounds 6

Two machines with two workers each on one PostgreSQL and one Redis. Windows without and with a release take turns; the
last round goes back by a rollback. When a release was live is what the ledger says: the last call that began after the
release was asked for and was charged by an older program. Prints that, and p50 and p99 of both kinds of windows, with
the machine's load beside them. 1 where a call failed or a release was not live within two seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import select

from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.tables.ledger import ledger
from tests.databases import server_database
from tests.releases.conftest import ROUTE, provider
from tests.support import Gateway, free_port, until

PRICE = """apiVersion: gatewright/v1
kind: Price
metadata: {{name: ours}}
spec:
  models:
    - {{names: [morning], tokens: {{input: {usd}, output: {usd}}}}}
"""
LIVE, RAISED = 2.0, 0.020
"""Seconds until a release is live; by which p99 may be raised."""
_BODY = json.dumps({"model": "morning", "messages": [{"role": "user", "content": "hi"}]}).encode()
_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Called:
    """A call: when it began (Unix time), seconds to its end, status, and its id in the ledger."""

    began: float
    seconds: float
    status: int
    id: str


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The upstream: every request has the same answer."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
    usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
    body = json.dumps({"id": "x", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage})
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    try:
        while True:
            await _message(reader)
            writer.write((head + body).encode())
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        writer.close()


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head, await reader.readexactly(int(line[15:]))
    return head, b""


async def _caller(port: int, key: str, due: asyncio.Queue[float], called: list[Called]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(_BODY)}\r\n\r\n"
    ).encode() + _BODY
    while True:
        began = await due.get()  # when it was due, so that what holds a call up holds up what waits behind it
        writer.write(request)
        try:
            head, _ = await _message(reader)
            lines = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if line)
            status, id_ = int(head[9:12]), lines[b"x-oneapi-request-id"].decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            status, id_ = 0, ""
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        called.append(Called(began, time.time() - began, status, id_))


async def _load(upstream: int, ports: Sequence[int], key: str, rate: float, pipe: Connection) -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", upstream)
    called: list[Called] = []
    due: asyncio.Queue[float] = asyncio.Queue()
    pipe.send("listens")
    while not pipe.poll():
        await asyncio.sleep(0.05)
    pipe.recv()
    callers = [asyncio.create_task(_caller(ports[n % len(ports)], key, due, called)) for n in range(_CONNECTIONS)]
    begun, number = time.time(), 0
    while not pipe.poll():
        await asyncio.sleep(max(0.0, begun + number / rate - time.time()))
        due.put_nowait(time.time())
        number += 1
    await asyncio.sleep(2)
    for task in callers:
        task.cancel()
    pipe.send([(one.began, one.seconds, one.status, one.id) for one in called])
    server.close()


def _loading(upstream: int, ports: Sequence[int], key: str, rate: float, pipe: Connection) -> None:
    asyncio.run(_load(upstream, ports, key, rate, pipe))


@dataclass
class Site:
    """The machines, where their database is, and where their upstream has to listen."""

    machines: list[Gateway]
    settings: Settings
    upstream: int
    root: dict[str, str]
    committed: float = 0.0
    number: int = 0

    def send(self, path: str, body: dict[str, Any]) -> float:
        """Ask the first machine for a release; when that was."""
        begun = time.time()
        url = self.machines[0].base + "/api/v2/releases" + path
        answer = requests.post(url, json=body, headers=self.root, timeout=60)
        if answer.status_code != 200:
            raise SystemExit(answer.text)
        self.committed = time.time()
        self.number = int(answer.json()["release"])
        return begun

    def everywhere(self) -> bool:
        """Whether both machines say that they run it."""
        url = self.machines[0].base + "/api/v2/releases/status"
        return bool(requests.get(url, headers=self.root, timeout=60).json()["same"])

    def price(self, usd: int) -> float:
        """A price line."""
        return self.send("/apply", {"files": {"price.yaml": PRICE.format(usd=usd)}, "message": "a price"})


@contextmanager
def served() -> Iterator[Site]:
    """Two machines with their documents."""
    place, upstream = Path(tempfile.mkdtemp(prefix="live-")), free_port()
    with server_database("postgresql", place) as settings:
        env = {
            "SQL_DSN": settings.sql_dsn,
            "REDIS_CONN_STRING": "redis://127.0.0.1:6379/9",
            "GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream}",
        }
        machines: list[Gateway] = []
        try:
            for name in ("one", "two"):
                specs = {
                    "house.yaml": provider(f"http://127.0.0.1:{upstream}"),
                    "route.yaml": ROUTE.format(models="morning"),
                }
                machines.append(Gateway(place / name, env=env, specs=specs, workers=2, may_stall=True))
                if name == "one":
                    machines[0].ready()  # it makes the tables
            until(lambda: _ready(machines[1]), 180)
            yield Site(machines, settings, upstream, machines[0].root())
        finally:
            for machine in machines:
                machine.stop()


def _ready(machine: Gateway) -> bool:
    try:
        return requests.get(machine.base + "/readyz", timeout=5).status_code == 200
    except requests.RequestException:
        return False


@dataclass(frozen=True, slots=True)
class Round:
    """When a quiet window began, when a release was asked for and was committed, and when its window ended."""

    what: str
    quiet: float
    asked: float
    committed: float
    end: float


def rounds(site: Site, count: int, seconds: float) -> Iterator[Round]:
    """Quiet and not, in turns; the last two are rollbacks."""
    first = 0
    for number in range(count + 2):
        quiet = time.time()
        time.sleep(seconds)
        if number < count:
            what, asked = "a price line", site.price(3 + number)
            first = first or site.number
        else:
            back = first if number == count else site.number - 1
            what, asked = "a rollback", site.send("/rollback", {"number": back})
        committed = site.committed
        until(site.everywhere, 120)
        time.sleep(max(1.0, asked + seconds - time.time()))
        yield Round(what, quiet, asked, committed, time.time())
        print(f"  {what}: load average {os.getloadavg()[0]:.1f}", flush=True)


def live(round_: Round, called: Sequence[Called], programs: dict[str, str]) -> tuple[float, float]:
    """Seconds from the question, and from the commit, to the last call that an older program served."""
    mine = [one for one in called if round_.asked <= one.began < round_.end]
    new = programs[mine[-1].id]
    last = max((one.began for one in mine if programs[one.id] != new), default=round_.asked)
    return last - round_.asked, max(0.0, last - round_.committed)


def percentile(times: Sequence[float], part: float) -> float:
    """A percentile, in seconds."""
    return sorted(times)[min(len(times) - 1, int(len(times) * part))] if times else 0.0


def main() -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rate", type=float, default=200, help="calls a second")
    parser.add_argument("--rounds", type=int, default=6, help="price lines")
    parser.add_argument("--seconds", type=float, default=8, help="of a window")
    options = parser.parse_args()
    with served() as site:
        here, there = multiprocessing.Pipe()
        ports = [machine.port for machine in site.machines]
        arguments = (site.upstream, ports, site.machines[0].key, options.rate, there)
        child = multiprocessing.get_context("fork").Process(target=_loading, args=arguments)
        child.start()
        here.recv()
        site.price(2)
        time.sleep(15)  # until both have warmed their compilers
        here.send("begin")
        time.sleep(5)
        made = list(rounds(site, options.rounds, options.seconds))
        here.send("end")
        called = sorted((Called(*row) for row in here.recv()), key=lambda one: one.began)
        child.join()
        time.sleep(2)
        db = open_database(site.settings)
        with db.read() as connection:
            rows = connection.execute(select(ledger.c.request_id, ledger.c.program)).all()
        programs = {str(row.request_id): str(row.program) for row in rows}
        db.close()
    return told(made, called, programs)


def told(made: Sequence[Round], called: Sequence[Called], programs: dict[str, str]) -> int:
    """Print what came of it; the exit code."""
    failed = [one for one in called if one.status != 200]
    booked = [one for one in called if one.id in programs]
    print(f"{len(called)} calls, {len(failed)} failed, {len(called) - len(booked)} not booked")
    slow = 0
    for round_ in made:
        asked, committed = live(round_, booked, programs)
        slow += committed > LIVE
        print(f"{round_.what}: everywhere {committed:.2f} s after its commit, {asked:.2f} s after it was asked for")
    quiet = [one.seconds for one in called for it in made if it.quiet + 3 <= one.began < it.asked]
    busy = [one.seconds for one in called for it in made if it.asked <= one.began < it.asked + 3]
    for words, times in (("without", quiet), ("in the three seconds from a release", busy)):
        p50, p99 = (percentile(times, part) * 1000 for part in (0.5, 0.99))
        print(f"{words}: {len(times)} calls, p50 {p50:.1f} ms, p99 {p99:.1f} ms, most {max(times) * 1000:.0f} ms")
    raised = percentile(busy, 0.99) - percentile(quiet, 0.99)
    print(f"p99 raised by {raised * 1000:.1f} ms (target {RAISED * 1000:.0f} ms on a machine of one's own)")
    return int(bool(failed) or len(booked) < len(called) or slow > 0)


if __name__ == "__main__":
    sys.exit(main())
