"""How well models answered, by real calls: of those that were served or that the service failed, the share served.

What callers did wrong (a bad request, no balance, too many calls) counts for nothing. Bounded: the models that are
called most, a day by hours and a month by days.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from engine.reports import rollups
from engine.storage.database import Database
from engine.storage.rows.api import hours
from engine.storage.rows.api.hours import DAY, HOUR, Asked

MODELS, _NAMES = 50, 500
HOURS, DAYS = 24, 30
_ASKED = Asked(("calls", "failed"), parts=False)
Share = float | None
"""From 0 to 1; nothing where there was no call."""


@dataclass(frozen=True, slots=True)
class Uptime:
    """One model: over all days, by hour and by day, the oldest first."""

    name: str
    share: Share
    hours: tuple[Share, ...]
    days: tuple[Share, ...]


def of_models(db: Database, log_db: Database, names: Iterable[str], now: int) -> list[Uptime]:
    """Those of the models that were called, by name."""
    today = now - now % DAY
    chosen = sorted(names)[:_NAMES]
    if not chosen:
        return []
    daily: dict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
    for name, day, calls, failed in db.aside(lambda: hours.daily(db, "model", today - (DAYS - 1) * DAY, chosen)):
        daily[name][day] = (calls, failed)
    hourly: dict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
    first = now - now % HOUR - (HOURS - 1) * HOUR
    most = sorted(daily, key=lambda name: -sum(map(sum, daily[name].values())))[:MODELS]
    fresh = [] if len(most) == MODELS else [name for name in chosen if name not in daily]
    sums = rollups.sums(db, log_db, "model", first, now, values=[*most, *fresh[:MODELS]], asked=_ASKED)
    for (_, name, hour), numbers in sums.items():
        hourly[name][hour] = (numbers["calls"], numbers["failed"])
    return [_one(name, daily[name], hourly[name], first, today) for name in sorted({*most, *hourly})[:MODELS]]


def _one(name: str, daily: dict[int, Any], hourly: dict[int, Any], first: int, today: int) -> Uptime:
    by_hour = [hourly.get(first + index * HOUR, (0, 0)) for index in range(HOURS)]
    by_day = [daily.get(today - (DAYS - 1 - index) * DAY, (0, 0)) for index in range(DAYS)]
    # what is not summed yet stands in the hours alone
    whole = by_day if any(map(sum, by_day)) else by_hour
    calls, failed = (sum(pair[index] for pair in whole) for index in (0, 1))
    return Uptime(name, _share((calls, failed)), tuple(map(_share, by_hour)), tuple(map(_share, by_day)))


def _share(pair: tuple[int, int]) -> Share:
    calls, failed = pair
    return round(calls / (calls + failed), 5) if calls + failed else None
