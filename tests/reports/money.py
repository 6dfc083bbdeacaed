"""Runs a case of money and operation: documents or rows of channels, settings, an upstream by path, one request.

``run(case, directory)`` gives what is wrong, nothing if the case is right. Fields and what ``expect`` may say: the
pages beside the cases.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.reports.expectations import CHECKS
from tests.reports.stage import Came, Stage, ask, known, stage
from tests.support import PATIENCE

_CASE = {
    "case", "about", "source", "specs", "settings", "dotenv", "balance", "database", "upstream", "upstream_tls",
    "request", "steps", "expect", "seen",
}  # fmt: skip


def run(case: Mapping[str, Any], directory: Path) -> list[str]:
    """What is wrong with a case."""
    known(case, _CASE)
    expect = case["expect"]
    with stage(case, directory) as played:
        played.came = _steps(played) if "steps" in case else ask(played)
        wrong = []
        first = {word: told for word, told in expect.items() if word not in ("any", "one_of")}  # words for readers
        for way in [*([first] if first else []), *expect.get("any", ())]:
            found = [fault for word, told in way.items() if (fault := CHECKS[word](played, told))]
            if not found:
                return []
            wrong.append(", ".join(found))
        return ["; or: ".join(wrong)]


def _steps(stage: Stage) -> Came:
    """Commands of the program, in the gateway's directory and with its settings; what they say, one after another."""
    said, status = [], 0
    for step in stage.case["steps"]:
        words = step if isinstance(step, list) else shlex.split(step)
        words = words[1:] if words and words[0] == "gatewright" else words
        words = [told.replace("KEY", stage.site.gateway.key) for told in words]
        env = {**os.environ, **stage.site.env, "GATEWRIGHT_DATA": str(stage.site.directory / "data")}
        done = subprocess.run(
            [sys.executable, "-m", "engine.cli", *words], capture_output=True, text=True, timeout=PATIENCE, env=env,
            cwd=stage.site.directory, check=False,
        )  # fmt: skip
        said.append(done.stdout + done.stderr)
        status = status or done.returncode
    return Came(status, {}, "\n".join(said), True, 0.0, 0.0)
