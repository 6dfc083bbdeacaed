"""A worker that follows many changes of documents and options keeps the program that runs, and none of those before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

PATCHED = (
    "from gevent import monkey; monkey.patch_all(); import json, pathlib, sys; from tests.server import memory; "
    "print(json.dumps(memory.main(pathlib.Path(sys.argv[1]))))"
)


@pytest.mark.timeout(400)  # 25 s of CPU
def test_memory_is_flat_over_five_hundred_swaps(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PATCHED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=380
    )
    assert run.returncode == 0, run.stderr[-3000:]
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["left"] <= 2
    assert told["uncollected"] <= 2
    assert told["grown"] < 10
