"""Exact amounts: decimals wide enough that no product of prices, counts and factors is ever rounded on its way.

A charge is rounded once, at its end, half away from zero. Knows nothing of what is charged.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_UP, Context, Decimal
from typing import Any

from engine.program.prices import decimal

EXACT = Context(prec=120, rounding=ROUND_HALF_UP)
MOST = (1 << 53) - 1
"""Units of the largest charge or hold: what every database, JSON reader and counter holds exactly; $18 billion."""
ZERO, ONE, MILLION = Decimal(0), Decimal(1), Decimal(1_000_000)

multiply, add, subtract, divide = EXACT.multiply, EXACT.add, EXACT.subtract, EXACT.divide


def positive(value: Any) -> Decimal | None:
    """An amount that is a number and not negative."""
    amount = decimal(value)
    return None if amount is None or amount < 0 else amount


def rounded(amount: Decimal) -> int:
    """Whole units, halves away from zero; ``MOST`` at most."""
    return int(amount.to_integral_value(ROUND_HALF_UP)) if amount < MOST else MOST


def rounded_up(amount: Decimal) -> int:
    """Whole units, never less than the amount; ``MOST`` at most."""
    return int(amount.to_integral_value(ROUND_CEILING)) if amount < MOST else MOST


def plain(amount: Decimal) -> str:
    """An amount for people and logs: no exponent, no zeros at its end."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
