"""What an answer means as an error, and how long to wait: the one way for calls, spec tests and translate."""

from __future__ import annotations

import email.utils
import time
from typing import Any

import pytest

from engine.program import ErrorMap, ErrorRule
from engine.program.refused import refused, seconds

RULES = ErrorMap([ErrorRule(frozenset({429}), None, "rate_limit_account")])


def error(status: int, header: dict[str, str] | None = None, **told: Any) -> dict[str, Any]:
    found = refused([ErrorMap([]), RULES], lambda *_: dict(told), status, header or {}, {"any": 1})
    assert found is not None
    return found[0]


@pytest.mark.parametrize("name", ["wait", "retry_after"])
@pytest.mark.parametrize("told", [7, 7.0, "7"])
def test_how_long_to_wait_may_stand_in_the_body(name: str, told: Any) -> None:
    assert error(429, message="slow", **{name: told}) == {
        "message": "slow",
        "meaning": "rate_limit_account",
        "status": 429,
        "wait": 7.0,
    }


def test_the_header_goes_before_the_body_unless_it_says_nothing() -> None:
    assert error(429, {"retry-after": "3"}, wait=7)["wait"] == 3.0
    assert error(429, {"retry-after": "soon"}, wait=7)["wait"] == 7.0


@pytest.mark.parametrize("told", [None, "", "soon", True, {}, float("nan"), "inf", 10**400])
def test_what_is_no_time_is_no_time(told: Any) -> None:
    assert seconds(told) is None


def test_a_date_is_the_time_till_then() -> None:
    assert 50 < (seconds(email.utils.formatdate(time.time() + 60, usegmt=True)) or 0) <= 61


def test_what_no_rule_names_means_what_its_status_does() -> None:
    assert error(401)["meaning"] == "upstream_auth"
    assert error(418)["meaning"] == "bad_request"
    assert error(599)["meaning"] == "unavailable"
    assert error(301)["meaning"] == "unknown"
    assert refused([RULES], None, 200, {}, {}) is None


def test_a_decode_that_gives_no_map_leaves_the_error_with_words_of_its_own() -> None:
    found = refused([RULES], lambda *_: "oops", 429, {}, {"any": 1})
    assert found is not None
    assert found[0]["message"].startswith("the provider answered with status 429")
