"""What ``gatewright explain --price`` tells: the rule of a model, and how it makes a charge of a usage."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import click

from engine import settings
from engine.cli import _common
from engine.hub import usage as counting
from engine.ledger.pricing.amounts import divide, plain
from engine.ledger.pricing.book import Book, Charge, Rule
from engine.ledger.pricing.rules import Price, shown
from engine.program import Format, Program
from engine.routing.aliases import AliasResolver
from engine.storage.database import open_database
from engine.storage.rows import options as stored_options

_EXAMPLE = {"input_fresh": 1000, "output_text": 1000}
_PLACES = Decimal("1e-9")


def book(program: Program, *, database: bool) -> Book:
    """The book of prices: of the documents alone, or with the options of the database that is configured."""
    if not database:
        return Book(program)
    db = open_database(settings.load(os.environ), migrate=False)
    try:
        return Book(program, stored_options.load(db))
    finally:
        db.close()


def usage_of(given: Any, teller: Format, program: Program, model: str) -> dict[str, Any]:
    """A usage in the hub's buckets: as given, else by the rules of the Format that it is of, else an example."""
    if not isinstance(given, dict):
        return _whole(_EXAMPLE)
    if any(name in given for name in (*counting.BUCKETS, "input_total", "calls", "meters", "models")):
        return _whole(given)
    counts = _counts(given, teller, model)
    if not counts:
        knowing = [item.name for item in program.formats.values() if _counts(given, item, model)]
        hint = f"it is known to {', '.join(knowing)}" if knowing else "no Format knows it"
        _common.usage(
            f"--usage: nothing of it is known to {teller.name}, which would charge nothing; {hint}:"
            " say --from FORMAT, the Format that tells it so"
        )
    return counting.Plan(teller.usage).settle(counts, given)


def _counts(answer: dict[str, Any], teller: Format, model: str) -> dict[str, Any]:
    """What a Format counts of a whole answer, or of its usage object alone."""
    usage = teller.usage.at([], answer, model, {}) if teller.usage.at is not None else None
    plan = counting.Plan(teller.usage)
    for source in (usage, answer):
        counts = plan.collect(source) if isinstance(source, dict) else {}
        if counts.keys() - {"meters"}:  # meters are none where none is told
            return counts
    return {}


def _whole(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Buckets with the totals that they add up to."""
    usage: dict[str, Any] = {**counting.EMPTY, **counts}
    inputs = ("input_fresh", *counting.INPUT_PARTS)
    usage["input_total"] = counts.get("input_total") or sum(usage[name] for name in inputs)
    usage["output_total"] = counts.get("output_total") or usage["output_text"] + usage["reasoning"]
    usage["total"] = usage["input_total"] + usage["output_total"]
    return usage


def explain(
    program: Program,
    made: Book,
    model: str,
    usage: dict[str, Any],
    body: dict[str, Any],
    who: tuple[str, str, str],
    at: float | None = None,
) -> dict[str, Any]:
    """The rule and the charge, as plain data. ``who`` is the key's group, the user's group and the channel."""
    reading, now = AliasResolver(program).read(model), time.time() if at is None else at
    group, user_group, channel = who
    rule = made.find(model, reading.name, now)
    if rule is None:
        allowed = program.policy.get("unpriced") == "allow"
        why = "it would be served and marked as unpriced" if allowed else "it would be refused (403, model_price_error)"
        how = "give it a rule in a Price document, or ModelRatio or ModelPrice in the options"
        return {"model": model, "rule": None, "why": f"no price is in force for it: {why}; {how}"}
    charge = made.charge(rule, usage, group=group, user_group=user_group, channel=channel, request=body, now=now)
    explained = {"model": model, "rule": _rule(rule), "usage": {name: count for name, count in usage.items() if count}}
    return explained | {"charge": _charge(charge, rule), "log": charge.other()}


def _rule(rule: Rule) -> dict[str, Any]:
    explained: dict[str, Any] = {"name": rule.name, "place": rule.place, "source": rule.source, "date": rule.date}
    explained["dollars"] = _dollars(rule.prices)
    for name, price in (("call", rule.call), ("second", rule.second), ("10k characters", rule.characters)):
        if price is not None:
            explained["dollars"][name] = price.shown
    explained["ratios"] = shown(rule)
    if rule.tiers:
        explained["tiers"] = [{"above": above, "dollars": _dollars(prices)} for above, prices in rule.tiers]
    if rule.pictures:
        explained["pictures"] = [{"size": p.size, "quality": p.quality, "price": p.shown} for p in rule.pictures]
    if rule.adjustments:
        explained["adjust"] = [change.name for change in rule.adjustments]
    if rule.expression is not None:
        explained["expression"] = rule.expression.text
    return explained


def _dollars(prices: Mapping[str, Price]) -> dict[str, str]:
    return {name: price.shown for name, price in prices.items()}


def _charge(charge: Charge, rule: Rule) -> dict[str, Any]:
    lines = [
        {**line, "amount": plain(line["amount"]), "usd": _short(divide(line["amount"], rule.unit))}
        for line in charge.lines
    ]
    explained: dict[str, Any] = {
        "lines": lines,
        "factors": charge.factors,
        "usd": _short(charge.usd),
        "quota": charge.quota,
    }
    if charge.failed:
        explained["failed"] = charge.failed
    return explained


def _short(amount: Decimal) -> str:
    return plain(amount if amount == amount.quantize(_PLACES) else amount.quantize(_PLACES))


def show(told: dict[str, Any]) -> None:
    """Print it for people."""
    rule = told["rule"]
    if rule is None:
        click.echo(f"price of {told['model']}: {told['why']}")
        return
    origin = f", read {rule['date']} from {rule['source']}" if rule["source"] else ""
    click.echo(f"price of {told['model']}: {rule['name']} at {rule['place']}{origin}")
    ratios = rule["ratios"]
    click.echo("  dollars: " + ", ".join(f"{name} {price}" for name, price in rule["dollars"].items()))
    click.echo("  ratios:  " + ", ".join(f"{name} {value}" for name, value in ratios.items()))
    for tier in rule.get("tiers", ()):
        click.echo(f"  above {tier['above']} tokens of input: {tier['dollars']}")
    for name in ("adjust", "pictures", "expression"):
        if name in rule:
            click.echo(f"  {name}: {rule[name]}")
    log, charge = told["log"], told["charge"]
    click.echo("charge:")
    for line in charge["lines"]:
        factor = f" x {line['factor']}" if "factor" in line else ""
        price = f"${line['price']} per {line['per']}{factor}"
        click.echo(f"  {line['bucket']:<16} {line['units']:>10} x {price} = ${line['usd']} ({line['amount']} units)")
    for name, value in charge["factors"].items():
        click.echo(f"  {name}: x {value}")
    for name in ("group_ratio", "channel_ratio"):
        if log.get(name, 1) != 1:
            click.echo(f"  {name}: x {log[name]}")
    failed = f"; {charge['failed']}" if "failed" in charge else ""
    click.echo(f"  total: ${charge['usd']} = {charge['quota']} units{failed}")
