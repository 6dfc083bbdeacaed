"""The leg on gevent's sockets: its whole suite once more in a patched process, and what only greenlets can show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PATCHED = "from gevent import monkey; monkey.patch_all(); import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"


def patched(*files: str) -> None:
    arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--timeout", "40", *files]
    run = subprocess.run(
        [sys.executable, "-c", PATCHED, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]


def test_the_legs_suite_holds_on_gevents_sockets() -> None:
    patched(str(HERE / "test_leg.py"), str(HERE / "test_tls.py"), str(HERE / "test_proxied.py"))


def test_what_only_greenlets_show_holds() -> None:
    patched(str(HERE / "greenlets.py"))
