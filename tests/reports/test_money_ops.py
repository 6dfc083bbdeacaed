"""Charges, settings, rows of channels and large bodies that were found wrong once, each a file beside this checkout."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.reports.cases import files
from tests.reports.money import run
from tests.support import missing

CASES = files("money-ops", "yaml")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_operators_reported_holds(path: Path, tmp_path: Path) -> None:
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    wrong = run(case, tmp_path)
    assert not wrong, f"{case['about']}\n" + "\n".join(wrong)


def test_there_are_cases() -> None:
    if not CASES:
        missing("the cases of reports are not beside this checkout (GATEWRIGHT_REPORTS names their place)")
