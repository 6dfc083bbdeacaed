"""What it costs to follow tasks that don't end: CPU of the gateway's processes while COUNT of them are unfinished.

All are half an hour old, so each is asked for every 75 seconds; their vendor, in a process of its own, says each time
that they are at work. One vendor is asked task by task, another for 200 at once. Told is what of one core the process
that follows them takes (with its share of what the gateway does anyway), and all processes of the gateway, without a
task and with them.

python -m tests.soak.followed [--count 10000] [--seconds 120] [--kind sqlite --kind postgresql] [--ask one --ask many]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import insert

from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.rows import crud
from engine.storage.tables.tasks import tasks
from tests.databases import server_database
from tests.support import Gateway, until

_AGE, _SETTLED = 1_800, 60.0
_MANY = """
  follow:
    method: POST
    path: /many
    body: {ids: "{{ ids }}"}
    many: 200
    answer:
      - $for: "one in (body.list | default([]))"
        $do: {id: "{{ one.id }}", status: "{{ one.status }}", progress: "{{ one.progress }}"}
"""
_DOCUMENTS = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: videos-here}
extends: openai
spec:
  baseUrl: BASE
  auth: {scheme: none}
  models: [v]
  price: [{names: [v], second: 0.01}]
---
apiVersion: gatewright/v1
kind: Task
metadata: {name: openai.videos}
extends: openai.videos
spec: SPEC
"""


class AtWork(asyncio.Protocol):
    """A vendor whose tasks are at work: of one, or of those that a question names."""

    asked = 0
    """Questions, of all connections."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio``."""
        self._transport: Any = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        """See ``asyncio``: one request after the other."""
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].decode("latin-1")
            length = next((int(line[15:]) for line in head.lower().split("\r\n") if line[:15] == "content-length:"), 0)
            if len(self._data) < end + 4 + length:
                return
            body, self._data = self._data[end + 4 : end + 4 + length], self._data[end + 4 + length :]
            self._answer(head.split(" ", 2)[1], body)

    def _answer(self, path: str, body: bytes) -> None:
        state = {"object": "video", "model": "v", "status": "in_progress", "progress": 50, "seconds": "4"}
        if path == "/asked":
            answer: Any = {"asked": AtWork.asked}
        elif path == "/many":
            AtWork.asked += 1
            answer = [{"id": name, **state} for name in json.loads(body)["ids"]]
        else:
            AtWork.asked += bool(not body)
            answer = {"id": "first" if body else path.rsplit("/", 1)[1], **state}
        raw = json.dumps(answer).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
        self._transport.write(head.encode() + raw)


class Vendor:
    """The vendor in a process of its own."""

    def __init__(self) -> None:
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            asyncio.run(_serve(write))
            os._exit(0)
        self.port = int(os.read(read, 16))
        self.base = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


async def _serve(write: int) -> None:
    server = await asyncio.get_running_loop().create_server(AtWork, "127.0.0.1", 0)
    os.write(write, str(server.sockets[0].getsockname()[1]).encode())
    await server.serve_forever()


def followed(kind: str, ask: str, count: int, seconds: float) -> str:
    """One database and one way of asking; the line of figures."""
    with tempfile.TemporaryDirectory(prefix="gatewright-followed-") as text, ExitStack() as stack:
        data = Path(text)
        dsn = "" if kind == "sqlite" else stack.enter_context(server_database(kind, data / "unused")).sql_dsn
        vendor = Vendor()
        stack.callback(vendor.close)
        env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{vendor.port}", **({"SQL_DSN": dsn} if dsn else {})}
        documents = _DOCUMENTS.replace("BASE", vendor.base).replace("SPEC", _MANY if ask == "many" else "{}")
        gateway = Gateway(data / "gateway", specs={"own.yaml": documents}, env=env, priced=True, may_stall=True)
        stack.callback(gateway.stop)
        gateway.ready()
        db = open_database(Settings(data=gateway.data, sql_dsn=dsn), migrate=False)
        stack.callback(db.close)
        time.sleep(_SETTLED)
        idle, _ = _taken(gateway, 0, seconds / 2)
        _fill(gateway, db, count)
        _until_asked(gateway, vendor, count // (200 if ask == "many" else 1))
        asked = _asked(vendor)
        busy, follower = _taken(gateway, _follower(db), seconds)
        questions = (_asked(vendor) - asked) / seconds
        with db.read() as connection:
            left = connection.exec_driver_sql("SELECT COUNT(*) FROM tasks WHERE status = 'IN_PROGRESS'").scalar_one()
        assert left == count, f"{left} of {count} are unfinished"
        return (
            f"{kind}, asked {ask}: {count} tasks, {questions:.1f} questions a second: {follower:.1%} of a core; all"
            f" processes {busy:.1%}, and {idle:.1%} without tasks"
        )


def _fill(gateway: Gateway, db: Database, count: int) -> None:
    """So many tasks as the first one, which is made as callers make them."""
    assert gateway.post("/v1/videos", {"model": "v", "prompt": "x"}).status_code == 200
    first = next(iter(crud.listed(db, tasks)))
    begun = int(time.time()) - _AGE
    same = {**first, "status": "IN_PROGRESS", "progress": "50%", "submit_time": begun, "start_time": begun}
    same.pop("id")

    def work(connection: Any) -> None:
        connection.exec_driver_sql("DELETE FROM tasks")
        for start in range(0, count, 500):
            rows = [_copy(same, number) for number in range(start, min(start + 500, count))]
            connection.execute(insert(tasks), rows)

    db.write(work)


def _copy(row: dict[str, Any], number: int) -> dict[str, Any]:
    private = row["private_data"]
    private = json.loads(private) if isinstance(private, str | bytes) else private
    own = {**private["gatewright"], "id": f"v{number}"}
    return {**row, "task_id": f"video_{number}", "private_data": {**private, "upstream_task_id": f"v{number}",
            "gatewright": own}}  # fmt: skip


def _asked(vendor: Vendor) -> int:
    return int(requests.get(f"{vendor.base}/asked", timeout=30).json()["asked"])


def _until_asked(gateway: Gateway, vendor: Vendor, count: int) -> None:
    """All that were due at once have been asked for, and their next times lie apart."""
    until(lambda: _asked(vendor) >= count, seconds=900, every=1, words=lambda: gateway.output[-4_000:])
    time.sleep(_SETTLED)


def _follower(db: Database) -> int:
    """The process that has the lease of the tasks."""
    with db.read() as connection:
        query = "SELECT holder FROM gatewright_jobs WHERE name LIKE 'tasks:%%'"
        return int(connection.exec_driver_sql(query).scalar_one().split(":")[1])


def _taken(gateway: Gateway, pid: int, seconds: float) -> tuple[float, float]:
    """What all its processes take of one core for so many seconds, and what this one takes."""
    whole, part, begun = gateway.cpu(), _of(pid), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - begun
    return (gateway.cpu() - whole) / passed, (_of(pid) - part) / passed


def _of(pid: int) -> float:
    if not pid:
        return 0.0
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--kind", action="append", choices=["sqlite", "mysql", "postgresql"])
    parser.add_argument("--ask", action="append", choices=["one", "many"])
    chosen = parser.parse_args()
    for kind in chosen.kind or ["sqlite", "postgresql"]:
        for ask in chosen.ask or ["one", "many"]:
            print(followed(kind, ask, chosen.count, chosen.seconds), flush=True)


if __name__ == "__main__":
    main()
