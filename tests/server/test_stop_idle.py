"""A gateway that stops behind a balancer: what is sent on a connection that it keeps is answered, and nobody is let
in whom nobody will answer."""

from __future__ import annotations

import http.client
import os
import signal
import time
from pathlib import Path

import pytest

from tests.support import PATIENCE, Gateway

IDLE = 3.2
"""Seconds after which a connection that has had an answer is not spared for itself."""


@pytest.mark.parametrize(("seconds", "answered"), [("30", True), ("0", False)])
def test_what_is_asked_on_an_idle_connection_of_a_stopping_worker(tmp_path: Path, seconds: str, answered: bool) -> None:
    gateway = Gateway(tmp_path, env={"GATEWRIGHT_STOP_IDLE": seconds}).ready()
    idle = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE)
    try:
        idle.request("GET", "/healthz")
        idle.getresponse().read()
        time.sleep(IDLE)
        gateway.process.send_signal(signal.SIGTERM)
        if not answered:
            assert gateway.process.wait(PATIENCE) == 0
            return
        time.sleep(IDLE)
        sock = idle.sock
        idle.request("GET", "/healthz")
        answer = idle.getresponse()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert idle.sock is None or idle.sock is sock
        assert gateway.process.wait(PATIENCE) == 0  # well before the 30 s: nothing is open any more
    finally:
        idle.close()
        gateway.stop()


def test_the_port_is_held_by_those_alone_who_answer_on_it(tmp_path: Path) -> None:
    """The kernel connects callers as long as anybody holds it, and resets them when the last lets go."""
    gateway = Gateway(tmp_path, workers=2).ready()
    try:
        port = f":{gateway.port:04X}"
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        (inode,) = (columns[9] for columns in lines if columns[1].endswith(port) and columns[3] == "0A")
        holders = [pid for pid in family(gateway.process.pid) if f"socket:[{inode}]" in files_of(pid)]
        assert len(holders) == 3, [(pid, Path(f"/proc/{pid}/comm").read_text()) for pid in holders]
    finally:
        gateway.stop()


def family(pid: int) -> list[int]:
    """A process and those that it began."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def files_of(pid: int) -> set[str]:
    return {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
