"""A rule made ready for charging: amounts in units of quota, fallbacks of buckets resolved, factors in tables.

Takes one rule of the Program (or what the options say) once; gives a Rule that every call of its model shares. Knows
nothing of calls.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from engine.hub.usage import BUCKETS, SUBSETS
from engine.ledger.pricing.amounts import MILLION, ONE, ZERO, divide, multiply, positive

Function = Callable[..., Any]
_FALLBACK = {
    "output": "input",
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "tool_use_input": "input",
    "reasoning": "output",
    "input": "output",
}
"""Where a bucket's price is looked for when it has none: nothing is ever free because it was forgotten."""
TOKENS = ("input", "output", *(name for name in BUCKETS if name not in ("input_fresh", "output_text")))
_KNOWN = 1000
_PLACES = Decimal("1e-6")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one thing: in units of quota for each, and as people write it."""

    each: Decimal
    shown: str


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of the day or the week in a time zone."""

    zone: ZoneInfo
    start: int
    end: int
    days: frozenset[int]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A change of prices under conditions."""

    name: str
    when: Function | None
    hours: Hours | None
    start: float | None
    end: float | None
    prices: Mapping[str, Price] | None
    factor: Decimal | None
    only: frozenset[str]
    cheaper: bool = False
    """It makes something cheaper: of the request its condition sees only what the upstream confirms."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A price for each picture, or a factor of the price per call, of a size and quality."""

    size: str | None
    quality: str | None
    unsaid: bool
    amount: Decimal
    shown: str

    def fits(self, size: object, quality: object) -> bool:
        """Whether a request's words are those of this row."""
        for wanted, word in ((self.size, size), (self.quality, quality)):
            if wanted is not None and word != wanted and not (self.unsaid and word in (None, "", "auto")):
                return False
        return True


@dataclass(frozen=True, slots=True)
class Factors:
    """One level of factors; the first level that says something holds."""

    groups: Mapping[str, Decimal]
    pairs: Mapping[str, Mapping[str, Decimal]]
    channels: Mapping[str, Decimal]
    tools: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ratios as New API knows them; its formulas hold for a rule that has them."""

    model: Decimal | None = None
    completion: Decimal = ONE
    cache: Decimal = ONE
    cache_write: Decimal = Decimal("1.25")
    image: Decimal = ONE
    audio: Decimal | None = None
    audio_completion: Decimal = ONE
    audio_price: Decimal | None = None
    price: Decimal | None = None
    cost: Function | None = None
    """Gives what the upstream says it charged, where written tokens are worked out from it."""


@dataclass(frozen=True, slots=True)
class Share:
    """What group and channel multiply a charge by, and what the log row says of that and of the rule's ratios."""

    factor: Decimal
    told: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Rule:
    """What a model costs. ``prices`` has a price for every bucket of tokens if it has one for any."""

    name: str
    place: str
    model: str
    unit: Decimal
    """Units of quota for a dollar."""
    source: str = ""
    date: str = ""
    start: float | None = None
    end: float | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)
    media: tuple[str, ...] = ()
    """Subsets of the buckets that have a price of their own."""
    tiers: tuple[tuple[int, Mapping[str, Price]], ...] = ()
    """(threshold, prices), the highest first."""
    call: Price | None = None
    second: Price | None = None
    characters: Price | None = None
    pictures: tuple[Picture, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    units: Mapping[str, Function] = field(default_factory=dict)
    uses: Mapping[str, int] = field(default_factory=dict)
    """Tools of which each call makes so many calls, where its usage counts none."""
    functions: frozenset[str] = frozenset()
    """Callers' own functions that have a price: their calls are counted in the answer."""
    ratio: Ratio | None = None
    expression: Any = None
    """A compiled price expression, in place of all other prices."""
    levels: tuple[Factors, ...] = ()
    known: dict[tuple[str, str, str], Share] = field(default_factory=dict)
    """PERF: factors by (user group, group, channel), looked up once."""

    @property
    def cached(self) -> bool:
        """Whether input that a provider's cache knows costs less than other input."""
        if self.ratio is not None:
            return self.ratio.cache < ONE
        read, plain_input = self.prices.get("cache_read"), self.prices.get("input")
        return read is not None and plain_input is not None and read.each < plain_input.each

    def share(self, user_group: str, group: str, channel: str) -> Share:
        """The factors of an account and a channel."""
        key = (user_group, group, channel)
        share = self.known.get(key)
        if share is None:
            if len(self.known) > _KNOWN:
                self.known.clear()
            share = self.known[key] = self._share(user_group, group, channel)
        return share

    def _share(self, user_group: str, group: str, channel: str) -> Share:
        own, factor = False, ONE
        for level in self.levels:
            pair = level.pairs.get(user_group, {}).get(group)
            if pair is not None:
                own, factor = True, pair
                break
            if group in level.groups:
                factor = level.groups[group]
                break
        through = next((level.channels[channel] for level in self.levels if channel in level.channels), ONE)
        ratios = {**shown(self), "group_ratio": float(factor), "user_group_ratio": float(factor) if own else -1}
        if self.expression is not None:
            text = b64encode(self.expression.text.encode()).decode()
            ratios |= {"billing_mode": "tiered_expr", "expr_b64": text}
        if through != ONE:
            ratios["channel_ratio"] = float(through)
        return Share(multiply(factor, through), ratios)

    def tool(self, name: str) -> Decimal | None:
        """Dollars for 1000 calls of a tool, if it has a price."""
        return next((level.tools[name] for level in self.levels if name in level.tools), None)

    @property
    def plain(self) -> bool:
        """Whether tokens at one price each are all that counts."""
        beside = self.tiers or self.adjustments or self.pictures or self.call or self.second or self.characters
        return bool(self.prices) and not beside and self.expression is None

    def priced_tools(self) -> frozenset[str]:
        """The tools whose calls cost something."""
        named = {name for level in self.levels for name in level.tools}
        return frozenset(name for name in named if self.tool(name))

    def free(self) -> bool:
        """Whether nothing that is counted costs anything."""
        prices = [price for table in (self.prices, *(tier for _, tier in self.tiers)) for price in table.values()]
        prices += [price for price in (self.call, self.second, self.characters) if price is not None]
        return self.expression is None and not any(p.each for p in prices) and not any(p.amount for p in self.pictures)


def shown(rule: Rule) -> dict[str, Any]:
    """A rule in ratios, whichever notation it is written in."""
    ratio = rule.ratio
    if ratio is not None and ratio.price is None:
        return {
            "model_ratio": float(ratio.model or ZERO),
            "model_price": -1,
            "completion_ratio": float(ratio.completion),
            "cache_ratio": float(ratio.cache),
            "cache_creation_ratio": float(ratio.cache_write),
        }
    per_call = rule.call if rule.call is not None and not rule.prices else None
    if per_call is not None:
        return {"model_ratio": 0, "model_price": float(per_call.shown), "completion_ratio": 0, "cache_ratio": 0}
    if not rule.prices:
        return {"model_ratio": 0, "model_price": -1, "completion_ratio": 0, "cache_ratio": 0}
    prices = rule.prices
    entry = prices["input"].each
    return {
        "model_ratio": float(entry.quantize(_PLACES) if entry else ZERO),
        "model_price": -1,
        "completion_ratio": _share(prices["output"].each, entry),
        "cache_ratio": _share(prices["cache_read"].each, entry),
        "cache_creation_ratio": _share(prices["cache_write_5m"].each, entry),
    }


def _share(part: Decimal, whole: Decimal) -> float:
    return float(divide(part, whole).quantize(_PLACES)) if whole else 0.0


def token_prices(tokens: Mapping[str, Any], unit: Decimal) -> dict[str, Price]:
    """Prices of tokens by bucket; a bucket that the table leaves out has the price of what it falls back on."""
    prices = {}
    for name, amount in tokens.items():
        dollars = positive(amount) or ZERO
        prices[name] = Price(divide(multiply(dollars, unit), MILLION), str(amount))
    for name in TOKENS:
        nearest, seen = name, {name}
        while nearest not in tokens and nearest in _FALLBACK and _FALLBACK[nearest] not in seen:
            nearest = _FALLBACK[nearest]
            seen.add(nearest)
        if nearest in tokens:
            prices[name] = prices[nearest]
    return prices


def media_of(*tables: Mapping[str, Price]) -> tuple[str, ...]:
    """The subsets that any of the tables prices."""
    return tuple(name for name in SUBSETS if any(name in table for table in tables))


def factors(data: Mapping[str, Any]) -> Factors:
    """One level of factors from a document's maps."""
    pairs = data.get("userGroups") or {}
    return Factors(
        groups=amounts(data.get("groups")),
        pairs={user: amounts(table) for user, table in pairs.items()},
        channels=amounts(data.get("channels")),
        tools=amounts(data.get("tools")),
    )


def amounts(table: object) -> dict[str, Decimal]:
    """The amounts of a map that are numbers and not negative."""
    if not isinstance(table, Mapping):
        return {}
    parsed = {str(name): positive(value) for name, value in table.items()}
    return {name: value for name, value in parsed.items() if value is not None}


def hours(data: Mapping[str, Any]) -> Hours | None:
    """The part of the day that a change holds in."""
    if "hours" not in data and "days" not in data:
        return None
    start, _, end = (data.get("hours") or "00:00-00:00").partition("-")
    days = frozenset(_DAYS.index(day) for day in data.get("days") or _DAYS)
    return Hours(ZoneInfo(data.get("zone") or "UTC"), _minutes(start), _minutes(end), days)


def _minutes(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)
