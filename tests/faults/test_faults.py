"""48 faults of upstreams by one and two channels, whole and streamed, through the four official SDKs.

Here each client has one upstream format, another one for each fault; `make faults` runs all pairs. A test for each
fault: what the program had of each call, and what was charged for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.faults.cells import Cell, Table, cells
from tests.faults.table import FAULTS
from tests.support import ROOT

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Cell, str]]:
    """What is wrong; all cells run at once, as most of them wait."""
    with ExitStack() as stack:
        table = Table(tmp_path_factory.mktemp("faults"), stack)
        yield table.run(cells(every=False))
        assert "Traceback" not in table.site.gateway.output, table.site.gateway.output[-5000:]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_callers_have_and_pay_when_an_upstream_fails(wrong: dict[Cell, str], fault: str) -> None:
    mine = [f"{cell}: {why}" for cell, why in wrong.items() if cell.fault == fault]
    assert not mine, "\n".join(mine)


def test_the_page_names_faults_and_tests_that_there_are() -> None:
    rows = [line for line in (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines() if "| S" in line]
    assert [row[2:5] for row in rows] == [f"S{number:02}" for number in range(1, 17)]
    for row in rows:
        shown = row.split(" | ")[2]
        assert set(re.findall(r"fault `([^`]+)`", shown)) <= FAULTS.keys(), row
        tests = re.findall(r"`(tests/[\w/]+\.py)` `(test_\w+)`", shown)
        assert tests or "fault `" in shown, row
        for path, name in tests:
            assert f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf-8"), row
