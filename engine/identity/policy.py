"""Who may enter by a provider that the console keeps: New API's rules over what the service says of the person.

A rule is JSON: ``logic`` (and, or), ``conditions`` with ``field`` (a dotted path), ``op`` and ``value``, and ``groups``
of such rules. A rule that can't be read lets nobody in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

_DEEPEST, _MOST = 8, 100
Field = Callable[[Any], Any]


def field(path: str) -> Field:
    """What reads a dotted path; numbers in it count into lists."""
    steps = path.split(".") if path else []

    def read(value: Any) -> Any:
        for step in steps:
            if isinstance(value, list) and step.isdigit() and len(step) < 6:
                value = value[int(step)] if int(step) < len(value) else None
            else:
                value = value.get(step) if isinstance(value, Mapping) else None
        return value

    return read if steps else lambda _: None


def conditions(rule: str, refusal: str) -> list[tuple[Callable[..., Any], Callable[..., Any]]]:
    """The rule as a condition of a login, with its refusal; none where there is no rule."""
    if not rule.strip():
        return []
    try:
        parsed = parse(rule)
    except ValueError:
        parsed = None

    def when(_: Any, person: Any, claims: Any, answers: Any, options: Any) -> bool:
        return parsed is not None and holds(parsed, answers.get("user"))

    return [(when, lambda *_: refusal)]


def parse(text: str) -> dict[str, Any]:
    """A rule that can be followed; raises ``ValueError`` that says what is wrong."""
    try:
        rule = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ValueError("it is no JSON") from None
    _checked(rule, 0)
    parsed: dict[str, Any] = rule
    return parsed


def _checked(rule: Any, depth: int) -> None:
    if not isinstance(rule, dict) or depth > _DEEPEST:
        raise ValueError("a rule is an object, not more than 8 deep")
    if rule.get("logic", "and") not in ("and", "or"):
        raise ValueError("`logic` is and, or or")
    parts, groups = rule.get("conditions") or [], rule.get("groups") or []
    if not isinstance(parts, list) or not isinstance(groups, list) or len(parts) + len(groups) > _MOST:
        raise ValueError("`conditions` and `groups` are lists")
    if not parts and not groups:
        raise ValueError("it has no conditions")
    for part in parts:
        if not isinstance(part, dict) or not isinstance(part.get("field"), str) or part.get("op") not in _OPERATIONS:
            raise ValueError(f"a condition has `field` and an `op` of {', '.join(_OPERATIONS)}")
    for group in groups:
        _checked(group, depth + 1)


def holds(rule: dict[str, Any], said: Any) -> bool:
    """Whether what the service says fits."""
    found = [_fits(part, said) for part in rule.get("conditions") or []]
    found += [holds(group, said) for group in rule.get("groups") or []]
    return any(found) if rule.get("logic") == "or" else all(found)


def _fits(part: dict[str, Any], said: Any) -> bool:
    return _OPERATIONS[part["op"]](field(part["field"])(said), part.get("value"))


def _plain(value: Any) -> Any:
    """Numbers and texts of numbers are one: services write ids and levels either way."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _ordered(compare: Callable[[float, float], bool]) -> Callable[[Any, Any], bool]:
    def fits(value: Any, other: Any) -> bool:
        pair = (_plain(value), _plain(other))
        return isinstance(pair[0], float) and isinstance(pair[1], float) and compare(*pair)

    return fits


def _same(value: Any, other: Any) -> bool:
    return isinstance(value, bool) == isinstance(other, bool) and bool(_plain(value) == _plain(other))


def _among(value: Any, others: Any) -> bool:
    return isinstance(others, list) and any(_same(value, other) for other in others)


def _contains(value: Any, part: Any) -> bool:
    if isinstance(value, list):
        return _among(part, value)
    return isinstance(value, str) and isinstance(part, str) and part in value


_OPERATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": _same,
    "ne": lambda value, other: not _same(value, other),
    "gt": _ordered(lambda value, other: value > other),
    "gte": _ordered(lambda value, other: value >= other),
    "lt": _ordered(lambda value, other: value < other),
    "lte": _ordered(lambda value, other: value <= other),
    "in": _among,
    "not_in": lambda value, others: isinstance(others, list) and not _among(value, others),
    "contains": _contains,
    "not_contains": lambda value, part: not _contains(value, part),
    "exists": lambda value, _: value is not None,
    "not_exists": lambda value, _: value is None,
}
