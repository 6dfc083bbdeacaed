"""The leg on gevent's sockets: its whole suite once more in a patched process, and what only greenlets can show.

With ``GATEWRIGHT_SHARED_TIMER=1`` every wait is by the timer that long ones share.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PATCHED = "from gevent import monkey; monkey.patch_all(); import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"


def patched(*files: str, **env: str) -> None:
    arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--timeout", "270", *files]
    run = subprocess.run(
        [sys.executable, "-c", PATCHED, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTEST_ADDOPTS": "", **env},
        capture_output=True,
        text=True,
        timeout=290,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]


@pytest.mark.parametrize("shared", ["0", "1"])
def test_the_legs_suite_holds_on_gevents_sockets(shared: str) -> None:
    files = [str(HERE / name) for name in ("test_leg.py", "test_tls.py", "test_proxied.py")]
    patched(*files, GATEWRIGHT_SHARED_TIMER=shared)


@pytest.mark.parametrize("shared", ["0", "1"])
def test_what_only_greenlets_show_holds(shared: str) -> None:
    patched(str(HERE / "greenlets.py"), GATEWRIGHT_SHARED_TIMER=shared)
