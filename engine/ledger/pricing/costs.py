"""What calls cost the operator, apart from what callers pay: by channel or provider, as documents say.

Where none says, it is the list price times the channel's factor, before any factor of groups. In dollars; exact.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.bounds import Kept
from engine.ledger.pricing.amounts import add, divide, multiply
from engine.ledger.pricing.charging import Scene, bill
from engine.program.formula import ExpressionError
from engine.program.prices import decimal

if TYPE_CHECKING:
    from engine.ledger.pricing.rules import Rule
    from engine.program import Priced

_KEPT = 10_000
_TYPICAL: Mapping[str, Any] = {
    "input_fresh": 3000, "input_total": 3000, "output_text": 1000, "output_total": 1000, "total": 4000,
}  # fmt: skip
"""A usage to compare channels by."""
_NOTHING: Mapping[str, str] = {}
MakeRule = Callable[["Priced", str], "Rule"]


class Costs:
    """See the module. ``listed`` are rules of documents, the strongest first; ``make`` makes one ready for a model."""

    def __init__(
        self, listed: Sequence[Priced], make: MakeRule, unit: Decimal, fits: Callable[[str, str], bool]
    ) -> None:
        self._listed, self._make, self._unit, self._fits = listed, make, unit, fits
        self._known: Kept[tuple[str, str, str], tuple[Rule, ...]] = Kept(_KEPT)
        self._typical: Kept[tuple[str, str, str, str], float] = Kept(_KEPT)

    def declared(self, factor: float) -> bool:
        """Whether anything is said of what calls cost at a channel of this factor."""
        return bool(self._listed) or factor != 1.0

    def of(
        self,
        price: Rule | None,
        usage: Mapping[str, Any],
        model: str,
        channel: str,
        provider: str,
        factor: float = 1.0,
        request: Any = None,
        now: float | None = None,
    ) -> Decimal | None:
        """Dollars that a usage costs at a channel; nothing where nobody says. ``price``: the list price's rule."""
        moment = time.time() if now is None else now
        own = next((rule for rule in self._rules(model, channel, provider) if _holds(rule, moment)), None)
        rule, share = (own, Decimal(1)) if own is not None else (price, decimal(factor) or Decimal(1))
        if rule is None:
            return None
        try:
            total = bill(rule, usage, Scene("", "", channel, request, _NOTHING, moment))
        except ExpressionError:
            return None
        return divide(multiply(add(total.total, total.tools), share), self._unit)

    def typical(self, price: Rule | None, model: str, channel: str, provider: str, factor: float) -> float:
        """A number to compare channels by; infinite where nobody knows. PERF: worked out once."""
        key = model, channel, provider, price.place if price is not None else ""
        typical = self._typical.get(key)
        if typical is None:
            cost = self.of(price, _TYPICAL, model, channel, provider, factor)
            typical = self._typical.keep(key, math.inf if cost is None else float(cost))
        return typical

    def _rules(self, model: str, channel: str, provider: str) -> tuple[Rule, ...]:
        if not self._listed:
            return ()
        key = model, channel, provider
        cost_rules = self._known.get(key)
        if cost_rules is None:
            fitting = [self._make(item, model) for item in self._listed if self._is_for(item, *key)]
            cost_rules = self._known.keep(key, tuple(fitting))
        return cost_rules

    def _is_for(self, item: Priced, model: str, channel: str, provider: str) -> bool:
        named = item.data["cost"]
        at = channel in named.get("channels", ()) or provider in named.get("providers", ())
        return at and (model in item.names or (bool(item.match) and self._fits(item.match, model)))


def _holds(rule: Rule, now: float) -> bool:
    return (rule.start is None or rule.start <= now) and (rule.end is None or now < rule.end)
