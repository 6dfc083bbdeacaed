"""Where the cases of reports lie, and which of them are known to fail as yet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

FOLDER = Path(os.environ.get("GATEWRIGHT_REPORTS", ROOT.parent / "shared" / "fixtures" / "reports"))
"""Cases lie beside the checkout; another place is named by the variable."""


def files(kind: str, ending: str) -> list[Path]:
    """The cases of one folder, by name."""
    return sorted((FOLDER / kind).glob(f"*.{ending}"))


def marked(paths: list[Path], red: Mapping[str, str]) -> list[Any]:
    """A parameter for each case; one that is known to fail has to fail, so that a mended one shows."""
    return [
        pytest.param(
            path,
            id=path.stem,
            marks=[pytest.mark.xfail(reason=red[path.stem], strict=True)] if path.stem in red else [],
        )
        for path in paths
    ]
