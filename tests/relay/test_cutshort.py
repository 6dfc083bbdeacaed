"""Calls that died with their worker: each is booked by the release that served it, and counts for its canary."""

from __future__ import annotations

from typing import Any

import pytest

from engine.relay import cutshort
from tests.ledger.books import book, prices

NOTED: dict[str, Any] = {
    "request_id": "r",
    "at": 1,
    "user": 1,
    "token": 2,
    "channel": 0,
    "input": 1000,
    "group": "default",
    "model": "m",
    "rule": "m",
}


@pytest.mark.parametrize(
    ("beside", "release", "canary"),
    [
        ({}, None, None),
        ({"release": "f" * 64, "canary": []}, "f" * 16, None),
        ({"release": "f" * 64, "canary": [3, "new"]}, "f" * 16, [3, "new", True, None, 0]),
    ],
)
def test_what_was_noted_of_a_release_is_in_the_row(beside: dict[str, Any], release: str | None, canary: Any) -> None:
    charged = book(prices("- {names: [m], tokens: {input: 2, output: 2}}"), shipped=False)
    entry = cutshort.entry(charged, {**NOTED, **beside}, logged=True)
    other = entry.row["other"]
    assert isinstance(other, dict)
    assert (entry.quota, other.get("release")) == (1000, release)
    assert other.get("admin_info", {}).get("canary") == canary
