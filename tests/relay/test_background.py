"""Answers that a provider makes in the background: held until their end, settled by what they used, exactly once."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
import requests

from tests.relay.conftest import provider
from tests.relay.scripted import Upstream
from tests.support import PATIENCE, Gateway, until

pytestmark = pytest.mark.xdist_group("background")
PRICE = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: own}
spec: {models: [{names: [resp-m], tokens: {input: 2, output: 8}}]}
"""
USED = {"input_tokens": 1000, "output_tokens": 500_000, "total_tokens": 501_000}
COST = 1000 + 4 * 500_000


class Provider:
    """An upstream that makes answers in the background; ``status`` is what it says of each."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.upstream.script = self.serve
        self.status = "queued"
        self.usage: dict[str, Any] | None = USED
        self.known = True
        self.late: threading.Event | None = None
        """What questions that are told `queued` wait for before they are."""

    def answer(self, answer_id: str) -> dict[str, Any]:
        over = self.status not in ("queued", "in_progress")
        part = {"type": "output_text", "text": "x", "annotations": []}
        said = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}
        head = {"id": answer_id, "object": "response", "created_at": 1, "model": "resp-m", "background": True}
        done = {"output": [said] if over else [], "usage": self.usage if over else None}
        return {**head, "status": self.status, **done}

    def serve(self, say: Any) -> None:
        arrived = say.arrived
        if arrived.method == "POST" and arrived.path.endswith("/cancel"):
            self.status = "cancelled"
        elif arrived.method == "POST":
            answer_id = f"resp_{time.monotonic_ns()}"
            if arrived.json.get("stream"):
                created = {"type": "response.created", "sequence_number": 0, "response": self.answer(answer_id)}
                say.head(200, "text/event-stream")
                say.chunk(b"event: response.created\ndata: " + _json(created) + b"\n\n")
                say.wait_until_left(PATIENCE)
                return
            say.whole(self.answer(answer_id))
            return
        if not self.known:
            say.whole({"error": {"message": "no such response", "code": "not_found"}}, 404)
            return
        answer = self.answer(arrived.path.split("/")[3])
        if self.late is not None and answer["status"] == "queued":
            assert self.late.wait(PATIENCE)
        say.whole(answer)

    def asked(self, method: str = "GET") -> int:
        return sum(one.method == method and "/responses/" in one.path for one in self.upstream.got)


def _json(value: Any) -> bytes:
    return requests.compat.json.dumps(value).encode()


@pytest.fixture
def site():
    made = Provider(Upstream())
    yield made
    made.upstream.close()


@pytest.fixture
def start(tmp_path, site):
    """Start a gateway on the test's own data, once or again."""
    running: list[Gateway] = []

    def make(policy: str = "", workers: int = 1) -> Gateway:
        documents = {"test.yaml": provider("p", site.upstream.base, "openai.responses", "resp-m") + "---" + PRICE}
        if policy:
            head = "apiVersion: gatewright/v1\nkind: Policy\nmetadata: {name: own}\nspec:\n  ledger: "
            documents["policy.yaml"] = head + policy + "\n"
        env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{site.upstream.port}", "ERROR_LOG_ENABLED": "true"}
        gateway = Gateway(tmp_path / "data", specs=documents, env=env, priced=True, workers=workers)
        running.append(gateway)
        return gateway.ready()

    yield make
    for one in running:
        one.stop()
        assert "Traceback" not in one.output, one.output


def ask(gateway: Gateway, **more: Any) -> dict[str, Any]:
    body = {"model": "resp-m", "input": "hi", "background": True, "max_output_tokens": 1000, **more}
    got = gateway.post("/v1/responses", body)
    assert got.status_code == 200, got.text
    return got.json()


def fetch(gateway: Gateway, answer_id: str, method: str = "GET", below: str = "") -> requests.Response:
    url, headers = f"{gateway.base}/v1/responses/{answer_id}{below}", {"authorization": f"Bearer {gateway.key}"}
    return requests.request(method, url, headers=headers, timeout=PATIENCE)


def logged(gateway: Gateway) -> list[tuple[int, int, int, str]]:
    """The charges so far."""
    with closing(sqlite3.connect(gateway.data / "gatewright.db")) as db:
        return db.execute("SELECT quota, prompt_tokens, completion_tokens, other FROM logs WHERE type=2").fetchall()


def rows(gateway: Gateway) -> list[tuple[int, int, int, str]]:
    """The charges, as soon as there are any."""
    return until(lambda: logged(gateway), words=lambda: gateway.output)


def balance(gateway: Gateway) -> int:
    with closing(sqlite3.connect(gateway.data / "gatewright.db")) as db:
        return int(db.execute("SELECT quota FROM users WHERE username='root'").fetchone()[0])


def test_who_asks_for_the_end_is_told_and_it_is_charged_once(start, site):
    gateway = start(workers=2)
    before = balance(gateway)
    made = ask(gateway)
    assert fetch(gateway, made["id"]).json()["status"] == "queued"
    time.sleep(1)  # what was written by mistake would be there by then
    assert logged(gateway) == []
    site.status = "completed"
    with ThreadPoolExecutor(12) as pool:  # at once, over both workers
        answers = list(pool.map(lambda _: fetch(gateway, made["id"]), range(24)))
    assert [one.json().get("status") for one in answers] == ["completed"] * 24, [one.text for one in answers]
    assert [row[:3] for row in rows(gateway)] == [(COST, 1000, 500_000)]
    time.sleep(3)  # the gateway's own question comes after two seconds
    assert len(logged(gateway)) == 1
    assert balance(gateway) == before - COST
    command = [*gateway.process.args[:3], "ledger", "verify"]
    env = {**os.environ, "GATEWRIGHT_DATA": str(gateway.data)}
    proof = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=env)
    assert proof.returncode == 0, proof.stdout + proof.stderr


def test_who_was_told_late_that_it_is_queued_does_not_undo_its_end(start, site):
    gateway = start()
    answer_id = ask(gateway)["id"]
    site.late = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(fetch, gateway, answer_id)
        until(site.asked)
        site.status = "completed"
        assert fetch(gateway, answer_id).json()["status"] == "completed"
        site.late.set()
        assert first.result().json()["status"] == "completed"
    asked = site.asked()
    assert fetch(gateway, answer_id).json()["status"] == "completed"
    assert site.asked() == asked  # it is kept as it ended


def test_nobody_asks_and_it_is_charged_all_the_same(start, site):
    gateway = start(workers=2)
    made = ask(gateway)
    until(site.asked)
    assert logged(gateway) == []
    site.status = "completed"
    (row,) = rows(gateway)
    assert row[:3] == (COST, 1000, 500_000)
    assert '"end":"seen"' in row[3].replace(" ", "")
    site.upstream.got.clear()
    assert fetch(gateway, made["id"]).json()["status"] == "completed"
    assert site.asked() == 0  # it is kept as it ended


def test_half_characters_and_long_numbers_are_kept_with_what_was_asked(start, site):
    gateway = start()
    tool = {"type": "function", "name": "f", "parameters": {"type": "integer", "maximum": 10**30}, "strict": False}
    ask(gateway, input="hi \ud800", tools=[tool])
    time.sleep(1)
    assert logged(gateway) == []  # one that can't be noted is settled by its request at once
    site.status = "completed"
    (row,) = rows(gateway)
    assert row[:3] == (COST, 1000, 500_000)
    assert '"end":"seen"' in row[3].replace(" ", "")


def test_a_cancelled_answer_costs_what_it_had_used(start, site):
    gateway = start()
    made = ask(gateway)
    site.usage = {"input_tokens": 10, "output_tokens": 9000, "total_tokens": 9010}
    assert fetch(gateway, made["id"], "POST", "/cancel").json()["status"] == "cancelled"
    assert [row[:3] for row in rows(gateway)] == [(10 + 36_000, 10, 9000)]


@pytest.mark.parametrize("status", ["failed", "incomplete"])
def test_an_answer_that_ended_badly_costs_what_it_tells(start, site, status):
    gateway = start()
    made = ask(gateway)
    site.status, site.usage = status, {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30}
    assert fetch(gateway, made["id"]).status_code == 200
    assert [row[:3] for row in rows(gateway)] == [(90, 10, 20)]


def test_deleting_an_answer_that_is_being_made_ends_it_first(start, site):
    gateway = start()
    made = ask(gateway)
    site.usage = {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30}
    assert fetch(gateway, made["id"], "DELETE").json()["deleted"] is True
    assert [row[:3] for row in rows(gateway)] == [(90, 10, 20)]


def test_an_end_that_tells_no_usage_is_counted_here(start, site):
    gateway = start()
    made = ask(gateway)
    site.status, site.usage = "completed", None
    fetch(gateway, made["id"])
    (row,) = rows(gateway)
    assert row[1] > 0
    assert row[2] > 0
    assert '"usage_source":"estimated"' in row[3].replace(" ", "")


def test_a_stream_that_is_left_goes_on_in_the_background(start, site):
    gateway = start()
    body = {"model": "resp-m", "input": "hi", "background": True, "stream": True}
    with gateway.post("/v1/responses", body, stream=True) as got:
        assert b"response.created" in next(got.iter_content(None))
    site.status = "completed"
    assert [row[:3] for row in rows(gateway)] == [(COST, 1000, 500_000)]


def test_what_it_may_cost_is_held_until_its_end_and_survives_a_killed_worker(start, site):
    gateway = start(workers=2)
    made = ask(gateway, max_output_tokens=1_000_000)
    with closing(sqlite3.connect(gateway.data / "gatewright.db")) as db, db:
        db.execute("UPDATE users SET quota=5000000 WHERE username='root'")
    time.sleep(3.1)  # balances are believed for three seconds
    second = {"model": "resp-m", "input": "hi", "max_output_tokens": 500_000}
    assert gateway.post("/v1/responses", second).status_code == 402
    for worker in workers(gateway):
        os.kill(worker, signal.SIGKILL)

    def refused() -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return gateway.post("/v1/responses", second).status_code == 402
        return False

    until(refused, every=1)  # another worker takes it up
    site.status = "completed"
    fetch(gateway, made["id"])
    fetch(gateway, made["id"])
    charges = [row[:3] for row in rows(gateway)]
    assert charges.count((COST, 1000, 500_000)) >= 1


def workers(gateway: Gateway) -> list[int]:
    shown = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(gateway.process.pid)], capture_output=True, text=True, check=True
    ).stdout
    return [int(line.split()[0]) for line in shown.splitlines() if re.search("serve", line)]


def test_a_restart_loses_none(start, site):
    gateway = start()
    ask(gateway)
    gateway.stop(signal.SIGKILL)
    site.status = "completed"
    again = start()
    assert [row[:3] for row in rows(again)] == [(COST, 1000, 500_000)]


def test_an_end_that_nobody_saw_costs_what_was_held(start, site):
    gateway = start("{background: {seconds: 3}}")
    ask(gateway)
    site.known = False
    (row,) = rows(gateway)
    assert row[0] == 4000 + row_input(gateway)
    assert '"end":"unknown"' in row[3].replace(" ", "")


def row_input(gateway: Gateway) -> int:
    """What is held of the input of `ask`: a token for each four bytes."""
    body = {"model": "resp-m", "input": "hi", "background": True, "max_output_tokens": 1000}
    return len(requests.models.complexjson.dumps(body)) // 4


def test_a_policy_may_refuse_them(start, site):
    gateway = start("{background: {seconds: 0}}")
    got = gateway.post("/v1/responses", {"model": "resp-m", "input": "hi", "background": True})
    assert got.status_code == 400
    assert "background" in got.json()["error"]["message"]
    assert site.upstream.got == []
