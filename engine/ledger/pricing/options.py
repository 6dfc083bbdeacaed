"""Rules of the options table: New API's and One API's ratio maps, read once, made into a Rule when one is asked for.

Takes the options' texts and what a Price document says of ratios where the options are silent. An unreadable map is
left out and told in ``faults``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from engine.filters.patterns import pattern
from engine.ledger.pricing import rules
from engine.ledger.pricing.amounts import ONE, positive
from engine.ledger.pricing.ratios import ratio_prices
from engine.ledger.pricing.rules import Factors, Function, Picture, Ratio, Rule
from engine.program.formula import ExpressionError, compiled
from engine.storage.values import QUOTA_PER_UNIT

SELF_USE = Decimal("37.5")
_WRITE = Decimal("1.25")
_MAPS = {
    "model": "ModelRatio",
    "price": "ModelPrice",
    "completion": "CompletionRatio",
    "cache": "CacheRatio",
    "cacheWrite": "CreateCacheRatio",
    "image": "ImageRatio",
    "audio": "AudioRatio",
    "audioCompletion": "AudioCompletionRatio",
}
_MODE, _EXPRESSION = "billing_setting.billing_mode", "billing_setting.billing_expr"


class Options:
    """See the module. ``defaults`` is ``ratios`` of the Program's prices."""

    def __init__(
        self, options: Mapping[str, str], defaults: Mapping[str, Any], functions: Mapping[str, Function]
    ) -> None:
        self.options = options
        self.defaults = defaults
        self.functions = functions
        self.faults: list[str] = []
        self.unit = positive((options.get("QuotaPerUnit") or "").strip()) or Decimal(QUOTA_PER_UNIT)
        self.tables = {key: self._amounts(name) for key, name in _MAPS.items()}
        self.modes, self.expressions = self._map(_MODE), self._map(_EXPRESSION)
        pairs = self._map("GroupGroupRatio")
        self.groups = self._amounts("GroupRatio")
        self.pairs = {user: rules.amounts(table) for user, table in pairs.items()}
        self.tools = self._amounts("tool_price_setting.prices")

    def rule(self, model: str, common: Sequence[Factors]) -> Rule | None:
        """The rule that the options have for a model."""
        for name in (model, *self._folded(model)):
            place = f"options:{_MAPS['price'] if name in self.tables['price'] else _MAPS['model']}"
            rule = Rule("options", f"{place}[{name!r}]", model, self.unit, levels=tuple(common), uses=self._uses(model))
            if self.modes.get(name) == "tiered_expr" and isinstance(self.expressions.get(name), str):
                return self._by_expression(rule, name)
            if name in self.tables["price"]:
                ratio_prices(rule, Ratio(price=self.tables["price"][name]))
                rule.pictures = self._pictures(name)
                return rule
            if name in self.tables["model"]:
                ratio_prices(rule, self._ratio(name))
                return rule
        return None

    def last_resort(self, model: str, common: Sequence[Factors]) -> Rule | None:
        """Self-use mode: a model that nobody has a price for costs a ratio that is high on purpose."""
        if (self.options.get("SelfUseModeEnabled") or "").strip().lower() != "true":
            return None
        rule = Rule("options", "options:SelfUseModeEnabled", model, self.unit, levels=tuple(common))
        ratio_prices(rule, replace(self._ratio(model), model=SELF_USE))
        return rule

    def _by_expression(self, rule: Rule, name: str) -> Rule | None:
        rule.place = f"options:{_EXPRESSION}[{name!r}]"
        try:
            rule.expression = compiled(self.expressions[name])
        except ExpressionError as ex:
            self.faults.append(f"{rule.place}: {ex}")
            return None
        return rule

    def levels(self, model: str) -> tuple[Factors, Factors]:
        """The options' factors and tools for a model, and what holds where they are silent."""
        own = Factors(self.groups, self.pairs, {}, _tools(self.tools, model))
        usual = _tools(rules.amounts(self.defaults.get("toolPrices")), model)
        return own, Factors({}, {}, {}, usual)

    def _ratio(self, name: str) -> Ratio:
        table = self.tables
        infer = self.defaults.get("inferWrites")
        cost = self.functions[infer["cost"]] if infer and _matches(infer["match"], name) else None
        audio, completion = self._or_usual("audio", name), self._or_usual("audioCompletion", name)
        return Ratio(
            model=table["model"].get(name),
            completion=self._completion(name),
            cache=self._given("cache", name, ONE),
            cache_write=self._given("cacheWrite", name, _WRITE),
            image=self._given("image", name, ONE),
            audio=ONE if audio is None and completion is not None else audio,
            audio_completion=ONE if completion is None else completion,
            audio_price=self._rule("audioPrice", name),
            cost=cost,
        )

    def _completion(self, name: str) -> Decimal:
        """A locked rule, else the options, else a rule; for a name with a slash the options go first."""
        own = self.tables["completion"].get(name)
        locked = self._rule("completion", name, locked=True)
        if own is not None and ("/" in name or locked is None):
            return own
        fixed = locked if locked is not None else self._rule("completion", name)
        return ONE if fixed is None else fixed

    def _given(self, key: str, name: str, otherwise: Decimal) -> Decimal:
        amount = self._or_usual(key, name)
        return otherwise if amount is None else amount

    def _or_usual(self, key: str, name: str) -> Decimal | None:
        """The options' value; a document's where the options have no such map at all."""
        if _MAPS[key] in self.options:
            return self.tables[key].get(name)
        return self._rule(key, name)

    def _rule(self, key: str, name: str, *, locked: bool = False) -> Decimal | None:
        for item in self.defaults.get(key) or ():
            if (item.get("locked") or not locked) and _matches(item["match"], name):
                return positive(item["value"])
        return None

    def _pictures(self, name: str) -> tuple[Picture, ...]:
        rows = [item for item in self.defaults.get("pictures") or () if _matches(item["match"], name)]
        return tuple(
            Picture(item.get("size"), item.get("quality"), False, positive(item["factor"]) or ONE, str(item["factor"]))
            for item in rows
        )

    def _uses(self, model: str) -> dict[str, int]:
        return {item["tool"]: 1 for item in self.defaults.get("uses") or () if _matches(item["match"], model)}

    def _folded(self, model: str) -> list[str]:
        return [item["name"] for item in self.defaults.get("fold") or () if _matches(item["match"], model)]

    def _amounts(self, name: str) -> dict[str, Decimal]:
        return rules.amounts(self._map(name))

    def _map(self, name: str) -> dict[str, Any]:
        text = (self.options.get(name) or "").strip()
        if not text:
            return {}
        try:
            value = json.loads(text, parse_float=Decimal, parse_int=Decimal)
        except (ValueError, ArithmeticError) as ex:
            self.faults.append(f"the option {name} is not JSON and has no effect: {ex}")
            return {}
        if not isinstance(value, dict):
            self.faults.append(f"the option {name} is no JSON object and has no effect")
            return {}
        return value


def _matches(text: str, name: str) -> bool:
    return pattern(text).compiled.fullmatch(name) is not None


def _tools(table: Mapping[str, Decimal], model: str) -> dict[str, Decimal]:
    """Prices by tool: of those for a prefix of the model's name the longest goes first, before the tool's own."""
    best: dict[str, tuple[int, Decimal]] = {}
    for key, price in table.items():
        tool, colon, prefix = key.partition(":")
        prefix = prefix.removesuffix("*")
        if model.startswith(prefix) and len(prefix) + bool(colon) > best.get(tool, (-1, price))[0]:
            best[tool] = (len(prefix) + bool(colon), price)
    return {tool: price for tool, (_, price) in best.items()}
