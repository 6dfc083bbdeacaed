"""Prices as a Program carries them: rules of documents by model name, and what holds for all of them.

Plain data, so that loading a thousand of them costs next to nothing; the ledger makes a rule ready when it is first
asked for. Amounts are texts of exact decimals; functions are named and found in the Program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.program import layout
from engine.program.layout import EMPTY, Functions


def _ratios(value: Any, functions: Functions) -> Mapping[str, Any]:
    return value or EMPTY


@dataclass(frozen=True, slots=True)
class Priced:
    """One rule of a Price document. ``layer`` is 0 for a shipped one; ``place`` is its file and line."""

    title: str = layout.data(needed=True)
    place: str = layout.data(needed=True)
    layer: int = layout.data(read=layout.number)
    names: tuple[str, ...] = layout.data(read=layout.items)
    match: str = layout.data(read=layout.text)
    start: float | None = layout.data("from")
    end: float | None = layout.data("until")
    data: Mapping[str, Any] = layout.data(layout.WHOLE)
    """tokens, tiers, call, second, characters, pictures, adjust, units, groups, userGroups, channels, tools, ratio,
    source, date: as in the document, but for amounts as texts, moments as unix seconds and functions as names."""

    def holds(self, now: float) -> bool:
        """Whether the rule is in force."""
        return (self.start is None or self.start <= now) and (self.end is None or now < self.end)


@dataclass(frozen=True, slots=True)
class Prices:
    """All rules, the strongest first: by layer, then in the documents' order."""

    rules: tuple[Priced, ...] = layout.data(read=layout.several(Priced), default=())
    costs: tuple[Priced, ...] = layout.data(read=layout.several(Priced), default=())
    """Rules of what calls cost the operator, the same way; where says ``cost`` in their data."""
    common: tuple[Mapping[str, Any], ...] = layout.data(read=layout.items, default=())
    """Factors and tools of documents without rules: {title, layer, groups, userGroups, channels, tools}."""
    ratios: Mapping[str, Any] = layout.data(read=_ratios, default_factory=lambda: EMPTY)
    """What holds for the options' ratios where the options say nothing."""


def decimal(value: Any) -> Decimal | None:
    """A number or its text as an exact decimal; a float by the digits that it is written with; else nothing."""
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(repr(value) if isinstance(value, float) else value)
    except ArithmeticError:
        return None
    return amount if amount.is_finite() else None
