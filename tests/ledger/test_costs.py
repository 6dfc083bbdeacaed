"""What calls cost the operator: by channel, then by provider, else the list price times the channel's factor."""

from __future__ import annotations

import math
from decimal import Decimal

from engine.compiler import Source, compile_set
from engine.ledger.pricing.costs import Costs
from tests.ledger.books import book

PRICES = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: list}
spec: {groups: {vip: 3}, models: [{names: [m, other], tokens: {input: 2, output: 8}}]}
---
apiVersion: gatewright/v1
kind: Price
metadata: {name: account}
spec: {cost: {channels: [cheap]}, models: [{names: [m], tokens: {input: 0.5, output: 1}}]}
---
apiVersion: gatewright/v1
kind: Price
metadata: {name: contract}
spec: {cost: {channels: [any]}, currency: CNY, perDollar: 7, models: [{match: ".*", call: 0.7}]}
"""
USAGE = {"input_fresh": 100, "input_total": 100, "output_text": 40, "output_total": 40, "total": 140}


def test_a_cost_is_the_channels_own_or_a_part_of_the_list_price_and_no_price_for_callers() -> None:
    made = book(PRICES, shipped=False)
    rule, costs = made.find("m"), made.costs
    assert isinstance(costs, Costs)
    assert costs.of(rule, USAGE, "m", "cheap", "p") == Decimal("0.00009"), "100 x 0.5 + 40 x 1 for a million"
    assert costs.of(rule, USAGE, "m", "plain", "p") == Decimal("0.00052")
    assert costs.of(rule, USAGE, "m", "plain", "p", 0.5) == Decimal("0.00026")
    assert costs.of(rule, USAGE, "m", "any", "p") == Decimal("0.1")
    assert costs.of(None, USAGE, "unknown", "plain", "p") is None
    charge = made.charge(rule, USAGE, group="vip", channel="cheap")
    assert charge.usd == Decimal("0.00156"), "callers pay the list price times their group's factor"


def test_channels_are_compared_by_what_a_typical_call_costs() -> None:
    made = book(PRICES, shipped=False)
    rule = made.find("other")
    typical = [made.costs.typical(rule, "other", name, "p", factor) for name, factor in (("a", 1.0), ("b", 0.4))]
    assert typical[1] < typical[0]
    assert made.costs.typical(None, "unknown", "a", "p", 1.0) == math.inf


def test_a_cost_for_a_provider_that_is_not_there_is_told() -> None:
    text = PRICES.replace("cost: {channels: [cheap]}", "cost: {providers: [nobody]}")
    faults = compile_set([Source("p.yaml", text)], []).faults
    assert [fault.message for fault in faults] == ["there is no Provider 'nobody'"]
