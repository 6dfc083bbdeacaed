"""What price expressions are made of: what one run sees, and the operators and functions of the language.

Takes numbers as exact decimals, and gives them so. Knows nothing of how an expression is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from engine.program.prices import decimal


@dataclass(slots=True)
class FormulaScene:
    """What one run sees."""

    counts: Mapping[str, Decimal | int]
    body: Any
    header: Mapping[str, str]
    now: float
    tier: str = ""


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: left is not None and right is not None and compare(left, right)


def _has(whole: Any, part: Any) -> bool:
    return part in whole if isinstance(whole, str | list) else False


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": _ordered(lambda left, right: left < right),
    "<=": _ordered(lambda left, right: left <= right),
    ">": _ordered(lambda left, right: left > right),
    ">=": _ordered(lambda left, right: left >= right),
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "%": lambda left, right: left % right,
    "??": lambda left, right: right if left is None else left,
    "has": _has,
    "contains": _has,
    "startsWith": lambda left, right: isinstance(left, str) and left.startswith(right),
    "endsWith": lambda left, right: isinstance(left, str) and left.endswith(right),
}
WORDS: dict[str, Any] = {"true": True, "false": False, "nil": None}


def _tier(scene: FormulaScene, name: str, value: Any) -> Any:
    scene.tier = str(name)
    return value


def _param(scene: FormulaScene, path: str) -> Any:
    value = scene.body
    for step in str(path).split("."):
        if isinstance(value, list):
            value = len(value) if step == "#" else _item(value, step)
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    number = decimal(value) if isinstance(value, int | float) else None
    return value if number is None else number


def _item(values: list[Any], step: str) -> Any:
    return values[int(step)] if step.isdecimal() and int(step) < len(values) else None


def _clock(read: Callable[[datetime], int]) -> Callable[..., Decimal]:
    def function(scene: FormulaScene, zone: str = "UTC") -> Decimal:
        return Decimal(read(datetime.fromtimestamp(scene.now, UTC).astimezone(ZoneInfo(zone or "UTC"))))

    return function


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "tier": _tier,
    "param": _param,
    "header": lambda scene, name: scene.header.get(str(name).lower(), ""),
    "has": lambda scene, whole, part: _has(whole, part),
    "hour": _clock(lambda moment: moment.hour),
    "minute": _clock(lambda moment: moment.minute),
    "weekday": _clock(lambda moment: moment.isoweekday() % 7),
    "month": _clock(lambda moment: moment.month),
    "day": _clock(lambda moment: moment.day),
    "max": lambda scene, *values: max(values),
    "min": lambda scene, *values: min(values),
    "abs": lambda scene, value: abs(value),
    "ceil": lambda scene, value: Decimal(math.ceil(value)),
    "floor": lambda scene, value: Decimal(math.floor(value)),
}
