"""What calls were charged beside what they cost the operator, summed over a time, for one dimension.

Only calls whose cost is known count in a margin: a call of which no Price document says the cost would look like all
gain. Knows no HTTP.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from engine.reports.rollups import dollars
from engine.storage.rows.api.hours import Sums
from engine.storage.values import NANO

KEPT = ("calls", "quota", "costed", "costed_quota", "cost")
_PLACES = Decimal("0.000001")


def rows(sums: Sums, unit: float) -> list[dict[str, Any]]:
    """A row for each value, the highest cost first; ``unit``: quota units of a dollar."""
    totals: dict[str, dict[str, int]] = {}
    for (_, value, _), numbers in sums.items():
        total = totals.setdefault(value, dict.fromkeys(KEPT, 0))
        for name in KEPT:
            total[name] += numbers[name]
    listed = sorted(totals.items(), key=lambda pair: (-pair[1]["cost"], pair[0]))
    return [_row(value, total, Decimal(str(unit or 1))) for value, total in listed]


def _row(value: str, total: dict[str, int], unit: Decimal) -> dict[str, Any]:
    charged, cost = Decimal(total["costed_quota"]) / unit, Decimal(total["cost"]) / NANO
    margin = charged - cost
    return {
        "value": value,
        **{name: total[name] for name in ("calls", "quota", "costed", "costed_quota")},
        "charged": format(charged.quantize(_PLACES), "f"),
        "cost": dollars(total["cost"]),
        "margin": format(margin.quantize(_PLACES), "f"),
        "share": float(round(margin / charged, 4)) if charged else None,
    }
