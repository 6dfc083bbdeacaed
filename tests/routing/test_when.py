"""Hours of the day: by day, past midnight, when they begin next, and what is no such span."""

from __future__ import annotations

import time

import pytest

from engine.routing.when import Hours


def at(clock: str) -> float:
    """A moment of 15 June 2026 in this machine's time zone."""
    return time.mktime(time.strptime(f"2026-06-15 {clock}", "%Y-%m-%d %H:%M"))


def test_a_span_of_the_day_holds_from_its_first_minute_to_before_its_last() -> None:
    hours = Hours.of("08:30-17:00")
    assert [hours.hold(at(clock)) for clock in ("08:29", "08:30", "16:59", "17:00")] == [False, True, True, False]
    assert hours.begin(at("07:30")) == at("08:30")
    assert hours.begin(at("18:00")) == at("08:30") + 86_400


def test_a_span_past_midnight_holds_on_both_sides_of_it() -> None:
    hours = Hours.of("22:00-06:00")
    assert [hours.hold(at(clock)) for clock in ("21:59", "22:00", "05:59", "06:00")] == [False, True, True, False]
    assert hours.begin(at("12:00") + 17) == at("22:00")


@pytest.mark.parametrize(
    "text", ["", "8-17", "24:00-06:00", "08:60-09:00", "08:00", "08:00-17:00 or so", "٠٨:00-09:00"]
)
def test_what_says_no_span_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write it as 22:00-06:00"):
        Hours.of(text)
