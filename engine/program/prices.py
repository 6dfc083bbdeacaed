"""Prices as a Program carries them: rules of documents by model name, and what holds for all of them.

Plain data, so that loading a thousand of them costs next to nothing; the ledger makes a rule ready when it is first
asked for. Amounts are texts of exact decimals; functions are named and found in the Program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any

_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Priced:
    """One rule of a Price document. ``layer`` is 0 for a shipped one; ``place`` is its file and line."""

    title: str
    place: str
    layer: int
    names: tuple[str, ...]
    match: str
    start: float | None
    end: float | None
    data: Mapping[str, Any]
    """tokens, tiers, call, second, characters, pictures, adjust, units, groups, userGroups, channels, tools, ratio,
    source, date: as in the document, but for amounts as texts, moments as unix seconds and functions as names."""

    def holds(self, now: float) -> bool:
        """Whether the rule is in force."""
        return (self.start is None or self.start <= now) and (self.end is None or now < self.end)


@dataclass(frozen=True, slots=True)
class Prices:
    """All rules, the strongest first: by layer, then in the documents' order."""

    rules: tuple[Priced, ...] = ()
    common: tuple[Mapping[str, Any], ...] = ()
    """Factors and tools of documents without rules: {title, layer, groups, userGroups, channels, tools}."""
    ratios: Mapping[str, Any] = field(default_factory=lambda: _NONE)
    """What holds for the options' ratios where the options say nothing."""


def build(data: Mapping[str, Any] | None) -> Prices:
    """Prices from an artefact's data."""
    data = data or _NONE
    rules = [
        Priced(
            title=item["title"],
            place=item["place"],
            layer=item.get("layer") or 0,
            names=tuple(item.get("names") or ()),
            match=item.get("match") or "",
            start=item.get("from"),
            end=item.get("until"),
            data=item,
        )
        for item in data.get("rules") or ()
    ]
    return Prices(tuple(rules), tuple(data.get("common") or ()), data.get("ratios") or _NONE)


def decimal(value: Any) -> Decimal | None:
    """A number or its text as an exact decimal; a float by the digits that it is written with; else nothing."""
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        made = Decimal(repr(value) if isinstance(value, float) else value)
    except ArithmeticError:
        return None
    return made if made.is_finite() else None
