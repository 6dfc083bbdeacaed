"""A change of documents swaps the program and replaces no worker; what is faulty is refused and what runs goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import PATIENCE, until

SITE = Path(__file__).with_name("gateway_site.py")
POLICY = """apiVersion: gatewright/v1
kind: Policy
metadata: {{name: default}}
spec:
  retries: {{times: {times}}}
"""
STREAM = 60 if os.environ.get("GATEWRIGHT_NIGHTLY") else 3
"""Seconds that a stream lasts over which documents change three times."""

pytestmark = pytest.mark.xdist_group("reload")


class Gateway:
    """A running gateway over a directory."""

    def __init__(self, data: Path, port: int, workers: int = 2) -> None:
        self.data = data
        self.port = port
        self.log = data / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(SITE), str(port), str(data), str(workers)],
                stdout=log,
                stderr=log,
                env={**os.environ, "CLOSED": str(data / "closed")},
            )

    def get(self, path: str = "/", timeout: float = PATIENCE) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=timeout) as answer:
            return json.loads(answer.read())

    def beside(self) -> set[int]:
        """Processes that are no workers."""
        workers = re.findall(r"Booting worker with pid: (\d+)", self.log.read_text())
        return set(self.children()) - set(map(int, workers))

    def times(self, tries: int = 10) -> set[int]:
        """What the release says, as seen by however many workers answer."""
        return {self.get()["policy"]["retries"]["times"] for _ in range(tries)}

    def write(self, times: int | str) -> None:
        (self.data / "specs" / "policy.yaml").write_text(POLICY.format(times=times))

    def change(self, times: int) -> None:
        """Change the release, and wait until every worker has it."""
        self.write(times)
        until(lambda: self.times() == {times})

    def children(self) -> dict[int, str]:
        found = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == self.process.pid and fields[0] != "Z":
                found[int(path.parent.name)] = fields[0]
        return found

    def stop(self, seconds: float = PATIENCE) -> float:
        began = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(seconds)
        finally:
            self.process.kill()
            self.process.wait()
        return time.monotonic() - began


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("data")
    (data / "specs").mkdir()
    (data / "specs" / "policy.yaml").write_text(POLICY.format(times=1))
    started = Gateway(data, free_port())
    until(lambda: answers(started) and len(started.children()) == 4, words=started.log.read_text)
    yield started
    started.stop()


def running(pid: int) -> bool:
    """Whether a process is there and no zombie that awaits its reaper."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def answers(gateway: Gateway) -> bool:
    try:
        return bool(gateway.get())
    except OSError:
        return False


def test_change_is_taken_up_by_all_workers_and_replaces_none(gateway):
    before = set(gateway.children())
    gateway.change(2)
    assert set(gateway.children()) == before


@pytest.mark.timeout(STREAM + 300)
def test_open_stream_goes_on_with_its_program_over_three_changes(gateway):
    gateway.change(3)
    seen = []

    def read() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}/stream?{STREAM},6", timeout=PATIENCE) as answer:
            seen.append(answer.read())

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    time.sleep(0.3)
    for times in (4, 5, 6):
        gateway.change(times)
        time.sleep(STREAM / 6)
    for reader in readers:
        reader.join()
    assert len(seen) == 4
    for stream in seen:
        assert set(stream.split()) == {b"3", b"end"}
        assert stream.endswith(b"end")


def test_faulty_document_is_refused_with_its_line_and_the_running_release_stays(gateway):
    gateway.change(7)
    (gateway.data / "specs" / "broken.yaml").write_text(
        POLICY.format(times=8).replace("default", "other") + "  nonsense: 1\n"
    )
    status = until(lambda: (found := gateway.get("/status")) and not found["ok"] and found)
    assert status["faults"][0]["line"] == 6
    assert status["running"] == gateway.get()["hash"]
    assert "broken.yaml:6" in gateway.log.read_text()
    assert gateway.times() == {7}
    mark = len(gateway.log.read_text())
    (gateway.data / "specs" / "broken.yaml").unlink()
    until(lambda: gateway.get("/status")["ok"])
    runs_on = f"no faults any more; release {status['running'][:12]} runs on"
    until(lambda: runs_on in gateway.log.read_text()[mark:])


def test_half_written_file_is_not_read_before_it_rests(gateway):
    gateway.change(8)
    text = POLICY.format(times=9)
    mark = len(gateway.log.read_text())
    with (gateway.data / "specs" / "policy.yaml").open("w") as file:
        for at in range(0, len(text), 10):
            file.write(text[at : at + 10])
            file.flush()
            time.sleep(0.05)
    until(lambda: gateway.times() == {9})
    assert "faults" not in gateway.log.read_text()[mark:]


def test_hup_compiles_again_and_replaces_no_worker(gateway):
    before = set(gateway.children())
    mark = (gateway.data / "programs" / "status.json").stat().st_mtime_ns
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: (gateway.data / "programs" / "status.json").stat().st_mtime_ns != mark)
    assert set(gateway.children()) == before


def test_watcher_that_died_is_started_again(gateway):
    gateway.change(10)
    others = gateway.beside()
    assert len(others) == 2, "the watcher and one process beside it"
    for pid in others:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(set(gateway.children()) - others) == 4)
    gateway.change(11)
    assert "watcher had ended" in gateway.log.read_text()


def test_new_worker_begins_with_the_current_release(gateway):
    gateway.change(12)
    victim = gateway.get()["pid"]
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in gateway.children() and len(gateway.children()) == 4)
    assert gateway.times(30) == {12}


def test_old_programs_are_pruned(gateway):
    for times in range(13, 21):
        gateway.write(times)
        until(lambda wanted=times: gateway.times(1) == {wanted})
    assert len(list((gateway.data / "programs").glob("*.gwp"))) <= 9


def test_term_ends_streams_that_outlived_changes_in_time_and_leaves_no_process(tmp_path, free_port):
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "policy.yaml").write_text(POLICY.format(times=1))
    gateway = Gateway(tmp_path, free_port(), 1)
    until(lambda: answers(gateway))
    answer = urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}/stream?60", timeout=PATIENCE)
    for times in (2, 3, 4):
        gateway.change(times)
    idle = urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}/", timeout=PATIENCE)
    children = set(gateway.children())
    assert len(children) == 3
    assert gateway.stop() < 45
    until(lambda: not any(running(pid) for pid in children))
    assert (tmp_path / "closed").exists()
    answer.close()
    idle.close()


def test_start_with_faults_runs_the_last_good_release_and_says_so(tmp_path, free_port):
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "policy.yaml").write_text(POLICY.format(times=5))
    gateway = Gateway(tmp_path, free_port(), 1)
    until(lambda: answers(gateway))
    gateway.stop()
    gateway.write("[")
    gateway = Gateway(tmp_path, free_port(), 1)
    until(lambda: answers(gateway))
    assert gateway.times() == {5}
    assert gateway.get("/status")["ok"] is False
    gateway.stop()


def test_first_start_with_faults_fails_with_the_line(tmp_path, free_port):
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "policy.yaml").write_text(POLICY.format(times="["))
    gateway = Gateway(tmp_path, free_port(), 1)
    assert gateway.process.wait(PATIENCE) == 1
    assert "policy.yaml:" in gateway.log.read_text()
    assert "no earlier release" in gateway.log.read_text()
