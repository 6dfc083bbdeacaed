"""What New API's channel fields do: a fast part of the recorded cases, against a gateway of this checkout's own code.

Every case that differs must stand by its name in docs/routing.md. All cases are run by ``test_all_golden_fields.py``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import compiled, free_port

pytestmark = pytest.mark.xdist_group("golden fields")  # the script's upstream has one port
ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT.parent / "shared" / "tools" / "golden_fields.py"
CASES = ROOT.parent / "shared" / "reference" / "golden" / "channels.jsonl"
LISTED = ROOT / "docs" / "routing.md"
FIELDS = (
    *("override_ops", "override_legacy", "condition", "header_override", "multi_key", "key"),
    *("model_mapping", "system_prompt", "claude_thinking", "gemini_thinking", "vendor_suffix"),
)
DIFFERS = re.compile(r"^(\S+) \[(differs|not served|no effect)\]", re.MULTILINE)
ALIKE = 188
"""How many of those in ``FIELDS`` of the default options are alike today: fewer is a step back."""
SERVE = (
    "mkdir -p {dir}/data && cp -r {programs} {dir}/data/ && SQLITE_PATH={db} PORT={port}"
    " GATEWRIGHT_DATA={dir}/data GATEWRIGHT_BIND=127.0.0.1 GATEWRIGHT_WORKERS=1 SHUTDOWN_TIMEOUT_SECONDS=5"
    " GATEWRIGHT_EGRESS_ALLOW=127.0.0.1 exec {python} -m engine.cli serve"
)


def listed() -> set[str]:
    """The names of cases in the tables of docs/routing.md that say where Gatewright deviates."""
    deviations = LISTED.read_text(encoding="utf-8").partition("\n## Deviations from New API\n")[2]
    rows = [line.split("|")[1] for line in deviations.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def here() -> None:
    if not SCRIPT.exists() or not CASES.exists():
        assert os.environ.get("CI") != "true", f"{SCRIPT} is missing"
        pytest.skip("the recorded cases are not beside this checkout")


def test_what_the_docs_list_are_cases() -> None:
    here()
    lines = CASES.read_text(encoding="utf-8").splitlines()[1:]
    assert listed()
    assert listed() <= {json.loads(line)["name"] for line in lines}


def compared(tmp_path: Path, *arguments: str) -> tuple[int, set[str], str]:
    """What ``golden_fields.py compare`` says: how many are alike, the names of those that differ, all its words."""
    here()
    compiled(tmp_path)  # the script waits half a minute for a start
    command = SERVE.replace("{python}", sys.executable).replace("{programs}", str(tmp_path / "programs"))
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), "compare", "--port", str(free_port()), "--serve", command, *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=3000, check=False,
    )  # fmt: skip
    counted = re.search(r"^(\d+) of (\d+) cases alike$", ran.stdout, re.MULTILINE)
    assert counted is not None, ran.stdout[-2000:] + ran.stderr[-2000:]
    different = {name for name, _ in DIFFERS.findall(ran.stdout)}
    assert int(counted[1]) + len(different) == int(counted[2])
    return int(counted[1]), different, ran.stdout


def test_channel_fields_do_what_they_do_elsewhere_or_the_docs_say_why_not(tmp_path: Path) -> None:
    only = ",".join(f"{name}." for name in FIELDS)
    alike, different, words = compared(tmp_path, "--set", "", "--only", only)
    assert different <= listed(), words[-4000:]
    assert alike >= ALIKE, words[-4000:]
