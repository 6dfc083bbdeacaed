"""Options of a database of the family as prices and a policy: ratios as they are, so that every charge is the same.

``carry(draft, program, options, served)`` adds to the draft; options that nothing here carries are told by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.ledger.pricing.book import Book
from engine.ledger.pricing.rules import Ratio, Rule
from engine.moving.draft import Draft
from engine.program import Program
from engine.storage.values import QUOTA_PER_UNIT

_CARRIED = frozenset(
    (
        *("ModelRatio", "ModelPrice", "CompletionRatio", "CacheRatio", "CreateCacheRatio", "ImageRatio", "AudioRatio"),
        *("AudioCompletionRatio", "GroupRatio", "GroupGroupRatio", "tool_price_setting.prices", "RetryTimes"),
        *("billing_setting.billing_mode", "billing_setting.billing_expr", "SelfUseModeEnabled", "QuotaPerUnit"),
    )
)
_RETRIES = 20


def carry(draft: Draft, program: Program, options: Mapping[str, str], served: set[str]) -> None:
    """See the module."""
    book = Book(program, options)
    for fault in book.faults:
        draft.leave("options", fault)
    known = {name for table in ("model", "price") for name in book.options.tables[table]} | set(
        book.options.expressions
    )
    _prices(draft, book, sorted(known | served))
    _factors(draft, book)
    if (times := (options.get("RetryTimes") or "").strip()).isdigit():
        draft.policy["retries"] = {"times": min(int(times), _RETRIES)}
    if book.options.unit != QUOTA_PER_UNIT:
        draft.leave(
            "options QuotaPerUnit", f"is {book.options.unit}", "set the same option where the gateway keeps its books"
        )
    for name in sorted(set(options) - _CARRIED):
        if options[name]:
            draft.leave(f"options {name}", "is no part of documents", "it stays where it is if the database is kept")


def _prices(draft: Draft, book: Book, models: list[str]) -> None:
    """The rules that the options give, those of one price together."""
    rules: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for model in models:
        rule = book.find(model)
        if rule is None or rule.name != "options":
            continue
        data = _rule(draft, book, rule, model)
        rules.setdefault(repr(data), (data, []))[1].append(model)
    draft.prices += [{"names": names, **data} for data, names in rules.values()]


def _rule(draft: Draft, book: Book, rule: Rule, model: str) -> dict[str, Any]:
    if rule.expression is not None:
        return {"ratio": {"expression": book.options.expressions[_told_as(book, model)]}}
    ratio = rule.ratio
    assert ratio is not None
    data: dict[str, Any] = {"ratio": _ratio(ratio)}
    if rule.uses:
        data["uses"] = dict(rule.uses)
    if rule.pictures:
        draft.leave(f"options ModelPrice {model!r}", "its factors by size and quality of pictures", "say `pictures`")
    if ratio.audio_price is not None:
        draft.leave(f"options ModelRatio {model!r}", "the price of sound in its input", "say `tokens.input_audio`")
    if ratio.cost is not None:
        draft.leave(f"options ModelRatio {model!r}", "writes to a cache that are worked out of an upstream's charge")
    return data


def _told_as(book: Book, model: str) -> str:
    return next(name for name in (model, *book.options._folded(model)) if name in book.options.expressions)


def _ratio(ratio: Ratio) -> dict[str, Any]:
    if ratio.price is not None:
        return {"price": _amount(ratio.price)}
    data = {"model": ratio.model or Decimal(0), "completion": ratio.completion, "cache": ratio.cache}
    data |= {"cacheWrite": ratio.cache_write, "image": ratio.image}
    if ratio.audio is not None:
        data |= {"audio": ratio.audio, "audioCompletion": ratio.audio_completion}
    usual = {"completion": 1, "cache": 1, "cacheWrite": Decimal("1.25"), "image": 1}
    return {name: _amount(value) for name, value in data.items() if name not in usual or value != usual[name]}


def _factors(draft: Draft, book: Book) -> None:
    """Factors of groups and prices of tools, for all models."""
    tables = {
        "groups": {name: _amount(value) for name, value in book.options.groups.items()},
        "userGroups": {
            user: {name: _amount(value) for name, value in table.items()} for user, table in book.options.pairs.items()
        },
        "tools": {name: _amount(value) for name, value in book.options.tools.items() if ":" not in name},
    }
    draft.shared |= {name: table for name, table in tables.items() if table}
    for name in book.options.tools:
        if ":" in name:
            draft.leave(f"options tool_price_setting.prices {name!r}", "a price for single models", "say `tools` there")


def _amount(value: Decimal) -> int | float | str:
    """A number that YAML writes with the same digits; else its text."""
    if value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)
