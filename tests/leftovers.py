"""What a test run started is ended with it, also where the run is killed: processes with their groups, and databases.

``process(pid)`` and ``database(address, name)`` note one each, and give what strikes it off once it was ended properly.
One guard for each test process reads these notes from a pipe; when the pipe ends, however that process did, it ends
what is still noted.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache

Strike = Callable[[], None]


def process(pid: int) -> Strike:
    """Note a process that leads a group of its own."""
    return _note(f"process {pid}")


def database(address: str, name: str) -> Strike:
    """Note a database; ``address`` is SQLAlchemy's, of the server, by a user who may drop it."""
    return _note(f"database {address} {name}")


def _note(what: str) -> Strike:
    _say(f"+{what}")
    return lambda: _say(f"-{what}")


def _say(line: str) -> None:
    pipe = _guard(os.getpid()).stdin
    assert pipe is not None
    pipe.write(line + "\n")
    pipe.flush()


@cache
def _guard(pid: int) -> subprocess.Popen[str]:
    """This process's guard; a fork has one of its own."""
    guard = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, text=True, start_new_session=True)
    atexit.register(guard.communicate)
    return guard


def _drop(address: str, name: str) -> None:
    from sqlalchemy import create_engine, text

    engine = create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        force = " WITH (FORCE)" if address.startswith("postgresql") else ""
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}{force}"))


def main() -> None:
    """The guard: read notes to their end, then end what was not struck off."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    noted: dict[str, None] = {}
    for line in sys.stdin:
        if line[0] == "+":
            noted[line[1:-1]] = None
        else:
            noted.pop(line[1:-1], None)
    for kind, *words in sorted((note.split() for note in noted), reverse=True):  # processes first, then databases
        with suppress(Exception):
            if kind == "process":
                os.killpg(int(words[0]), signal.SIGKILL)
            else:
                _drop(*words)


if __name__ == "__main__":
    main()
