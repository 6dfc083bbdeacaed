"""When a subscription ends and when its amount begins anew, as its plan says (management-api.md, 15.3).

Days, weeks and months of resets begin at midnight, on Monday, on the first, in the zone of the settings; lengths count
from the moment of the purchase. All times are unix seconds.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from engine.storage.rows import budgets

UNITS = ("year", "month", "day", "hour", "custom")
RESETS = ("never", "daily", "weekly", "monthly", "custom")
_PERIODS = {"daily": "day", "weekly": "week", "monthly": "month"}
_SECONDS = {"day": 86_400, "hour": 3600}


def ends(plan: Mapping[str, Any], start: int, zone: datetime.tzinfo | None) -> int:
    """When a subscription of the plan that begins now ends."""
    unit, length = plan.get("duration_unit") or "month", int(plan.get("duration_value") or 1)
    if unit == "custom":
        return start + int(plan.get("custom_seconds") or 0)
    if unit in _SECONDS:
        return start + length * _SECONDS[unit]
    begun = datetime.datetime.fromtimestamp(start, zone)
    month = begun.month - 1 + length * (12 if unit == "year" else 1)
    # a day that the month has not runs over into the next one, so nobody gets less than a month
    first = begun.replace(year=begun.year + month // 12, month=month % 12 + 1, day=1)
    return int((first + datetime.timedelta(days=begun.day - 1)).timestamp())


def next_reset(plan: Mapping[str, Any], base: int, end: int, now: int, zone: datetime.tzinfo | None) -> int:
    """The first reset after ``now``, counted from ``base``; 0 where there is none before the end."""
    period = plan.get("quota_reset_period") or "never"
    if period in _PERIODS:
        moment = budgets.ends(_PERIODS[period], max(base, now), zone)
    else:
        seconds = int(plan.get("quota_reset_custom_seconds") or 0) if period == "custom" else 0
        if seconds <= 0:
            return 0
        moment = base + ((max(base, now) - base) // seconds + 1) * seconds
    return moment if moment < end else 0
