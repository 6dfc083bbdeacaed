"""Connections that the kernel took while the workers were busy are served when the gateway stops, not reset."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.support import PATIENCE, Gateway, until

COUNT, WORKERS = 20, 2


def told_to_stop(pid: str) -> bool:
    """Whether SIGTERM waits for a process that is stopped."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:  # it was over before it could be stopped
        return False
    pending = int(status.partition("ShdPnd:")[2].split()[0], 16)
    return bool(pending & 1 << signal.SIGTERM - 1)


def test_what_waits_in_the_queue_is_served_by_a_gateway_that_stops(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, workers=WORKERS).ready()
    with ExitStack() as stack:
        children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text().split()
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGSTOP)
        links = [
            stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), PATIENCE)) for _ in range(COUNT)
        ]  # fmt: skip
        for link in links:
            link.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: sum(map(told_to_stop, children)) >= WORKERS)
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGCONT)
        answers = []
        for link in links:
            link.settimeout(PATIENCE)
            with link.makefile("rb") as answer:
                answers.append(answer.readline())
    assert [answer.split()[1] for answer in answers] == [b"200"] * COUNT
    assert gateway.stop(timeout=PATIENCE) == 0
