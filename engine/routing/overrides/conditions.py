"""Conditions of operations: what is asked of the body, and of the attempt where the body has nothing of that name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from engine.routing.overrides.edit import Edit, OverrideError
from engine.routing.overrides.paths import MISSING, find, path_of

Condition = Callable[[Edit], bool]
Test = Callable[[Any], bool]
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "prefix": str.startswith,
    "suffix": str.endswith,
    "contains": str.__contains__,
}


def condition_of(listed: Any, logic: Any, usual: str = "OR") -> Condition:
    """One condition of a list, or of an object path -> value; raises ValueError for what is none."""
    if isinstance(listed, dict):
        listed = [{"path": path, "mode": "full", "value": value} for path, value in listed.items()]
    if not isinstance(listed, list):
        raise ValueError("conditions must be a list, or an object of paths and values")
    tests = [_condition(entry) for entry in listed]
    both = str(logic or usual).upper() == "AND"
    if not tests:
        return lambda edit: True
    if both:
        return lambda edit: all(test(edit) for test in tests)
    return lambda edit: any(test(edit) for test in tests)


def _condition(rule: Any) -> Condition:
    if not isinstance(rule, dict):
        raise ValueError("a condition must be an object")
    name = rule.get("path")
    path, test = path_of(name), test_of(rule)
    missing, invert = rule.get("pass_missing_key") is True, rule.get("invert") is True

    def holds(edit: Edit) -> bool:
        value = find(edit.body, path)
        if value is MISSING:
            value = _fact(edit, str(name))
        if value is MISSING:
            return missing
        try:
            return test(value) is not invert
        except OverrideError as ex:
            raise OverrideError(f"the condition on {name}: {ex}") from None

    return holds


def _fact(edit: Edit, name: str) -> Any:
    for head in ("request_headers.", "header_override."):
        if name.startswith(head):
            header = name[len(head) :].lower()
            headers = edit.known.sent if head.startswith("request") else {**edit.own, **edit.headers}
            value = headers.get(header)
            return MISSING if value is None else value
    return edit.known.facts.get(name, MISSING)


def test_of(rule: dict[str, Any]) -> Test:
    """What a condition asks of a value; raises ValueError for an unknown mode."""
    mode, wanted = str(rule.get("mode") or "full"), rule.get("value")
    if mode == "full":
        return lambda value: _equal(value, wanted)
    if mode in _TEXT:
        compare, text = _TEXT[mode], _text(wanted)
        return lambda value: compare(_text(value), text)
    if mode in _ORDER:
        order = _ORDER[mode]
        if not _is_number(wanted):
            raise ValueError(f"the condition mode {mode} needs a number")
        return lambda value: order(_number(value), wanted)
    raise ValueError(f"the condition mode {mode[:40]!r} is not known: full, {', '.join((*_TEXT, *_ORDER))}")


def _equal(value: Any, wanted: Any) -> bool:
    if value is None or wanted is None:
        return value is wanted
    if _sort(value) != _sort(wanted):
        raise OverrideError(f"a {_sort(value)} is compared with a {_sort(wanted)}")
    return bool(value == wanted)


def _sort(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if _is_number(value):
        return "number"
    return "text" if isinstance(value, str) else "list or object"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> Any:
    if not _is_number(value):
        raise OverrideError(f"a {_sort(value)} is compared with a number")
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
