"""The real application with a tiny app in the relay's place: ``python gateway_site.py PORT DATA [WORKERS]``.

Run as a program. Documents lie in DATA/specs; the app tells the release that a request began with.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import os  # noqa: E402

from engine.server.application import Gateway  # noqa: E402
from engine.server.children import Child  # noqa: E402
from engine.server.faults import StartError  # noqa: E402
from engine.settings import Settings  # noqa: E402


class State:
    """The program, and what happened to it."""

    def __init__(self, program: Any, status: Any) -> None:
        self.program = program
        self.status = status

    def swap(self, program: Any) -> None:
        self.program = program

    def offer(self, offers: Any, shelf: Any) -> None:
        """Nothing runs beside it."""

    def follow_secrets(self) -> None:
        """There are none."""

    def forget(self) -> None:
        """There are no log rows."""

    def follow(self) -> None:
        """There are none."""

    def refresh(self) -> None:
        pass

    def close(self) -> None:
        Path(os.environ["CLOSED"]).write_text("closed")


def build(settings: Settings, program: Any, status: Any) -> Any:
    state = State(program, status)

    def app(env: dict[str, Any], start: Any) -> Any:
        begun = state.program
        if env["PATH_INFO"] == "/status":
            start("200 OK", [])
            return [json.dumps(status()).encode()]
        start("200 OK", [])
        if env["PATH_INFO"] == "/stream":
            return ticks(begun, state, *map(float, env["QUERY_STRING"].split(",")))
        return [json.dumps({"hash": begun.hash, "policy": begun.policy, "pid": os.getpid()}).encode()]

    return state, app


def ticks(begun: Any, state: State, seconds: float, until: float = 0) -> Any:
    """A stream of so many seconds, and no less than until this worker has the program that says ``until``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end or (until and state.program.policy["retries"]["times"] != until):
        yield b"%d " % begun.policy["retries"]["times"]
        time.sleep(0.02)
    yield b"end"


def sleeper(sender: int) -> None:
    time.sleep(600)


if __name__ == "__main__":
    data = Path(sys.argv[2])
    chosen = Settings(
        port=int(sys.argv[1]), bind="127.0.0.1", data=data, workers=int((sys.argv[3:] or ["2"])[0]), shutdown_timeout=2
    )
    beside = Child("sleeper", sleeper)
    try:
        Gateway(chosen, [data / "specs"], build, extra_processes=[beside]).run()
    except StartError as error:
        sys.stderr.write(f"gatewright: {error}\n")
        raise SystemExit(1) from None
