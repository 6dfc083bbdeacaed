"""Processes beside the workers: their messages, their ends, and what is started again. Each test runs in a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {
    "answer of a child that ends at once is not lost": """
        assert in_child(lambda: b"many\\nlines") == b"many\\nlines"
    """,
    "failure of a child comes with its words": """
        def work(): raise ValueError("such\\na pity")
        try:
            in_child(work)
        except ChildError as error:
            assert str(error) == "such\\na pity"
        else:
            raise AssertionError
    """,
    "child that dies without a word is told": """
        try:
            in_child(lambda: os._exit(3))
        except ChildError as error:
            assert "without a word" in str(error)
        else:
            raise AssertionError
    """,
    "message waits for its line": """
        def body(sender):
            for text in (b"half", b" whole\\nnext\\n"):
                time.sleep(0.2); os.write(sender, text)
            time.sleep(60)
        child = Child("c", body); child.start()
        assert child.message(60) == b"half whole"
        assert child.message(60) == b"next"
        assert child.message(0.1) is None
        assert child.alive()
        child.stop()
        assert not child.alive()
    """,
    "end of a child is seen and it is started again": """
        child = Child("c", lambda sender: time.sleep(60)); child.start()
        first = child.pid
        assert not child.revive()
        os.kill(first, 9); os.waitpid(first, 0)
        until(lambda: not child.alive())
        until(child.revive)
        assert child.pid != first and child.alive()
        child.stop()
    """,
    "child that can't stay is started ever more seldom": """
        child = Child("c", lambda sender: None); child.start()
        before = time.monotonic(); until(child.revive)
        between = time.monotonic(); until(child.revive)
        assert between - before >= 2 and time.monotonic() - between >= 4
    """,
}


@pytest.mark.parametrize("patched", [False, True], ids=["plain", "gevent"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_child(name, patched):
    lines = ["import os, sys, time", "sys.path.insert(0, '.')"]
    if patched:
        lines.append("from gevent import monkey; monkey.patch_all()")
    lines.append("from engine.server.children import Child, ChildError, in_child")
    lines.append("from tests.support import until")
    body = [line[8:] for line in PROGRAMS[name].splitlines()]
    command = [sys.executable, "-c", "\n".join(lines + body)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr.decode()
