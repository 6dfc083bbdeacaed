"""A vendor's bill beside our own sums of cost, by day (UTC) and model, of one channel.

``bill_of`` reads a bill as CSV, ``compare`` sets the two side by side: what only one of them has stands there too. Our
cost is what Price documents say of calls, so a difference is a wrong price, a call that the vendor counts and we do
not, or a cost that no document tells (``costed`` below ``calls``). Knows no HTTP.
"""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from engine.errors import Invalid
from engine.reports.rollups import dollars
from engine.storage.rows.api.hours import DAY, Sums
from engine.storage.values import NANO
from engine.texts import refusal

Bill = dict[tuple[int, str], int]
"""By begin of the day and model, billionths of a dollar."""
MOST_LINES = 100_000


def bill_of(text: str, columns: Mapping[str, str], models: Mapping[str, str]) -> Bill:
    """A bill, whose ``columns`` ``day``, ``model`` and ``amount`` are called so in its head; amounts are dollars.

    ``models`` are our names of the vendor's. Raises ``Invalid`` that names the line at fault.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    missing = [name for name in columns.values() if name not in (reader.fieldnames or ())]
    if missing:
        raise _wrong(1, f"a column {missing[0][:80]!r}")
    bill: Bill = {}
    try:
        for row in reader:
            if reader.line_num > MOST_LINES:
                raise _wrong(reader.line_num, f"{MOST_LINES} lines at most")
            day = _day(row[columns["day"]], reader.line_num)
            name = (row[columns["model"]] or "").strip()
            place = (day, models.get(name, name))
            bill[place] = bill.get(place, 0) + _amount(row[columns["amount"]], reader.line_num)
    except csv.Error as error:
        raise _wrong(reader.line_num, f"CSV ({error})") from None
    return bill


def _wrong(line: int, what: str) -> Invalid:
    return refusal(Invalid, "bill.line", field="csv", line=line, what=what)


def _day(text: str | None, line: int) -> int:
    try:
        day = datetime.date.fromisoformat((text or "").strip()[:10])
    except ValueError:
        raise _wrong(line, "a day such as 2026-01-31") from None
    return int(datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC).timestamp())


def _amount(text: str | None, line: int) -> int:
    try:
        amount = Decimal((text or "").strip().lstrip("$").replace(",", ""))
    except InvalidOperation:
        raise _wrong(line, "an amount in dollars such as 12.34") from None
    if not amount.is_finite() or abs(amount) > NANO:
        raise _wrong(line, "an amount in dollars such as 12.34")
    return int((amount * NANO).to_integral_value())


def days_of(bill: Bill) -> tuple[int, int]:
    """The begin of the first day and the last second of the last one. Raises ``Invalid`` where there is none."""
    if not bill:
        raise _wrong(2, "a line of the bill")
    days = [day for day, _ in bill]
    return min(days), max(days) + DAY - 1


def compare(bill: Bill, sums: Sums) -> dict[str, Any]:
    """The two side by side, the largest difference first, and their totals. ``sums`` are of channel and model."""
    ours: dict[tuple[int, str], list[int]] = {}
    for (_, value, hour), numbers in sums.items():
        place = (hour - hour % DAY, value.partition("|")[2])
        total = ours.setdefault(place, [0, 0, 0])
        for index, name in enumerate(("cost", "calls", "costed")):
            total[index] += numbers[name]
    rows = []
    for day, model in sorted({*bill, *ours}):
        cost, calls, costed = ours.get((day, model), [0, 0, 0])
        theirs = bill.get((day, model), 0)
        rows.append((abs(theirs - cost), _row(day, model, cost, theirs) | {"calls": calls, "costed": costed}))
    rows.sort(key=lambda pair: -pair[0])
    cost, theirs = sum(total[0] for total in ours.values()), sum(bill.values())
    whole = {"ours": dollars(cost), "theirs": dollars(theirs), "difference": dollars(theirs - cost)}
    return {**whole, "rows": [row for _, row in rows]}


def _row(day: int, model: str, cost: int, theirs: int) -> dict[str, Any]:
    date = datetime.datetime.fromtimestamp(day, datetime.UTC).date().isoformat()
    row = {"day": date, "model": model, "ours": dollars(cost)}
    return {**row, "theirs": dollars(theirs), "difference": dollars(theirs - cost)}
