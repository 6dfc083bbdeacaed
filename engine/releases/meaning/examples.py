"""Three example calls, and what a rule charges for them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.hub import usage as counting
from engine.ledger.pricing.book import Book, Rule

EXAMPLES: Mapping[str, Mapping[str, int]] = {
    "1,000 tokens in, 1,000 out": {"input_fresh": 1000, "output_text": 1000},
    "50,000 in (40,000 of them cached), 2,000 out": {"input_fresh": 10000, "cache_read": 40000, "output_text": 2000},
    "250,000 in, 4,000 out and 8,000 of thought": {"input_fresh": 250000, "output_text": 4000, "reasoning": 8000},
}


def charges(book: Book, rule: Rule | None) -> dict[str, str] | None:
    """Dollars of each example; nothing where no price is in force."""
    if rule is None:
        return None
    return {words: short(book.charge(rule, _usage(buckets), group="").usd) or "" for words, buckets in EXAMPLES.items()}


def _usage(buckets: Mapping[str, int]) -> dict[str, Any]:
    usage: dict[str, Any] = {**counting.EMPTY, **buckets}
    usage["input_total"] = usage["input_fresh"] + usage["cache_read"]
    usage["output_total"] = usage["output_text"] + usage["reasoning"]
    usage["total"] = usage["input_total"] + usage["output_total"]
    return usage


def short(amount: Decimal | None) -> str | None:
    """An amount without the zeros at its end."""
    if amount is None:
        return None
    text = f"{amount:.9f}".rstrip("0")
    return text + "0" if text.endswith(".") else text
