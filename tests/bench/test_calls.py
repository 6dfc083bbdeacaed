"""How many functions of Python a fixed request and a fixed stream may call: what is done anew for each is seen here.

A count, not a time. Whoever adds a feature that every call pays for raises a bound here, and says so in
docs/performance.md. And a warm worker asks no database.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.count import count_calls

BOUNDS = {
    "request, same format": 290,
    "request, translated": 650,
    "chunk, same format": 1700,
    "chunk, translated": 2730,
}
"""Calls for a request, or for a stream of 50 chunks."""


@pytest.mark.parametrize("kind", BOUNDS)
def test_a_fixed_call_calls_so_many_functions_at_most_and_reads_no_database(kind: str) -> None:
    counted = count_calls(Path(__file__).parents[2], kind)
    assert counted["calls"] <= BOUNDS[kind]
    assert counted["statements"] == 0
    assert counted["cold"] > 0  # else nothing would be seen here
