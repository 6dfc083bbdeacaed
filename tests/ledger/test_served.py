"""Calls are counted when their answer begins to reach its caller: one that is not booked is seen, or booked late."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from engine.ledger import served
from engine.ledger.proof import verify
from engine.ledger.served import Served
from tests.relay import plain
from tests.relay.conftest import provider
from tests.relay.scripted import Upstream
from tests.relay.test_streaming import ask
from tests.soak.site import Site
from tests.support import PATIENCE, Gateway, until

NOTE = {"request_id": "r1", "at": 1, "user": 2, "token": 3, "channel": 4, "input": 5, "model": "m"}


def test_what_is_booked_is_served_and_over(tmp_path):
    calls = Served(tmp_path)
    first, second = calls.begin(NOTE), calls.begin({**NOTE, "request_id": "r2"})
    calls.end(first, True)
    calls.whole(True)
    seen = served.counts(tmp_path)
    assert (seen.served, seen.booked, seen.lost) == (3, 2, 0)
    assert [note["request_id"] for note in seen.open] == ["r2"]
    calls.end(second, True)
    assert served.counts(tmp_path).open == []
    assert calls.begin(NOTE) in (first, second)
    calls.close()


def test_more_calls_than_places_and_longer_notes_are_counted_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(served, "_SLOTS", 2)
    calls = Served(tmp_path)
    places = [calls.begin({**NOTE, "model": "m" * 5000}) for _ in range(4)]
    seen = served.counts(tmp_path)
    assert seen.served == 4
    assert [note["model"] for note in seen.open] == ["m" * 64] * 2
    for place in places:
        calls.end(place, True)
    assert served.counts(tmp_path).booked == 4
    calls.close()


def test_what_a_dead_process_left_counts_among_all_once_it_is_booked(tmp_path):
    for _ in range(2):
        calls = Served(tmp_path)
        calls.begin(NOTE)
        calls.whole(True)
        assert list(served.dead(tmp_path)) == []
        calls.close()
        for path, found in served.dead(tmp_path):
            assert [note["request_id"] for note in found.open] == ["r1"]
            served.absorb(path, found)
    seen = served.counts(tmp_path)
    assert (seen.served, seen.booked, seen.lost, seen.open) == (4, 4, 0, [])


def test_a_call_that_was_served_free_is_a_difference(light):
    calls = Served(light.data / served.DIRECTORY)
    assert verify(light.db, light.db, light.data / "journal").agrees
    calls.end(calls.begin(NOTE), False)
    proof = verify(light.db, light.db, light.data / "journal")
    assert (proof.served, proof.lost, proof.agrees) == (1, 1, False)
    calls.close()


@pytest.fixture
def upstream():
    made = Upstream()
    yield made
    made.close()


PRICE = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: p}
spec: {models: [{names: [m], tokens: {input: 2, output: 8}}]}
"""


@pytest.mark.parametrize("dialect", ["chat", "claude"])
def test_streams_that_die_with_their_worker_are_charged_their_input_once(tmp_path, upstream, dialect: str):
    over = threading.Event()

    def script(say):
        say.events(*map(plain.wire, plain.events("openai.chat")[:2]), end=False)
        over.wait(PATIENCE)

    upstream.script = script
    documents = [provider("p", upstream.base, "openai.chat", "m"), PRICE]
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}"}
    gateway = Gateway(tmp_path, specs={"own.yaml": "\n---".join(documents)}, env=env, priced=True).ready()
    try:
        answers = [ask(gateway, dialect, "m") for _ in range(3)]
        readers = [answer.iter_content(None) for answer in answers]
        for reader in readers:  # held, as one that is let go closes its connection: that caller would have left
            assert next(reader)
        pid = int(gateway.wait_for(r"Booting worker with pid: (\d+)").group(1))
        os.kill(pid, signal.SIGKILL)
        rows = wait_for_rows(gateway, 3)
        assert {row["request_id"] for row in rows} == {answer.headers["x-request-id"] for answer in answers}
        for row in rows:
            assert row["quota"] == row["prompt_tokens"] > 0
            assert row["completion_tokens"] == 0
            assert "worker_died" in row["other"]
        seen = counts_without_open(tmp_path / served.DIRECTORY)
        assert (seen.served, seen.booked, seen.lost, seen.open) == (3, 3, 0, [])
        for answer in answers:
            answer.close()
    finally:
        over.set()
        gateway.stop()
    assert "Traceback" not in gateway.output, gateway.output


def counts_without_open(directory: Path) -> served.Counts:
    """What is counted, once the dead worker's file is taken up: that follows the commit of its rows."""
    until(lambda: not served.counts(directory).open, words=lambda: served.counts(directory))
    return served.counts(directory)


def wait_for_rows(gateway: Gateway, count: int) -> list:
    """The log's rows, once there are so many."""
    import sqlite3
    from contextlib import closing

    def rows() -> list:
        with closing(sqlite3.connect(gateway.data / "gatewright.db")) as db:
            db.row_factory = sqlite3.Row
            return db.execute("SELECT * FROM logs WHERE type = 2").fetchall()

    until(lambda: len(rows()) >= count, words=rows)
    return rows()


def test_calls_of_every_kind_are_booked_as_they_are_served(tmp_path):
    from tests.soak.site import Seen

    site, seen = Site(tmp_path, workers=1), Seen()
    try:
        for number, mode in enumerate(("whole", "stream", "leave", "retry", "fail", "retry"), 100):
            site.send(number, mode, seen)
        until(lambda: len(site.rows()) >= 5)
        assert site.settle().agrees
        calls = served.counts(tmp_path / "data" / served.DIRECTORY)
        assert calls.served == calls.booked == len(site.rows()) == 5
    finally:
        site.close()
