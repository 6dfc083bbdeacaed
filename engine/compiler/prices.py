"""Prices: what Price documents (and Providers with prices) say, laid out for the Program.

Takes linked definitions; gives rules by strength with amounts as exact texts, moments as unix seconds and the place of
each, and faults where a rule says nothing, too much, or the same as another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from engine.compiler.diagnostics import Fault
from engine.compiler.documents.positions import Path
from engine.compiler.documents.sets import Definition, Definitions
from engine.program.formula import ExpressionError, compiled

Named = Callable[[Definition], dict[str, Any]]
_FACTORS = ("groups", "userGroups", "channels", "tools")
_COSTS = ("tokens", "call", "second", "characters", "pictures")
_CONVERTED = Decimal("1e-12")
_WIDE = Context(prec=60, rounding=ROUND_HALF_UP)


def layout(definitions: Definitions, named: Named, faults: list[Fault]) -> dict[str, Any]:
    """The data of ``engine.program.prices``; ``named`` gives a definition's spec with functions by their names."""
    rules: list[dict[str, Any]] = []
    common: list[dict[str, Any]] = []
    ratios: dict[str, Any] = {}
    costs: list[dict[str, Any]] = []
    by_model: dict[tuple[int, str], list[tuple[dict[str, Any], str]]] = {}
    for definition, rows, path in _priced(definitions, named):
        spec = rows[0]
        shared = {key: _exact(spec[key]) for key in _FACTORS if key in spec and path == ("spec", "models")}
        ratios = {**ratios, **_exact(spec.get("ratios") or {})} if path == ("spec", "models") else ratios
        if shared and not rows[1]:
            common.append({"title": definition.title, "layer": definition.layer, **shared})
        for index, entry in enumerate(rows[1]):
            rule = _PriceEntry(definition, (*path, index), entry, faults).laid_out(spec, shared)
            if spec.get("cost"):
                costs.append({**rule, "cost": spec["cost"]})
                continue
            _check_twice(definition, rule, (*path, index), by_model, faults)
            rules.append(rule)
    rules.sort(key=lambda rule: -rule["layer"])
    common.sort(key=lambda item: -item["layer"])
    costs.sort(key=lambda rule: -rule["layer"])
    return {"rules": rules, "costs": costs, "common": common, "ratios": ratios}


Rows = tuple[Definition, tuple[dict[str, Any], list[Any]], Path]


def _priced(definitions: Definitions, named: Named) -> Iterator[Rows]:
    for definition in definitions.of("Price"):
        spec = named(definition)
        yield definition, (spec, _maps(spec.get("models"))), ("spec", "models")
    for definition in definitions.of("Provider"):
        if definition.spec.get("price"):
            yield definition, ({}, _maps(named(definition).get("price"))), ("spec", "price")


class _PriceEntry:
    """One entry of a document's rules."""

    def __init__(self, definition: Definition, path: Path, entry: dict[str, Any], faults: list[Fault]) -> None:
        self.definition = definition
        self.path = path
        self.entry = entry
        self.faults = faults

    def laid_out(self, spec: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
        """The rule's data; what the document says for all its rules stands below what the rule says."""
        self._check()
        place = self.definition.where(self.path)
        entry = {key: value for key, value in self.entry.items() if key not in ("from", "until")}
        rule: dict[str, Any] = _exact(_converted(entry, self._rate(spec)))
        start, end = self._moment("from"), self._moment("until")
        if start is not None and end is not None and start >= end:
            self._fault("wrong-value", "the rule ends before it begins", "until")
        for index, change in enumerate(_maps(rule.get("adjust"))):
            self._adjustment(change, index)
        return rule | {
            "title": self.definition.title,
            "place": f"{place.file}:{place.line}",
            "layer": self.definition.layer,
            "from": start,
            "until": end,
            "shared": shared,
            "source": spec.get("source") or "",
            "date": str(spec.get("date") or ""),
        }

    def _rate(self, spec: dict[str, Any]) -> Decimal | None:
        currency, rate = spec.get("currency") or "USD", spec.get("perDollar")
        if rate is None:
            if currency != "USD":
                message = f"prices in {currency!r} need perDollar: how much of it makes a dollar"
                self.faults.append(self.definition.fault("missing-key", message, ("spec", "currency")))
            return None
        return decimal(rate) or None

    def _check(self) -> None:
        entry = self.entry
        if not entry.get("names") and not entry.get("match"):
            self._fault("missing-key", "the rule says for no model: give it `names` or `match`")
        costs = [key for key in _COSTS if key in entry]
        if "ratio" in entry and (costs or entry.get("tiers")):
            wrong = (costs or ["tiers"])[0]
            self._fault("wrong-value", f"a rule is in ratios or in dollars: `ratio` excludes `{wrong}`", wrong)
        if isinstance(entry.get("ratio"), dict):
            self._check_ratio(entry["ratio"])
        if "ratio" not in entry and not costs:
            expected = f"one of {', '.join(_COSTS)}, ratio"
            self._fault("missing-key", "the rule has no price; write a price of 0 if it is free", expected=expected)
        self._check_tokens(entry.get("tokens"))

    def _check_tokens(self, tokens: Any) -> None:
        if isinstance(tokens, dict) and "input" not in tokens and "output" not in tokens:
            self._fault("missing-key", "prices of tokens need at least `input` or `output`", "tokens")
        if self.entry.get("tiers") and not tokens:
            self._fault("missing-key", "tiers change prices of `tokens`, which the rule does not have", "tiers")

    def _check_ratio(self, ratio: dict[str, Any]) -> None:
        if len([key for key in ("model", "price", "expression") if key in ratio]) != 1:
            self._fault("wrong-value", "`ratio` takes exactly one of model, price and expression", "ratio")
        elif isinstance(ratio.get("expression"), str):
            try:
                compiled(ratio["expression"])
            except ExpressionError as ex:
                self._fault("bad-expression", str(ex), "ratio", "expression")

    def _adjustment(self, change: dict[str, Any], index: int) -> None:
        for key in ("from", "until"):
            if key in change:
                change[key] = self._moment(key, change, ("adjust", index))
        zone = change.get("zone")
        if zone:
            try:
                ZoneInfo(str(zone))
            except (OSError, ValueError, KeyError):
                self._fault("wrong-value", f"there is no time zone {zone!r}", "adjust", index, "zone")
        if "factor" not in change and "tokens" not in change:
            self._fault("missing-key", "the change has neither `factor` nor `tokens`", "adjust", index)

    def _moment(self, key: str, at: dict[str, Any] | None = None, below: Path = ()) -> float | None:
        text = (self.entry if at is None else at).get(key)
        if not isinstance(text, str):
            return None
        try:
            return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
        except ValueError:
            self._fault("wrong-value", f"there is no such moment: {text!r}", *below, key)
            return None

    def _fault(self, code: str, message: str, *below: str | int, expected: str | None = None) -> None:
        self.faults.append(self.definition.fault(code, message, (*self.path, *below), expected=expected))


def _check_twice(
    definition: Definition,
    rule: dict[str, Any],
    path: Path,
    by_model: dict[tuple[int, str], list[tuple[dict[str, Any], str]]],
    faults: list[Fault],
) -> None:
    """A model has one rule at a time in a layer."""
    names = rule.get("names")
    for index, name in enumerate(names if isinstance(names, list) else ()):
        others = by_model.setdefault((definition.layer, str(name)), [])
        for other, place in others:
            if _meet(rule, other):
                message = f"the model {name!r} has another price for the same time, at {place}"
                faults.append(definition.fault("duplicate-document", message, (*path, "names", index)))
                break
        others.append((rule, rule["place"]))


def _meet(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two rules are in force at the same time."""
    starts = [rule["from"] if rule["from"] is not None else float("-inf") for rule in (one, other)]
    ends = [rule["until"] if rule["until"] is not None else float("inf") for rule in (one, other)]
    return max(starts) < min(ends)


def decimal(value: Any) -> Decimal:
    """An amount as a document writes it: a float by the digits that it was written with."""
    try:
        return Decimal(value if isinstance(value, str) else repr(value))
    except ArithmeticError:
        return Decimal(0)  # the schema has said what is wrong with it


def _exact(value: Any) -> Any:
    """Numbers as texts of exact decimals, but for thresholds, which are counts."""
    if isinstance(value, dict):
        return {key: item if key in ("above", "from", "until") else _exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{decimal(value):f}"
    return value


def _converted(rule: dict[str, Any], rate: Decimal | None) -> dict[str, Any]:
    """Amounts of money in dollars."""
    if rate is None:
        return rule
    in_dollars = dict(rule)
    for key in ("tokens", "call", "second", "characters", "tools"):
        if key in in_dollars:
            in_dollars[key] = _divided(in_dollars[key], rate)
    in_dollars["pictures"] = [
        {**row, "price": _divided(row.get("price"), rate)} for row in _maps(in_dollars.get("pictures"))
    ]
    for key in ("tiers", "adjust"):
        changed = [
            {**item, "tokens": _divided(item["tokens"], rate)} if "tokens" in item else item
            for item in _maps(in_dollars.get(key))
        ]
        in_dollars[key] = changed
    return in_dollars


def _divided(value: Any, rate: Decimal) -> Any:
    if isinstance(value, dict):
        return {key: _divided(item, rate) for key, item in value.items()}
    return f"{_WIDE.divide(decimal(value), rate).quantize(_CONVERTED, context=_WIDE).normalize():f}"


def _maps(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
