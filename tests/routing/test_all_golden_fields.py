"""What New API's channel fields and options do: all recorded cases, also whether what differs has any effect at all.

Each set of options has a gateway of its own, twice: with the fields of its channels, and with those emptied.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.routing.test_golden_fields import CASES, compared, listed

pytestmark = pytest.mark.xdist_group("golden fields")


@pytest.mark.timeout(3000)  # two starts for each of 16 sets
def test_all_cases_are_alike_or_stand_in_the_docs_with_the_reason(tmp_path: Path) -> None:
    alike, different, words = compared(tmp_path, "--effect")
    print(f"{alike} alike, {len(different)} differ")
    assert different <= listed(), words[-8000:]
    assert listed() <= different, "the docs list what is alike by now"
    assert alike + len(different) == len(CASES.read_text(encoding="utf-8").splitlines()) - 1
