"""What one usage costs by one rule: lines of buckets, adjusted, summed without rounding.

Takes a Rule and the hub's usage; gives Lines in units of quota before the factors of group and channel, and the tools'
beside them. Knows nothing of accounts and documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from engine.hub.usage import SUBSETS
from engine.ledger.pricing import ratios
from engine.ledger.pricing.amounts import MILLION, ONE, ZERO, add, divide, multiply, plain, positive
from engine.ledger.pricing.rules import Adjustment, Picture, Price, Rule
from engine.program.prices import decimal

_THOUSAND, _TWO = Decimal(1000), Decimal(2)
_NONE: Mapping[str, Any] = {}
_PLAIN = (
    ("input", "input_fresh"),
    ("cache_read", "cache_read"),
    ("cache_write_5m", "cache_write_5m"),
    ("cache_write_1h", "cache_write_1h"),
    ("tool_use_input", "tool_use_input"),
    ("output", "output_text"),
    ("reasoning", "reasoning"),
)


@dataclass(slots=True)
class Scene:
    """What the conditions of one charge see."""

    group: str = ""
    user_group: str = ""
    channel: str = ""
    body: Any = None
    header: Mapping[str, str] = field(default_factory=dict)
    now: float = 0.0


class Bill:
    """What one rule makes of one usage, before the factors of group and channel.

    ``scale`` is the factor of a picture's size that was multiplied into the price of the call.
    """

    __slots__ = ("factors", "lines", "scale", "surcharges", "tier", "tools", "total")

    def __init__(self) -> None:
        self.total = self.tools = ZERO
        self.lines: list[dict[str, Any]] = []
        self.factors: dict[str, str] = {}
        self.surcharges: list[dict[str, Any]] = []
        self.tier = self.scale = ""


def bill(rule: Rule, usage: Mapping[str, Any], scene: Scene) -> Bill:
    """The lines and sums of a usage."""
    bill = Bill()
    if rule.expression is not None:
        _by_expression(rule, usage, scene, bill)
    elif usage.get("task") and rule.ratio is not None and rule.ratio.model is not None:
        _task(rule, rule.ratio.model, bill)
    else:
        changes = [item for item in rule.adjustments if _holds(item, rule, usage, scene)] if rule.adjustments else ()
        _tokens(rule, usage, changes, bill)
        if rule.call is not None or rule.second is not None or rule.characters is not None or rule.pictures:
            _others(rule, usage, scene, bill)
        for change in changes:
            _change(change, bill)
        total = ZERO
        for line in bill.lines:
            total = add(total, line["amount"])
        bill.total = total
    for name, value in (usage.get("factors") or _NONE).items():
        factor = positive(value)
        if factor is not None and factor != ONE:
            bill.factors[name] = plain(factor)
            bill.total = multiply(bill.total, factor)
    calls = usage.get("calls")
    if calls or rule.uses:
        _tools(rule, {**rule.uses, **(calls or _NONE)}, bill)
    return bill


def _tokens(rule: Rule, usage: Mapping[str, Any], changes: Any, bill: Bill) -> None:
    """Lines of the buckets, at the prices of the tier."""
    prices = _tier(rule, usage, bill) if rule.tiers else rule.prices
    for change in changes:
        if change.prices is not None:
            prices = change.prices
    if not prices:
        return
    if rule.ratio is not None:
        units: Iterable[tuple[str, int]] = ratios.split(rule, rule.ratio, usage)
    elif rule.media:
        units = split(rule, usage)
    else:  # PERF: most rules price no medium apart, and need no taking apart
        get = usage.get
        units = [(bucket, number) for bucket, name in _PLAIN if (number := get(name))]
    lines = bill.lines
    for bucket, number in units:
        if number:
            price = prices.get(bucket) or prices["input" if bucket.startswith("input") else "output"]
            amount = multiply(price.each, number)
            lines.append(
                {"bucket": bucket, "units": number, "price": price.shown, "per": "1M tokens", "amount": amount}
            )


def _tier(rule: Rule, usage: Mapping[str, Any], bill: Bill) -> Any:
    """The prices for a request of this size."""
    size = usage.get("input_total") or 0
    for above, table in rule.tiers:
        if size > above:
            bill.tier = f"above {above}"
            return table
    return rule.prices


def split(rule: Rule, usage: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The units of each bucket; a medium with a price of its own is taken out of what it stands in, never twice."""
    get = usage.get
    fresh, text = get("input_fresh") or 0, get("output_text") or 0
    units: list[tuple[str, int]] = []
    for name in rule.media:
        number = get(name) or 0
        if number and name in SUBSETS:
            if name.startswith("input"):
                number = min(number, fresh)
                fresh -= number
            else:
                number = min(number, text)
                text -= number
            units.append((name, number))
    return [
        ("input", fresh),
        ("cache_read", get("cache_read") or 0),
        ("cache_write_5m", get("cache_write_5m") or 0),
        ("cache_write_1h", get("cache_write_1h") or 0),
        ("tool_use_input", get("tool_use_input") or 0),
        ("output", text),
        ("reasoning", get("reasoning") or 0),
        *units,
    ]


def _others(rule: Rule, usage: Mapping[str, Any], scene: Scene, bill: Bill) -> None:
    """Lines of the call itself, seconds, characters and pictures."""
    body = scene.body if isinstance(scene.body, Mapping) else {}
    if rule.call is not None:
        row = _picture(rule.pictures, body, strict=True) if rule.ratio is not None else None
        amount, shown = rule.call.each, rule.call.shown
        if row is not None:
            amount, bill.scale = multiply(amount, row.amount), row.shown
        bill.lines.append({"bucket": "call", "units": 1, "price": shown, "per": "call", "amount": amount})
    if rule.pictures and rule.ratio is None:
        row = _picture(rule.pictures, body, strict=False)
        if row is not None:
            _counted(bill, "pictures", Price(row.amount, row.shown), "picture", _units(rule, "pictures", usage, scene))
    if rule.second is not None:
        _counted(bill, "second", rule.second, "second", _units(rule, "seconds", usage, scene))
    if rule.characters is not None:
        _counted(bill, "characters", rule.characters, "10k characters", _units(rule, "characters", usage, scene))


def _counted(bill: Bill, bucket: str, price: Price, per: str, number: Decimal) -> None:
    amount = multiply(price.each, number)
    bill.lines.append({"bucket": bucket, "units": plain(number), "price": price.shown, "per": per, "amount": amount})


def _units(rule: Rule, name: str, usage: Mapping[str, Any], scene: Scene) -> Decimal:
    """How many: as measured, else by the rule's expression, else by the request; at least one where nobody knows."""
    measured = positive((usage.get("meters") or {}).get(name))
    if measured is not None:
        return measured
    if name in rule.units:
        amount = positive(rule.units[name]([], scene.body, usage, rule.model, scene.header))
        if amount is not None:
            return amount
    body = scene.body if isinstance(scene.body, Mapping) else {}
    if name == "pictures":
        count = positive(body.get("n"))
        return count if count is not None and count >= ONE and count == count.to_integral_value() else ONE
    if name == "characters" and isinstance(body.get("input"), str):
        return Decimal(len(body["input"]))
    return ONE


def _picture(rows: tuple[Picture, ...], body: Mapping[str, Any], *, strict: bool) -> Picture | None:
    size, quality = body.get("size"), body.get("quality")
    for row in rows:
        if row.fits(size, quality):
            return row
    return None if strict else max(rows, key=lambda row: row.amount, default=None)


def _holds(change: Adjustment, rule: Rule, usage: Mapping[str, Any], scene: Scene) -> bool:
    if change.start is not None and scene.now < change.start:
        return False
    if change.end is not None and scene.now >= change.end:
        return False
    if change.hours is not None and not _within(change, scene.now):
        return False
    if change.when is None:
        return True
    if not change.when([], scene.body, usage, rule.model, scene.group, scene.channel, scene.header):
        return False
    if not change.cheaper:
        return True
    done = _confirmed(scene.body, usage)
    return bool(change.when([], done, usage, rule.model, scene.group, scene.channel, _NONE))


def _confirmed(body: Any, usage: Mapping[str, Any]) -> Any:
    """The fields of a request whose values the upstream told with its usage: it did what was asked.

    What is asked for may make a call dearer; cheaper it is only by what was done.
    """
    raw = usage.get("raw") or _NONE
    return {key: value for key, value in body.items() if raw.get(key, _NONE) == value} if isinstance(body, dict) else {}


def _within(change: Adjustment, now: float) -> bool:
    """Whether a moment is in the hours; those over midnight belong to the day on which they begin."""
    hours = change.hours
    if hours is None:
        return True
    local = datetime.fromtimestamp(now, UTC).astimezone(hours.zone)
    minute, day = local.hour * 60 + local.minute, local.weekday()
    if hours.start == hours.end:
        return day in hours.days
    if hours.start < hours.end:
        return day in hours.days and hours.start <= minute < hours.end
    if minute >= hours.start:
        return day in hours.days
    return minute < hours.end and (day - 1) % 7 in hours.days


def _task(rule: Rule, model: Decimal, bill: Bill) -> None:
    """Work that is done apart, at a ratio and no price: half the ratio is its price in dollars."""
    dollars = divide(model, _TWO)
    bill.total = multiply(dollars, rule.unit)
    bill.lines.append({"bucket": "call", "units": 1, "price": plain(dollars), "per": "call", "amount": bill.total})


def _change(change: Adjustment, bill: Bill) -> None:
    """Multiply lines by a change's factor, and tell of it."""
    factor = change.factor
    bill.factors[change.name] = "1" if factor is None else plain(factor)
    if factor is None:
        return
    for line in bill.lines:
        if not change.only or line["bucket"] in change.only:
            line["amount"] = multiply(line["amount"], factor)
            line["factor"] = plain(multiply(Decimal(line.get("factor", "1")), factor))


def _tools(rule: Rule, calls: Mapping[str, Any], bill: Bill) -> None:
    """Surcharges of tools, dollars per 1000 calls; a tool without a price costs nothing."""
    for name, number in calls.items():
        dollars, count = rule.tool(name), decimal(number)
        if dollars and count:
            amount = divide(multiply(multiply(dollars, rule.unit), count), _THOUSAND)
            bill.tools = add(bill.tools, amount)
            line = {"bucket": f"tool {name}", "units": int(count), "price": plain(dollars), "per": "1000 calls"}
            bill.lines.append({**line, "amount": amount})
            bill.surcharges.append({"name": name, "count": int(count), "price": float(dollars)})


def _by_expression(rule: Rule, usage: Mapping[str, Any], scene: Scene, bill: Bill) -> None:
    dollars, bill.tier = rule.expression.run(usage, scene.body, scene.header, scene.now)
    bill.total = divide(multiply(dollars, rule.unit), MILLION)
    line = {"bucket": "expression", "units": 1, "price": plain(divide(dollars, MILLION)), "per": "call"}
    bill.lines.append({**line, "amount": bill.total})
