"""Rules of Price documents, made ready from the Program's plain data.

Takes one rule's data, the Program's functions and what other documents say for all models; gives a Rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.ledger.pricing import rules
from engine.ledger.pricing.amounts import ONE, ZERO, divide, multiply, positive
from engine.ledger.pricing.ratios import ratio_prices
from engine.ledger.pricing.rules import Adjustment, Factors, Function, Picture, Price, Ratio, Rule
from engine.program.formula import compiled
from engine.program.prices import decimal

if TYPE_CHECKING:
    from engine.program import Priced

_TEN_THOUSAND = Decimal(10_000)


def rule(
    priced: Priced, model: str, unit: Decimal, functions: Mapping[str, Function], common: Sequence[Factors]
) -> Rule:
    """The Rule of a document for a model; ``common`` are the levels of factors below the document's own."""
    data = priced.data
    rule = Rule(priced.title, _place(priced.place), model, unit, data.get("source") or "", data.get("date") or "")
    rule.start, rule.end = priced.start, priced.end
    rule.levels = (rules.factors(data), rules.factors(data.get("shared") or {}), *common)
    rule.adjustments = tuple(_adjustment(item, data, unit, functions) for item in data.get("adjust") or ())
    rule.units = {name: functions[text] for name, text in (data.get("units") or {}).items()}
    rule.uses = {name: int(number) for name, number in (data.get("uses") or {}).items()}
    if data.get("ratio"):
        _by_ratio(rule, data["ratio"])
        return rule
    tokens = data.get("tokens") or {}
    if tokens:
        rule.prices = rules.token_prices(tokens, unit)
    tiers = [
        (item["above"], rules.token_prices({**tokens, **item["tokens"]}, unit)) for item in data.get("tiers") or ()
    ]
    rule.tiers = tuple(sorted(tiers, key=lambda tier: -tier[0]))
    adjusted = [change.prices for change in rule.adjustments if change.prices]
    rule.media = rules.media_of(rule.prices, *(prices for _, prices in tiers), *adjusted)
    rule.call, rule.second = _each(data.get("call"), unit), _each(data.get("second"), unit)
    rule.characters = _each(data.get("characters"), divide(unit, _TEN_THOUSAND))
    rule.pictures = tuple(_picture(item, unit) for item in data.get("pictures") or ())
    return rule


def _place(place: str) -> str:
    """File and line as log rows show them: nothing of where an installation lies."""
    head, separator, rest = place.rpartition("/specs/")
    return f"specs/{rest}" if separator and head.startswith("/") else place


def _by_ratio(rule: Rule, data: Mapping[str, Any]) -> None:
    """Ratios in a document: New API's formulas hold."""
    if data.get("expression"):
        rule.expression = compiled(data["expression"])
        return
    amounts = {key: positive(data.get(key)) for key in ("model", "price", "audio")}
    plain = {"completion": ONE, "cache": ONE, "cacheWrite": Decimal("1.25"), "image": ONE, "audioCompletion": ONE}
    filled = {key: positive(data[key]) if key in data else usual for key, usual in plain.items()}
    rule.ratio = Ratio(
        model=amounts["model"],
        price=amounts["price"],
        audio=amounts["audio"],
        completion=_number(filled["completion"]),
        cache=_number(filled["cache"]),
        cache_write=_number(filled["cacheWrite"]),
        image=_number(filled["image"]),
        audio_completion=_number(filled["audioCompletion"]),
    )
    ratio_prices(rule, rule.ratio)


def _number(value: Decimal | None) -> Decimal:
    return ONE if value is None else value


def _each(amount: object, unit: Decimal) -> Price | None:
    dollars = positive(amount)
    return None if dollars is None else Price(multiply(dollars, unit), str(amount))


def _picture(item: Mapping[str, Any], unit: Decimal) -> Picture:
    amount = multiply(positive(item["price"]) or ZERO, unit)
    return Picture(item.get("size"), item.get("quality"), bool(item.get("unsaid")), amount, str(item["price"]))


def _lower(prices: Mapping[str, Price] | None, usual: Mapping[str, Price]) -> bool:
    """Whether any bucket costs less than it does otherwise."""
    return any(name in usual and price.each < usual[name].each for name, price in (prices or {}).items())


def _adjustment(
    item: Mapping[str, Any], data: Mapping[str, Any], unit: Decimal, functions: Mapping[str, Function]
) -> Adjustment:
    when, tokens = item.get("when"), item.get("tokens")
    usual = data.get("tokens") or {}
    prices = rules.token_prices({**usual, **tokens}, unit) if tokens else None
    factor = decimal(item["factor"]) if "factor" in item else None
    return Adjustment(
        name=item["name"],
        when=None if when is None else functions[when],
        hours=rules.hours(item),
        start=item.get("from"),
        end=item.get("until"),
        prices=prices,
        factor=factor,
        only=frozenset(item.get("only") or ()),
        cheaper=(factor is not None and factor < ONE) or _lower(prices, rules.token_prices(usual, unit)),
    )
