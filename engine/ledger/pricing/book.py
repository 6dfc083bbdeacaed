"""The book of prices: which rule a model has, and what a call costs by it.

    book.find(model)                        the Rule in force, or nothing: a model without a price is never free
    book.charge(rule, usage, group=...)     a Charge: units of quota, dollars, and how they came about
    book.estimate(rule, input_tokens=...)   units to reserve before sending

Own documents go before the options table, which goes before the shipped documents: so a database that was taken over
keeps its prices. A book never changes; the relay makes a new one when the program or the options do.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from engine.bounds import LONGEST_KEPT, Kept
from engine.filters.patterns import pattern
from engine.ledger.pricing import documents, rules
from engine.ledger.pricing.amounts import ZERO, add, divide, multiply, plain, rounded, rounded_up
from engine.ledger.pricing.charging import Bill, Scene, bill
from engine.ledger.pricing.costs import Costs
from engine.ledger.pricing.facts import facts
from engine.ledger.pricing.options import Options
from engine.ledger.pricing.rules import Factors, Rule
from engine.program.formula import ExpressionError

if TYPE_CHECKING:
    from engine.program import Priced, Program

__all__ = ["Book", "Charge", "Rule"]
_KEPT = 10_000
_NOTHING: Mapping[str, Any] = {}
_DEFAULT_OUTPUT = 8192


@dataclass(slots=True)
class Charge:
    """What a call costs; never changed. ``usd`` is exact; ``quota`` is it in whole units, rounded once.

    PERF: not frozen, which would cost as much as four buckets.
    """

    quota: int
    usd: Decimal
    rule: str
    place: str
    lines: tuple[dict[str, Any], ...] = ()
    ratios: Mapping[str, Any] = field(default_factory=dict)
    """The log row's keys of New API: model_ratio, group_ratio, completion_ratio and so on."""
    factors: Mapping[str, str] = field(default_factory=dict)
    unpriced: bool = False
    failed: str = ""
    """Why the rule could not be applied; the reservation then stands as the price."""

    def other(self) -> dict[str, Any]:
        """What the log row's ``other`` says of the charge."""
        if self.unpriced:
            return {"unpriced": True}
        price: dict[str, Any] = {"rule": self.rule, "place": self.place, "usd": plain(self.usd)}
        price["lines"] = [{**line, "amount": plain(line["amount"])} for line in self.lines]
        if self.factors:
            price["factors"] = dict(self.factors)
        if self.failed:
            price["failed"] = self.failed
        return {**self.ratios, "price": price}


FREE_OF_PRICE = Charge(0, ZERO, "", "", unpriced=True)


class Book:
    """See the module. ``program`` gives the documents' rules, ``options`` are the database's texts."""

    def __init__(self, program: Program, options: Mapping[str, str] | None = None) -> None:
        prices = program.prices
        self.source = dict(options or {})
        self.functions = program.functions
        self.options = Options(options or {}, prices.ratios, program.functions)
        self.unit = self.options.unit
        self._common = [(item.get("layer") or 0, rules.factors(item)) for item in prices.common]
        self._own = _Shelf([rule for rule in prices.rules if rule.layer > 0])
        self._shipped = _Shelf([rule for rule in prices.rules if rule.layer <= 0])
        # Tools that a provider runs: formats say where their calls are counted.
        self._counted = {name for spoken in program.formats.values() for name in spoken.usage.counts.get("calls", ())}
        self._known: Kept[str, tuple[Rule, ...]] = Kept(_KEPT)
        unit, functions = self.unit, self.functions  # not self: a book dies with its last reference
        self.costs = Costs(
            prices.costs, lambda item, model: documents.rule(item, model, unit, functions, []), unit, _matches
        )

    @property
    def faults(self) -> list[str]:
        """Options that could not be read."""
        return self.options.faults

    def find(self, model: str, base: str | None = None, now: float | None = None) -> Rule | None:
        """The rule in force for the name asked for, else for the model that an alias says it means."""
        moment = time.time() if now is None else now
        for name in (model,) if base is None or base == model else (model, base):
            for rule in self.rules(name):
                if (rule.start is None or rule.start <= moment) and (rule.end is None or moment < rule.end):
                    return rule
        return None

    def rules(self, model: str) -> tuple[Rule, ...]:
        """Every rule of a name at any time, the strongest first. PERF: made ready once."""
        model_rules = self._known.get(model)
        return model_rules if model_rules is not None else self._known.keep(model, tuple(self._made(model)))

    def _made(self, model: str) -> list[Rule]:
        common = self.shared_levels(model)
        model_rules = [self._document(item, model, common) for item in self._own.find(model)]
        option_rule = self.options.rule(model, common)
        model_rules += [option_rule] if option_rule is not None else []
        model_rules += [self._document(item, model, common) for item in self._shipped.find(model)]
        last = self.options.last_resort(model, common)
        model_rules += [last] if last is not None else []
        for rule in model_rules:
            rule.functions = rule.priced_tools() - self._counted
        return model_rules

    def shared_levels(self, model: str) -> list[Factors]:
        """Factors and tools that hold for all rules of a model, the strongest first."""
        own, usual = self.options.levels(model)
        above = [level for layer, level in self._common if layer > 0]
        below = [level for layer, level in self._common if layer <= 0]
        return [*above, own, *below, usual]

    def _document(self, item: Priced, model: str, common: list[Factors]) -> Rule:
        return documents.rule(item, model, self.unit, self.functions, common)

    def charge(
        self,
        rule: Rule | None,
        usage: Mapping[str, Any],
        *,
        group: str,
        user_group: str = "",
        channel: str | int = "",
        request: Any = None,
        now: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Charge:
        """What a usage costs; several billed models are priced one by one, each so many ``times``.

        No rule is no price: nothing is charged.
        """
        if rule is None:
            return FREE_OF_PRICE
        moment = time.time() if now is None else now
        scene = Scene(group, user_group, str(channel), request, headers or _NOTHING, moment)
        try:
            if usage.get("models"):
                return self._several(rule, usage, self._bills(rule, usage, scene), scene)
            billed = bill(rule, usage, scene)
        except ExpressionError as ex:
            return Charge(0, ZERO, rule.name, rule.place, failed=str(ex))
        share = rule.share(user_group, group, scene.channel)
        exact = multiply(add(billed.total, billed.tools), share.factor)
        ratios = facts(rule, usage, billed, share)
        quota = _units(exact, _least(rule, usage, exact, share.factor))
        return Charge(
            quota, divide(exact, self.unit), rule.name, rule.place, tuple(billed.lines), ratios, billed.factors
        )

    def _bills(self, rule: Rule, usage: Mapping[str, Any], scene: Scene) -> list[tuple[Rule, Mapping[str, Any], Bill]]:
        bills = []
        for index, part in enumerate(usage["models"]):
            named = part.get("model")
            own = (self.find(named, None, scene.now) if named and named != rule.model else rule) or rule
            beside = {key: usage[key] for key in ("calls", "meters", "factors") if index == 0 and key in usage}
            billed = bill(own, {**part, **beside}, scene)
            for line in billed.lines:
                line["model"] = named or rule.model
                if part.get("times", 1) != 1:
                    line["times"] = part["times"]
            bills.append((own, part, billed))
        return bills

    def _several(
        self, rule: Rule, usage: Mapping[str, Any], bills: list[tuple[Rule, Mapping[str, Any], Bill]], scene: Scene
    ) -> Charge:
        exact, least = ZERO, False
        lines: list[dict[str, Any]] = []
        factors: dict[str, str] = {}
        for own, part, billed in bills:
            factor = own.share(scene.user_group, scene.group, scene.channel).factor
            total = multiply(multiply(add(billed.total, billed.tools), factor), part.get("times", 1))
            exact = add(exact, total)
            least = least or _least(own, part, total, factor)
            lines += billed.lines
            factors |= billed.factors
        ratios = facts(rule, usage, bills[0][2], rule.share(scene.user_group, scene.group, scene.channel))
        usd = divide(exact, self.unit)
        return Charge(_units(exact, least), usd, rule.name, rule.place, tuple(lines), ratios, factors)

    def trial(self, rule: Rule, request: Any, now: float, headers: Mapping[str, str] | None = None) -> str:
        """Why the rule can't price a request, if it can't; only an expression may fail."""
        if rule.expression is None:
            return ""
        usage = {"input_total": 1000, "input_fresh": 1000, "output_total": 100, "output_text": 100}
        try:
            rule.expression.run(usage, request, headers or _NOTHING, now)
        except ExpressionError as ex:
            return str(ex)
        return ""

    def estimate(
        self,
        rule: Rule | None,
        *,
        input_tokens: int,
        max_tokens: int | None,
        group: str,
        user_group: str = "",
        channel: str | int = "",
        request: Any = None,
        now: float | None = None,
        headers: Mapping[str, str] | None = None,
        beside: Mapping[str, Any] | None = None,
    ) -> int:
        """Units to reserve for a call, rounded up: all of the input fresh, and all of the output that may come.

        ``beside`` is what of the usage besides tokens is known before.
        """
        if rule is None:
            return 0
        output = _DEFAULT_OUTPUT if max_tokens is None else max_tokens
        if rule.plain and not beside:
            prices = rule.prices
            total = add(multiply(prices["input"].each, input_tokens), multiply(prices["output"].each, output))
        else:
            usage = {
                "input_fresh": input_tokens,
                "input_total": input_tokens,
                "output_text": output,
                "output_total": output,
                "total": input_tokens + output,
                **(beside or _NOTHING),
            }
            moment = time.time() if now is None else now
            scene = Scene(group, user_group, str(channel), request, headers or _NOTHING, moment)
            try:
                total = ZERO
                for part in usage.get("models") or (usage,):
                    total = add(total, multiply(bill(rule, part, scene).total, part.get("times", 1)))
            except ExpressionError:
                return 0
        return rounded_up(multiply(total, rule.share(user_group, group, str(channel)).factor))


def _least(rule: Rule, usage: Mapping[str, Any], exact: Decimal, factor: Decimal) -> bool:
    """Whether a charge that comes to nothing is one unit: what has a price and was used is never free.

    With New API's ratios any tokens will do, and its prices per call and expressions have no least charge.
    """
    ratio = rule.ratio
    if rule.expression is not None or (ratio is not None and ratio.price is not None):
        return False
    if ratio is not None:
        return bool(ratio.model and factor and (usage.get("total") or 0) > 0)
    return exact > 0


def _units(exact: Decimal, least: bool) -> int:
    return rounded(exact) or int(least)


class _Shelf:
    """Rules of documents by name, then by pattern."""

    def __init__(self, items: list[Priced]) -> None:
        self.exact: dict[str, list[Priced]] = {}
        self.patterns = [item for item in items if item.match]
        for item in items:
            for name in item.names:
                self.exact.setdefault(name, []).append(item)

    def find(self, model: str) -> list[Priced]:
        """The rules for a name, those that name it first."""
        named = self.exact.get(model, [])
        fits = _matches if len(model) <= LONGEST_KEPT else _matches.__wrapped__
        return named + [item for item in self.patterns if item not in named and fits(item.match, model)]


@lru_cache(maxsize=4096)
def _matches(text: str, name: str) -> bool:
    return pattern(text).compiled.fullmatch(name) is not None
