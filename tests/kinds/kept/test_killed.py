"""The process for jobs is killed again and again, and whole gateways with it: every batch ends, and is paid once."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from engine.ledger import proof
from engine.settings import Settings
from engine.storage.database import open_database
from tests.kinds.kept.test_batches import chat
from tests.kinds.kept.test_kept import line, sdk
from tests.kinds.task.test_killed import job_process
from tests.support import Gateway, until
from tests.upstreams.stores import OpenAIStore
from tests.upstreams.tasks import Answered, Asked, Vendor

DOCUMENTS = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: here}
extends: openai
spec:
  baseUrl: BASE
  auth: {scheme: none}
  models: [m-one]
  price: [{names: [m-one], tokens: {input: 2, output: 8}}]
---
apiVersion: gatewright/v1
kind: Task
metadata: {name: openai.batches}
extends: openai.batches
spec:
  follow: {first: 0.2, most: 0.4}
"""
_BATCHES = 12


class Ends(OpenAIStore):
    """A vendor whose batches end after some questions: each second one is cancelled, half of it done."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[str, int] = {}

    def answer(self, asked: Asked) -> Answered:
        asked.headers["authorization"] = "Bearer k-one"
        path = asked.path.split("/")
        if asked.method == "GET" and path[2] == "batches":
            name = path[3]
            self.asked[name] = self.asked.get(name, 0) + 1
            if self.asked[name] == 3:
                odd = list(self.batches).index(name) % 2
                self.end(name, [chat(10, 5)] * (1 if odd else 2), "cancelled" if odd else "completed")
        return super().answer(asked)


def test_batches_end_and_are_paid_once_however_often_their_follower_dies(tmp_path: Path) -> None:
    vendor = Vendor()
    vendor.answer = Ends().answer
    specs = {"own.yaml": DOCUMENTS.replace("BASE", vendor.base)}
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{vendor.port}"}
    gateway = Gateway(tmp_path / "gateway", specs=specs, env=env, priced=True)
    gateway.env_dsn = ""  # type: ignore[attr-defined]
    settings = Settings(data=gateway.data)
    chance, killed = random.Random(7), set[int]()
    try:
        gateway.ready()
        with sdk(gateway, gateway.key) as client:  # type: ignore[arg-type]  # both have a base
            for _ in range(_BATCHES):
                file = client.files.create(file=("b.jsonl", line("m-one", max_tokens=9) * 2), purpose="batch")
                client.batches.create(
                    input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
                )  # fmt: skip
        db = open_database(settings, migrate=False)

        def ended() -> bool:
            """Whether all have; kills the process for jobs twice meanwhile."""
            with db.read() as connection:
                sql = "SELECT COUNT(*) FROM tasks WHERE status NOT IN ('SUCCESS', 'CANCELLED')"
                left = connection.exec_driver_sql(sql).scalar()
            pid = job_process(gateway)
            if left and pid is not None and pid not in killed and len(killed) < 2:
                time.sleep(chance.uniform(0.1, 0.6))
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            return not left

        until(ended, 240, 0.3)
        assert killed, "nobody was killed"
        with db.read() as connection:
            ended = connection.exec_driver_sql("SELECT status, quota FROM tasks").fetchall()
        half = _BATCHES // 2  # an answer: 10 in, 5 out at four units each
        assert sorted(map(tuple, ended)) == [("CANCELLED", 30)] * half + [("SUCCESS", 60)] * half
        found = proof.verify(db, db, gateway.data / "journal")
        assert (found.differences, found.charged) == ([], half * 90)
        db.close()
    finally:
        gateway.stop()
        vendor.close()
    assert "Traceback" not in gateway.output, gateway.output
