"""Where the cases of reports lie."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support import ROOT

FOLDER = Path(os.environ.get("GATEWRIGHT_REPORTS", ROOT.parent / "shared" / "fixtures" / "reports"))
"""Cases lie beside the checkout; another place is named by the variable."""


def files(kind: str, ending: str) -> list[Path]:
    """The cases of one folder, by name."""
    return sorted((FOLDER / kind).glob(f"*.{ending}"))
