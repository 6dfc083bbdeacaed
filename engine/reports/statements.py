"""A month of somebody's account as a statement: what came in, what was charged, and both balances, to the unit.

The balance at an end is today's less what the ledger says happened since: charges, credits, corrections. What plans
paid is listed and moves no balance. Months are those of the settings' zone.
"""

from __future__ import annotations

import csv
import datetime
import io
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from engine import sheets
from engine.errors import Invalid
from engine.storage.database import Database
from engine.storage.rows.api import statements as rows
from engine.storage.rows.crud import Row
from engine.texts import refusal

COLUMNS = ("date", "kind", "what", "reference", "calls", "input_tokens", "output_tokens", "units", "usd")
_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")


@dataclass(slots=True)
class Statement:
    """``opening`` and ``closing`` in quota units; ``lines`` by day: credits above zero, charges below."""

    month: str
    start: int
    end: int
    opening: int = 0
    closing: int = 0
    credited: int = 0
    charged: int = 0
    planned: int = 0
    """What plans paid of the month's calls, which is not in ``charged``."""
    lines: list[Row] = field(default_factory=list)


def month_of(text: str, zone: datetime.tzinfo | None, now: float | None = None) -> tuple[str, int, int]:
    """A month ``YYYY-MM`` (empty: the running one) with its begin and end in Unix seconds; raises ``Invalid``."""
    today = datetime.datetime.fromtimestamp(now if now is not None else time.time(), zone)
    text = text.strip() or f"{today:%Y-%m}"
    parts = _MONTH.fullmatch(text)
    if parts is None:
        raise refusal(Invalid, "invalid.field", field="month", what="a month, such as 2026-03")
    year, month = int(parts[1]), int(parts[2])
    begin = datetime.datetime(year, month, 1, tzinfo=zone)
    end = datetime.datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)
    return text, int(begin.timestamp()), int(end.timestamp())


def of(db: Database, user: Row, month: str) -> Statement:
    """The statement of a user or a team for a month, all of it read at one moment."""
    name, start, end = month_of(month, db.zone)
    taken = rows.read(db, user["id"], start, end, _day(db))
    statement = Statement(name, start, end)
    statement.closing = taken.balance + taken.charged_since - taken.credited_since
    statement.credited = sum(line["units"] for line in taken.credits)
    statement.charged = -sum(line["units"] for line in taken.charges if line["kind"] == "charge")
    statement.planned = -sum(line["units"] for line in taken.charges if line["kind"] == "plan")
    statement.opening = statement.closing + statement.charged - statement.credited
    statement.lines = sorted([*taken.credits, *taken.charges], key=lambda line: (line["date"], line["kind"]))
    return statement


def _day(db: Database) -> Any:
    def day(at: int) -> str:
        return f"{datetime.datetime.fromtimestamp(at, db.zone):%Y-%m-%d}"

    return day


def as_csv(statement: Statement, unit: int) -> Iterator[bytes]:
    """The statement as lines of CSV, with the two balances around them."""
    yield _line(COLUMNS)
    yield _line(_shown({"kind": "opening", "units": statement.opening}, unit))
    for line in statement.lines:
        yield _line(_shown(line, unit))
    yield _line(_shown({"kind": "closing", "units": statement.closing}, unit))


def _shown(line: Row, unit: int) -> list[Any]:
    usd = (Decimal(line["units"]) / unit).quantize(Decimal("0.000001"))
    return [sheets.safe(line.get(name, "")) for name in COLUMNS[:-1]] + [f"{usd:f}"]


def _line(values: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode()
