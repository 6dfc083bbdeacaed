"""What tests wait by."""

from __future__ import annotations

import time

import pytest

from tests.support import until


def test_until_gives_the_first_true_value() -> None:
    values = iter((0, None, "there", "later"))
    assert until(lambda: next(values), every=0) == "there"


def test_until_shows_what_it_saw_last() -> None:
    with pytest.raises(AssertionError, match=r"still \[\] after 0 s: why"):
        until(list, seconds=0, words=lambda: "why")


def test_a_look_that_outlasts_patience_is_not_the_last() -> None:
    looks: list[int] = []

    def slow() -> bool:
        looks.append(1)
        time.sleep(0.3 if len(looks) == 1 else 0)
        return len(looks) > 1

    assert until(slow, seconds=0.1)
