"""What the log row says of a charge in the words of New API's consoles.

Takes a Rule and its Bill; gives the keys of ``other``: ratios beside dollars for rules of either notation. Ratios of a
rule in dollars are worked out, to show them; nothing is charged by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.ledger.charging import Bill
from engine.ledger.rules import Rule, Share


def facts(rule: Rule, usage: Mapping[str, Any], bill: Bill, share: Share) -> dict[str, Any]:
    """The keys of ``other`` for one charge."""
    told = dict(share.told)
    if bill.scale:
        told["model_price"] = float(Decimal(str(told["model_price"])) * Decimal(bill.scale))
    get = usage.get
    read, short, long = get("cache_read") or 0, get("cache_write_5m") or 0, get("cache_write_1h") or 0
    told["cache_tokens"] = read
    if short or long:
        told["cache_creation_tokens"] = told["cache_write_tokens"] = short + long
        told["cache_creation_tokens_5m"], told["cache_creation_tokens_1h"] = short, long
    if get("input_image") or get("input_audio") or get("output_audio"):
        _media(rule, usage, told)
    if bill.surcharges:
        told["tool_surcharges"] = bill.surcharges
    if bill.tier:
        told["matched_tier"] = bill.tier
    return told


def _media(rule: Rule, usage: Mapping[str, Any], told: dict[str, Any]) -> None:
    image, spoken, said = (usage.get(name) or 0 for name in ("input_image", "input_audio", "output_audio"))
    ratio = rule.ratio
    if image:
        told |= {"image": True, "image_output": image}
        if ratio is not None:
            told["image_ratio"] = float(ratio.image)
    if ratio is None or not (spoken or said):
        return
    if ratio.audio is not None:
        told |= {"audio": True, "audio_input": spoken, "audio_output": said}
        told["text_input"] = max(0, (usage.get("input_total") or 0) - spoken)
        told["text_output"] = max(0, (usage.get("output_total") or 0) - said)
        told |= {"audio_ratio": float(ratio.audio), "audio_completion_ratio": float(ratio.audio_completion)}
    elif ratio.audio_price is not None:
        told |= {"audio_input_seperate_price": True, "audio_input_token_count": spoken}
        told["audio_input_price"] = float(ratio.audio_price)
