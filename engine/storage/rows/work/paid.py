"""What an operator says was paid in at a channel's account: how much, since when, and what follows at its end.

Takes what a document's channel or the member ``balance`` of a row's ``settings`` says. Money is in billionths of a
dollar.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.storage.values import NANO

_MOST = 10**9
_MEMBERS = ("paid", "since", "warnBelow", "setAside")


@dataclass(frozen=True, slots=True)
class PaidIn:
    """``paid`` counts from the begin of the day ``since`` (UTC, unix seconds), less what calls cost from then on.

    Operators are told once less than ``low`` is left. ``set_aside``: at nothing left it is not asked any more.
    """

    paid: int
    since: int
    low: int = 0
    set_aside: bool = False

    @classmethod
    def of(cls, said: Any) -> PaidIn:
        """What a document or a row says; raises ValueError that says what is wrong."""
        if not isinstance(said, Mapping):
            raise ValueError("it must be a map: {paid: DOLLARS, since: YYYY-MM-DD}")
        strange = next((name for name in said if name not in _MEMBERS), None)
        if strange is not None:
            raise ValueError(f"it has no {str(strange)[:40]!r}, only {', '.join(_MEMBERS)}")
        paid = _number(said.get("paid"), _MOST, "paid must be dollars, 0 or more")
        share = _number(said.get("warnBelow", 0), 1, "warnBelow must be a part of what was paid, from 0 to 1")
        aside = said.get("setAside", False)
        if not isinstance(aside, bool):
            raise ValueError("setAside must be true or false")
        return cls(paid, _day(said.get("since")), int(paid * Decimal(share) / NANO), aside)


def _number(value: Any, most: int, wrong: str) -> int:
    """A number in billionths."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ValueError(wrong)
    return int(Decimal(str(value)) * NANO)


def _day(value: Any) -> int:
    try:
        day = datetime.date.fromisoformat(str(value))
    except ValueError:
        raise ValueError("since must be a day such as 2026-11-01") from None
    return int(datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC).timestamp())
