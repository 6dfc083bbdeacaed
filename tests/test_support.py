"""What tests wait by."""

from __future__ import annotations

import pytest

from tests.support import until


def test_until_gives_the_first_true_value() -> None:
    values = iter((0, None, "there", "later"))
    assert until(lambda: next(values), every=0) == "there"


def test_until_looks_once_more_when_its_time_is_over_and_shows_what_it_saw_last() -> None:
    seen: list[int] = []
    with pytest.raises(AssertionError, match=r"still \[\] after 0 s: 2 looks"):
        until(lambda: seen.append(1) or [], seconds=0, every=0.01, words=lambda: f"{len(seen)} looks")
