"""What each channel type sends, held against what New API sent (``../shared/tools/golden_upstream.py``).

Its scripted provider needs one fixed port. The numbers may only grow; why the rest differs stands in docs/providers.md.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, Gateway, missing

SHARED = Path(ROOT).parent / "shared"
TOOL = SHARED / "tools" / "golden_upstream.py"
DATABASE = SHARED / "reference" / "golden" / "upstream.db.gz"
PROVIDER = 21650
ALIKE = 288
"""Of the 331 calls that New API serves without a defect."""
PASSING = 707
"""Of all 750: alike, better, or other than a defect."""

pytestmark = pytest.mark.xdist_group("golden-upstream")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    if not TOOL.is_file() or not DATABASE.is_file():
        missing(f"no golden calls in {SHARED}")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PROVIDER)) == 0:
            missing(f"port {PROVIDER} is taken, where the golden calls' provider has to stand")
    database = tmp_path / "kept.db"
    database.write_bytes(gzip.decompress(DATABASE.read_bytes()))
    return database


def test_no_fewer_calls_are_alike_than_before(kept: Path, tmp_path: Path) -> None:
    own = tmp_path / "gateway.db"
    shutil.copy(kept, own)
    allowed = "127.0.0.1"
    env = {"SQLITE_PATH": str(own), "GATEWRIGHT_EGRESS_ALLOW": allowed, "GATEWRIGHT_FETCH_ALLOW": allowed}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "first.key").write_text("the database has its own")
    gateway = Gateway(tmp_path / "data", env=env)
    try:
        gateway.ready()
        told = subprocess.run(
            [sys.executable, str(TOOL), "compare", gateway.base, "--database", str(kept)],
            capture_output=True, text=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, check=False,
        ).stdout  # fmt: skip
    finally:
        gateway.stop()
    alike = re.search(r"without a defect: (\d+) alike", told)
    passing = re.search(r"(\d+) of 750 cases alike", told)
    assert alike is not None, told[-2000:]
    assert passing is not None, told[-2000:]
    assert int(alike[1]) >= ALIKE, told
    assert int(passing[1]) >= PASSING, told
