"""Error maps: the shortcut for good answers finds the very rule that asking each condition finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.program.refusals import ErrorMap, ErrorRule
from tests.formats import recorded
from tests.support import missing


def rule(meaning: str, *members: str, status: tuple[int | str, ...] = ()) -> ErrorRule:
    """A rule that holds when any of the members is there."""

    def when(_r: Any, _status: int, _header: Mapping[str, str], body: dict[str, Any]) -> bool:
        asked.append(meaning)
        return any(name in body for name in members)

    return ErrorRule(frozenset(status), when, meaning, members=frozenset(members))


asked: list[str] = []


def test_a_good_answer_asks_no_condition() -> None:
    rules = ErrorMap([rule("a", "error"), rule("b", "code", "status")])
    assert rules.find(200, {}, {"choices": []}) is None
    asked.clear()
    assert rules.find(200, {}, {"choices": [], "usage": {}}) is None
    assert asked == []
    found = rules.find(200, {}, {"code": 1, "choices": []})
    assert found is rules.rules[1]
    assert asked == ["a", "b"]


def test_no_shortcut_where_a_condition_hangs_on_more() -> None:
    everything = ErrorRule(frozenset(), lambda _r, _s, _h, body: len(body) > 2, "odd")
    absent = ErrorRule(frozenset(), lambda _r, _s, _h, body: "ok" not in body, "bad", members=frozenset({"ok"}))
    by_status = ErrorRule(frozenset({500}), None, "down")
    for rules, status, body in (
        ([rule("a", "error"), everything], 200, {"x": 1, "y": 2, "z": 3}),
        ([rule("a", "error"), absent], 200, {"x": 1}),
        ([rule("a", "error"), by_status], 500, {"x": 1}),
    ):
        assert ErrorMap(rules).find(status, {}, body) is rules[1]


def slowly(rules: ErrorMap, status: int, body: Any) -> ErrorRule | None:
    """What the map says, asked line by line."""
    for one in rules.rules:
        if one.covers(status) and (one.when is None or one.when([], status, {}, body)):
            return one
    return None


def test_every_shipped_map_says_the_same_of_every_recorded_answer() -> None:
    answers = [(one.status, one.response) for one in (*recorded.exchanges(), *recorded.dialects()) if one.response]
    if not answers:
        missing("no recordings")
    short = 0
    for speaker in recorded.program().formats.values():
        rules = speaker.error.rules
        for status, body in answers:
            for code in {status, 200, 404, 500}:
                assert rules.find(code, {}, body) is slowly(rules, code, body), (speaker.name, code)
        short += bool(rules._by_status[200][1])
    assert short >= 2, "there is something that the shortcut saves"
