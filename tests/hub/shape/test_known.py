"""Definitions of tools seen before: the same result as at first, bounded, never another target's."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from engine.errors import Refusal
from engine.hub.shape import shape
from engine.hub.shape.known import MOST_TEXT, Known, text_of

CTX = {"format": "alpha", "target": "beta", "model": "m1"}
RULES = {"tools": {"kinds": ["function"], "name": {"pattern": "^[a-z]+$"}, "schema": {"drop": ["title"]}}}
TOOLS: list[dict[str, Any]] = [
    {"kind": "function", "name": "get it", "schema": {"type": "object", "title": "t"}},
    {"kind": "custom", "name": "free"},
    {"kind": "server", "name": "search"},
]


def shaped(tools: list[dict[str, Any]], rules: dict[str, Any]) -> tuple[Any, ...]:
    report: list[tuple[str, str]] = []
    part = {"type": "tool_call", "id": "c", "name": "get it", "arguments": "{}"}
    turn = {"role": "assistant", "parts": [part]}
    made, memo = shape({"messages": [turn], "tools": tools, "tool_choice": {"mode": "any"}}, rules, CTX, report)
    return made, memo, report


def test_the_same_definitions_are_made_the_same_again() -> None:
    before = copy.deepcopy(TOOLS)
    first = shaped(TOOLS, RULES)
    again = shaped(copy.deepcopy(TOOLS), RULES)
    assert first == again
    assert before == TOOLS
    assert len(again[2]) == 4
    assert again[1].names
    assert again[1].custom


def test_another_target_makes_its_own() -> None:
    made, memo, _ = shaped(TOOLS, {"tools": {"kinds": ["function", "custom", "server"]}})
    assert made["tools"] == TOOLS
    assert not memo
    assert shaped(TOOLS, RULES)[0]["tools"] != TOOLS


def test_wrong_definitions_are_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(Refusal, match="schema"):
            shaped([{"kind": "function", "name": "a", "schema": {"type": 5}}], RULES)


def test_what_is_known_is_bounded() -> None:
    known = Known[int](most=100)
    owner = object()
    for number in range(50):
        known.put(owner, b"%030d" % number, number)
    kept = [number for number in range(50) if known.get(owner, b"%030d" % number) is not None]
    assert kept[-1] == 49
    assert len(kept) <= 3
    assert known.get(object(), b"%030d" % 49) is None


def test_long_or_strange_definitions_have_no_text() -> None:
    assert text_of(["x" * MOST_TEXT]) is None
    assert text_of([1 << 70]) is None
    assert text_of(["\ud800"]) is None
    assert text_of([1]) != text_of([True]) != text_of([1.0])
