"""A test run that is killed leaves no server and no database behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect

from tests.databases import ADMIN, server_database
from tests.support import ROOT, until

CODE = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in a shell's background is born deaf to it
from pathlib import Path
from tests.databases import server_database
from tests.support import Running
child = Running([sys.executable, "-c", "import time; time.sleep(600)"])
with server_database(sys.argv[1], Path(sys.argv[2])) as settings:
    print(child.process.pid, settings.sql_dsn.rpartition("/")[2].partition("?")[0], flush=True)
    time.sleep(600)
"""


def lives(pid: int) -> bool:
    """Whether a process is there, and no mere entry for one that ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGINT])
def test_what_a_killed_run_had_started_is_ended(kind: str, sig: int, tmp_path: Path) -> None:
    with server_database(kind, tmp_path):
        pass  # the server is there, else this says so
    run = subprocess.Popen(
        [sys.executable, "-c", CODE, kind, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with run:
        assert run.stdout is not None
        words = run.stdout.readline().split()
        pid, name = int(words[0]), words[1]
        assert lives(pid)
        os.kill(run.pid, sig)
    engine = create_engine(ADMIN[kind])
    until(lambda: not lives(pid))
    until(lambda: name not in _names(engine))
    engine.dispose()


def _names(engine: Engine) -> list[str]:
    if engine.dialect.name != "postgresql":
        return inspect(engine).get_schema_names()
    with engine.connect() as connection:
        return [row[0] for row in connection.exec_driver_sql("SELECT datname FROM pg_database")]
