"""Exact amounts: decimals wide enough that no product of prices, counts and factors is ever rounded on its way.

A charge is rounded once, at its end, half away from zero. Knows nothing of what is charged.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_UP, Context, Decimal
from typing import Any

EXACT = Context(prec=120, rounding=ROUND_HALF_UP)
ZERO, ONE, MILLION = Decimal(0), Decimal(1), Decimal(1_000_000)

multiply, add, subtract, divide = EXACT.multiply, EXACT.add, EXACT.subtract, EXACT.divide


def decimal(value: Any) -> Decimal | None:
    """A number or its text as an exact decimal; a float by the digits that it is written with; else nothing."""
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        made = Decimal(repr(value) if isinstance(value, float) else value)
    except ArithmeticError:
        return None
    return made if made.is_finite() else None


def positive(value: Any) -> Decimal | None:
    """An amount that is a number and not negative."""
    made = decimal(value)
    return None if made is None or made < 0 else made


def rounded(amount: Decimal) -> int:
    """Whole units, halves away from zero."""
    return int(amount.to_integral_value(ROUND_HALF_UP))


def rounded_up(amount: Decimal) -> int:
    """Whole units, never less than the amount."""
    return int(amount.to_integral_value(ROUND_CEILING))


def plain(amount: Decimal) -> str:
    """An amount for people and logs: no exponent, no zeros at its end."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
