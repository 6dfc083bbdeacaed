"""What calls cost the operator at some channels since some day, from the ledger: the sums that are kept, and the log.

Nothing is remembered in between, so a restart changes nothing. Knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.reports import rollups
from engine.storage.database import Database
from engine.storage.rows.api.hours import WHOLE, Asked

_ASKED = Asked(("calls", "cost", "costed"), parts=False, span=WHOLE)
_SPAN = 300 * 86_400
"""Seconds of one question: a report is of a year at most."""


@dataclass(slots=True)
class Spent:
    """``cost`` in billionths of a dollar; ``unknown``: calls of which no Price document says the cost."""

    cost: int = 0
    unknown: int = 0


def spent(db: Database, log_db: Database, channels: Iterable[str], since: int, now: int) -> dict[str, Spent] | None:
    """By channel: its number, or the name of one that a document declares. None: much of the log is not summed yet."""
    answer = {channel: Spent() for channel in channels}
    while since <= now:
        until = min(since + _SPAN - 1, now)
        report = rollups.report(db, log_db, "channel", since, until, values=answer, asked=_ASKED)
        if not report.whole:
            return None
        for (_, channel, _hour), numbers in report.sums.items():
            answer[channel].cost += numbers["cost"]
            answer[channel].unknown += max(0, numbers["calls"] - numbers["costed"])
        since = until + 1
    return answer
