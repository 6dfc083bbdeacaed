"""Usage: disjoint buckets that add up to what the upstream said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.hub import paths, usage

INSIDE = {
    "input": {"path": "prompt"},
    "output": {"path": "completion"},
    "cache_read": {"path": "prompt_details.cached", "of": "input"},
    "reasoning": {"path": "completion_details.reasoning", "of": "output"},
    "total": {"path": "total"},
}
BESIDE = {
    "input": {"path": "input_tokens"},
    "output": {"path": "output_tokens", "later": "replace"},
    "cache_read": {"path": "cache_read", "of": "beside"},
    "cache_write": {"path": "cache_created", "of": "beside"},
    "cache_write_5m": {"path": "split.m5", "of": "cache_write"},
    "cache_write_1h": {"path": "split.h1", "of": "cache_write"},
    "calls": {"web_search": {"path": "server.searches"}},
    "models": {"path": "passes", "model": "model", "kind": "type"},
}


def test_counts_inside_a_total_are_taken_out_of_it() -> None:
    raw = {"prompt": 100, "completion": 50, "prompt_details": {"cached": 30}, "completion_details": {"reasoning": 20}}
    found = usage.normalise(raw, INSIDE)
    assert (found["input_fresh"], found["cache_read"], found["output_text"], found["reasoning"]) == (70, 30, 30, 20)
    assert (found["input_total"], found["output_total"], found["raw"]) == (100, 50, raw)


def test_counts_beside_a_total_are_added_to_its_side() -> None:
    raw = {"input_tokens": 10, "output_tokens": 5, "cache_read": 20, "cache_created": 7, "split": {"m5": 3, "h1": 4}}
    found = usage.normalise(raw, BESIDE)
    assert (found["input_fresh"], found["cache_write_5m"], found["cache_write_1h"], found["cache_write"]) == (
        10,
        3,
        4,
        7,
    )
    assert found["input_total"] == 37


def test_cache_writes_without_a_split_are_of_the_short_kind() -> None:
    found = usage.normalise({"input_tokens": 1, "cache_created": 7}, BESIDE)
    assert (found["cache_write_5m"], found["cache_write_1h"]) == (7, 0)


def test_a_provider_may_say_that_reasoning_stands_beside() -> None:
    raw = {"prompt": 307, "completion": 26, "completion_details": {"reasoning": 227}, "total": 560}
    found = usage.normalise(raw, INSIDE, {"reasoning": {"of": "beside"}})
    assert found["output_total"] == 253
    assert found["total"] == 560
    assert "flags" not in found


def test_a_part_larger_than_its_total_is_cut_and_flagged() -> None:
    found = usage.normalise({"prompt": 5, "completion": 10, "completion_details": {"reasoning": 11}}, INSIDE)
    assert (found["reasoning"], found["output_text"], found["output_total"]) == (10, 0, 10)
    assert found["flags"] == ["reasoning_clamped"]


def test_a_total_that_does_not_add_up_is_flagged() -> None:
    assert usage.normalise({"prompt": 1, "completion": 1, "total": 5}, INSIDE)["flags"] == ["total_differs"]


def test_later_present_counts_replace_and_absent_ones_stay() -> None:
    tally = usage.UsageTally(usage.Plan(BESIDE))
    tally.add({"counts": {"input_tokens": 2751, "output_tokens": 1}})
    tally.add({"counts": {"output_tokens": 65}})
    tally.add({"counts": {"traffic": "x"}})
    found = tally.settle()
    assert (found["input_total"], found["output_total"]) == (2751, 65)


def test_pieces_add_up_where_declared() -> None:
    rules = {"output": {"path": "out", "later": "add"}}
    tally = usage.UsageTally(usage.Plan(rules))
    for _ in range(3):
        tally.add({"counts": {"out": 2}})
    assert tally.settle()["output_total"] == 6


def test_several_models_are_billed_one_by_one() -> None:
    entries = [{"type": "compaction", "input_tokens": 60385, "output_tokens": 592}, {"model": "big", "input_tokens": 3}]
    found = usage.normalise({"input_tokens": 682, "output_tokens": 1, "passes": entries}, BESIDE)
    assert [(one.get("kind"), one.get("model"), one["input_total"]) for one in found["models"]] == [
        ("compaction", None, 60385),
        (None, "big", 3),
    ]


def test_calls_of_server_tools_are_counted() -> None:
    assert usage.normalise({"server": {"searches": 2}}, BESIDE)["calls"] == {"web_search": 2}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b", 3),
        ("list[kind=AUDIO].n", 7),
        ("list[*].n", 12),
        ("missing.x", None),
        ("text", None),
        (["nope", "a.b"], 3),
    ],
)
def test_count_paths(path: Any, expected: int | None) -> None:
    data = {"a": {"b": 3}, "text": "7", "list": [{"kind": "TEXT", "n": 5}, {"kind": "AUDIO", "n": 7}]}
    assert paths.reader(path)(data) == expected


COUNT = st.none() | st.integers(-5, 10**7) | st.just("x") | st.floats(allow_nan=True)


@given(
    st.fixed_dictionaries({}, optional={"prompt": COUNT, "completion": COUNT, "total": COUNT}),
    COUNT,
    COUNT,
    st.sampled_from(["input", "beside"]),
    st.sampled_from(["output", "beside"]),
)
def test_buckets_are_disjoint_and_add_up(raw: dict[str, Any], cached: Any, thought: Any, where: str, side: str) -> None:
    raw = {**raw, "prompt_details": {"cached": cached}, "completion_details": {"reasoning": thought}}
    found = usage.normalise(raw, INSIDE, {"cache_read": {"of": where}, "reasoning": {"of": side}})
    buckets = [found[name] for name in usage.BUCKETS]
    assert all(isinstance(value, int) and value >= 0 for value in buckets)
    assert sum(buckets) == found["total"] == found["input_total"] + found["output_total"]
    prompt = paths.whole(raw.get("prompt"))
    if prompt is not None and where == "input" and "cache_read_beside" not in found.get("flags", ()):
        assert found["input_total"] == max(prompt, 0)


def test_a_later_zero_erases_nothing() -> None:
    tally = usage.UsageTally(usage.Plan(BESIDE))
    tally.add({"counts": {"input_tokens": 3100, "output_tokens": 1, "cache_read": 9000}})
    tally.add({"counts": {"input_tokens": 0, "cache_read": 0, "cache_created": 0, "output_tokens": 40}})
    found = tally.settle()
    assert (found["input_fresh"], found["cache_read"], found["output_total"]) == (3100, 9000, 40)


def test_a_later_piece_without_calls_of_a_tool_erases_none() -> None:
    tally = usage.UsageTally(usage.Plan({**BESIDE, "calls": {"a": {"path": "calls.a"}, "b": {"path": "calls.b"}}}))
    tally.add({"counts": {"calls": {"a": 3}}})
    tally.add({"counts": {"calls": {"a": 1, "b": 2}}})
    assert tally.settle()["calls"] == {"a": 3, "b": 2}


@pytest.mark.parametrize(
    ("told", "read", "thought", "flags"),
    [
        # 10,550 = 4,000 + 6,500 + 50
        ({"prompt": 4000, "completion": 50, "prompt_details": {"cached": 6500}, "total": 10550}, 6500, 0, "cache_read"),
        # smaller than the prompt, but the total is the sum with it beside, too
        ({"prompt": 4000, "completion": 50, "prompt_details": {"cached": 3000}, "total": 7050}, 3000, 0, "cache_read"),
        # 560 = 307 + 26 + 227
        (
            {"prompt": 307, "completion": 26, "completion_details": {"reasoning": 227}, "total": 560},
            0,
            227,
            "reasoning",
        ),
    ],
)
def test_a_part_stands_beside_where_the_total_says_so(
    told: dict[str, Any], read: int, thought: int, flags: str
) -> None:
    found = usage.normalise(told, INSIDE)
    assert (found["input_fresh"], found["cache_read"]) == (told["prompt"], read)
    assert (found["output_text"], found["reasoning"]) == (told["completion"], thought)
    assert (found["total"], found["flags"]) == (told["total"], [f"{flags}_beside"])


def test_a_part_larger_than_its_whole_is_cut_where_no_total_explains_it() -> None:
    told = {"prompt": 4000, "completion": 50, "prompt_details": {"cached": 6500}, "total": 4050}
    found = usage.normalise(told, INSIDE)
    assert (found["input_total"], found["cache_read"], found["beyond"]) == (4000, 4000, {"cache_read": 2500})


def test_of_several_names_for_one_count_the_one_that_tells_something_counts() -> None:
    rules = {**INSIDE, "cache_read": {"path": ["prompt_details.cached", "hits", "cached"], "of": "input"}}
    told = {"prompt": 100, "completion": 1, "prompt_details": {"cached": 0}, "cached": 60}
    assert usage.normalise(told, rules)["cache_read"] == 60


@pytest.mark.parametrize("number", [-1, -(10**9), -(2**70)])
def test_no_count_of_calls_or_meters_is_negative(number: int) -> None:
    rules = {**BESIDE, "meters": {"pictures": {"path": "pictures"}}}
    told = {"input_tokens": 10, "output_tokens": 5, "server": {"searches": number}, "pictures": number}
    found = usage.normalise(told, rules)
    assert (found["calls"], found["meters"]) == ({"web_search": 0}, {"pictures": 0})
    assert found["flags"] == ["web_search_negative", "pictures_negative"]


def test_what_can_not_be_is_cut_to_a_ceiling_and_flagged() -> None:
    told = {"input_tokens": 2**63, "output_tokens": 10**22, "cache_read": 5, "server": {"searches": 2**40}}
    found = usage.bounded(usage.normalise(told, BESIDE), 1000, 10)
    assert (found["input_total"], found["output_total"], found["total"]) == (1000, 1000, 2000)
    assert found["input_fresh"] + found["cache_read"] == 1000
    assert found["calls"] == {"web_search": 10}
    assert found["flags"] == ["input_above_ceiling", "output_above_ceiling", "web_search_above_ceiling"]


def test_what_is_below_the_ceiling_is_left_alone() -> None:
    told = usage.normalise({"input_tokens": 1000, "output_tokens": 1000, "server": {"searches": 10}}, BESIDE)
    assert usage.bounded(told, 1000, 10) is told
