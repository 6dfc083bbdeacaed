"""New API's ratios: its formulas as prices of buckets, and how a usage is split for them.

Ratio 1 is one unit of quota for each token of input, whatever a dollar is worth. Its formulas differ from ours in small
ways that are kept to the unit: pictures count whole beside what is cached, a price of sound sets the caches aside, and
counts that are told larger than what they stand in are charged as told.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.ledger.pricing.amounts import MILLION, ONE, ZERO, add, divide, multiply, plain, rounded, subtract
from engine.ledger.pricing.rules import Price, Ratio, Rule
from engine.program.prices import decimal

WRITE_1H = divide(Decimal(6), Decimal("3.75"))
"""Writing for an hour, to writing for five minutes; fixed."""
_TOLD = ("cache_read", "cache_write_5m", "cache_write_1h", "input_image", "input_audio", "output_audio")
_NOTHING: Mapping[str, int] = {}


def ratio_prices(rule: Rule, ratio: Ratio) -> None:
    """Give a rule the prices that its ratios mean."""
    rule.ratio = ratio
    if ratio.price is not None:
        rule.call = Price(multiply(ratio.price, rule.unit), plain(ratio.price))
        return
    model = ratio.model or ZERO
    audio = multiply(model, ratio.audio or ONE)
    amounts = {
        "input": model,
        "output": multiply(model, ratio.completion),
        "cache_read": multiply(model, ratio.cache),
        "cache_write_5m": multiply(model, ratio.cache_write),
        "cache_write_1h": multiply(multiply(model, ratio.cache_write), WRITE_1H),
        "input_image": multiply(model, ratio.image),
    }
    if ratio.audio is not None:
        amounts |= {"input_audio": audio, "output_audio": multiply(audio, ratio.audio_completion)}
    elif ratio.audio_price is not None:
        amounts["input_audio"] = divide(multiply(ratio.audio_price, rule.unit), MILLION)
    rule.prices = {name: Price(amount, _per_million(amount, rule.unit)) for name, amount in amounts.items()}


def _per_million(amount: Decimal, unit: Decimal) -> str:
    dollars = divide(multiply(amount, MILLION), unit)
    return plain(dollars.quantize(Decimal("1e-9")) if dollars.as_tuple().exponent < -9 else dollars)  # type: ignore[operator]


def split(rule: Rule, ratio: Ratio, usage: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The units of each price, by New API's formulas."""
    get, beyond = usage.get, usage.get("beyond") or _NOTHING
    fresh = (get("input_fresh") or 0) + (get("tool_use_input") or 0)
    cached, short, long, image, input_audio, output_audio = ((get(name) or 0) + beyond.get(name, 0) for name in _TOLD)
    output = get("output_total") or 0
    if ratio.audio is not None and (input_audio or output_audio):
        return [
            ("input", max(0, (get("input_total") or 0) - input_audio)),
            ("input_audio", input_audio),
            ("output", max(0, output - output_audio)),
            ("output_audio", output_audio),
        ]
    input_audio = input_audio if ratio.audio_price is not None else 0
    if ratio.cost is not None and not short and not long:
        written = written_by_cost(rule, ratio, usage, fresh + cached, output)
        short, fresh = written, fresh - written
    return [
        ("input", max(0, fresh - image - input_audio)),
        ("cache_read", cached),
        ("cache_write_5m", short),
        ("cache_write_1h", long),
        ("input_image", image),
        ("input_audio", input_audio),
        ("output", output),
    ]


def written_by_cost(rule: Rule, ratio: Ratio, usage: Mapping[str, Any], prompt: int, output: int) -> int:
    """Tokens written to a cache, from what the upstream says that it charged; 0 if it says nothing."""
    upstream_cost = ratio.cost([], usage) if ratio.cost else None
    cost, model = decimal(upstream_cost), ratio.model
    if not cost or not model or ratio.cache_write == ONE:
        return 0
    per_token = divide(model, rule.unit)
    cached = Decimal(usage.get("cache_read") or 0)
    rest = subtract(cost, multiply(Decimal(prompt), per_token))
    rest = add(rest, multiply(cached, subtract(per_token, multiply(per_token, ratio.cache))))
    rest = subtract(rest, multiply(multiply(Decimal(output), per_token), ratio.completion))
    written = rounded(divide(rest, subtract(multiply(per_token, ratio.cache_write), per_token)))
    return min(max(0, written), max(0, prompt - int(cached)))
