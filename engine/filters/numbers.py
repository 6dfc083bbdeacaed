"""Filters on numbers and on time."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from engine.filters.operations import LARGEST, NUMBERS, bounded
from engine.filters.record import Filter

_DIGITS = 40
"""A longer text is no number that any wire format means."""


def _int(value: Any) -> int | None:
    if type(value) is str:
        if len(value) > _DIGITS:
            return None
        text = value.strip()
        try:
            return int(text)
        except ValueError:
            value = _float(text)
    if type(value) is float:
        return int(value) if math.isfinite(value) and abs(value) < LARGEST else None
    return int(value) if type(value) in (int, bool) else None


def _float(value: Any) -> float | None:
    if type(value) is str and len(value) > _DIGITS:
        return None
    if type(value) not in (int, float, str, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _round(value: Any, digits: Any = None) -> Any:
    if type(value) not in NUMBERS or not (digits is None or (type(digits) is int and abs(digits) <= _DIGITS)):
        return None
    return round(value, digits)


def _abs(value: Any) -> Any:
    return abs(value) if type(value) in NUMBERS else None


def _all_numbers(value: Any, others: tuple[Any, ...]) -> list[Any]:
    values = [*value, *others] if type(value) is list else [value, *others]
    return [item for item in values if type(item) in NUMBERS]


def _min(value: Any, *others: Any) -> Any:
    return min(_all_numbers(value, others), default=None)


def _max(value: Any, *others: Any) -> Any:
    return max(_all_numbers(value, others), default=None)


def _clamp(value: Any, low: Any, high: Any) -> Any:
    if type(value) not in NUMBERS:
        return None
    if type(low) in NUMBERS and value < low:
        return low
    return high if type(high) in NUMBERS and value > high else value


def _scale(value: Any, source: Any, target: Any) -> Any:
    if any(type(number) not in NUMBERS for number in (value, source, target)) or not source:
        return None
    result = bounded(value * target / source)
    return int(result) if type(value) is int and result == int(result) else result


def _rfc3339(value: Any) -> str | None:
    if type(value) not in NUMBERS:
        return None
    try:
        moment = datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def _unix(value: Any) -> int | None:
    if type(value) in NUMBERS:
        return _int(value)
    if type(value) is not str or len(value) > _DIGITS:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


FILTERS = (
    Filter(
        "int",
        _int,
        "any",
        "number",
        "a whole number, cut towards zero; nothing if it is none",
        (("'12' | int", 12), ("1.9 | int", 1), ("'x' | int", None)),
        cost=0,
    ),
    Filter(
        "float",
        _float,
        "any",
        "number",
        "a number with a fraction; nothing if it is none",
        (("'1.5' | float", 1.5), ("2 | float", 2.0), ("'nan' | float", None)),
        cost=0,
    ),
    Filter(
        "round",
        _round,
        "number",
        "number",
        "rounded, to a whole number or to so many digits",
        (("1.26 | round(1)", 1.3), ("1.6 | round", 2)),
        ("digits?",),
        cost=0,
    ),
    Filter("abs", _abs, "number", "number", "without its sign", (("-2 | abs", 2),), cost=0),
    Filter(
        "min",
        _min,
        "number or list",
        "number",
        "the smallest of the numbers; what is no number does not count",
        (("3 | min(2, none)", 2), ("[4, 1] | min", 1), ("[] | min", None)),
        ("others?", "more?", "most?"),
    ),
    Filter(
        "max",
        _max,
        "number or list",
        "number",
        "the largest of the numbers; what is no number does not count",
        (("3 | max(2)", 3), ("[4, 1] | max", 4)),
        ("others?", "more?", "most?"),
    ),
    Filter(
        "clamp",
        _clamp,
        "number",
        "number",
        "not below the first, not above the second; a bound that is nothing does not count",
        (("3 | clamp(0, 2)", 2), ("-1 | clamp(0, 2)", 0), ("5 | clamp(0, none)", 5)),
        ("low", "high"),
        cost=0,
    ),
    Filter(
        "scale",
        _scale,
        "number",
        "number",
        "from a range that ends at the first to one that ends at the second",
        (("1.0 | scale(2, 1)", 0.5), ("2 | scale(2, 1)", 1)),
        ("source", "target"),
        cost=0,
    ),
    Filter(
        "rfc3339",
        _rfc3339,
        "number",
        "text",
        "seconds since 1970 as a date and time in UTC",
        (("0 | rfc3339", "1970-01-01T00:00:00Z"), ("'x' | rfc3339", None)),
        cost=0,
    ),
    Filter(
        "unix",
        _unix,
        "text",
        "number",
        "a date and time as whole seconds since 1970",
        (("'1970-01-01T00:01:00Z' | unix", 60), ("'soon' | unix", None)),
        cost=0,
    ),
)
