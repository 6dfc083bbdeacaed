"""Numbers, money and times as pages show them: one function each, by the page's language.

Money never rounds a small sum up; the exact value stands in the title that pages give it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal

from admin.words import gettext, tongue

NARROW = "\u202f"
UNITS = ((10**9, "B"), (10**6, "M"), (10**3, "k"))


def _local(text: str) -> str:
    """A number with English marks in the marks of the language."""
    if tongue.get() == "fr":
        return text.replace(",", NARROW).replace(".", ",")
    return text


def number(value: float | int | Decimal) -> str:
    """A number with its groups of thousands; fractions to four digits."""
    if isinstance(value, int) or value == int(value):
        return _local(f"{int(value):,}")
    return _local(f"{value:,.4f}".rstrip("0").rstrip("."))


def short(value: float) -> str:
    """A large number to three digits and a letter."""
    for size, letter in UNITS:
        if abs(value) >= size:
            return _local(f"{value / size:.3g}") + "\u00a0" + letter
    return number(round(value, 2))


def dollars(amount: float | Decimal, digits: int = 2) -> str:
    """Money. Sums below a cent keep six decimals; nothing is rounded up."""
    exact = Decimal(str(amount))
    if not exact:
        digits = 0
    digits = 6 if exact and abs(exact) < Decimal("0.01") else digits
    cut = exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_DOWN)
    text = _local(f"{abs(cut):,.{digits}f}")
    sign = "−" if cut < 0 else ""
    return f"{sign}{text}\u00a0$" if tongue.get() == "fr" else f"{sign}${text}"


def price(amount: float) -> str:
    """A unit price: cents at least, and as many decimals, six at most, as it has."""
    text = f"{Decimal(str(amount)):.6f}".rstrip("0")
    return dollars(amount, max(2, len(text.partition(".")[2]))) if amount else dollars(0)


def percent(part: float, whole: float, digits: int = 1) -> str:
    """A share."""
    value = 100 * part / whole if whole else 0.0
    return _local(f"{value:.{digits}f}") + "\u00a0%"


def took(seconds: float) -> str:
    """A time span of a call."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}\u00a0ms"
    return _local(f"{seconds:.1f}" if seconds < 100 else f"{seconds:.0f}") + "\u00a0s"


def span(seconds: float) -> str:
    """A longer time span, in its largest unit."""
    for size, unit in ((86400, gettext("d")), (3600, gettext("h")), (60, gettext("min"))):
        if seconds >= size:
            return f"{int(seconds // size)}\u00a0{unit}"
    return f"{max(0, int(seconds))}\u00a0{gettext('s')}"


def ago(moment: float) -> str:
    """How long ago something was; nothing for never."""
    if not moment:
        return "—"
    seconds = time.time() - moment
    return gettext("now") if seconds < 10 else gettext("%(span)s ago") % {"span": span(seconds)}


def stamp(moment: float) -> str:
    """A moment for machines; the browser shows it in its own time zone."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def clock(moment: float) -> str:
    """A moment as it is before the browser has put its own time zone."""
    return datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S")


def day(moment: float) -> str:
    """A day."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")
