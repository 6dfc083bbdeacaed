"""What the log row says of a charge in the words of New API's consoles.

Takes a Rule and its Bill; gives the keys of ``other``: ratios beside dollars for rules of either notation. Ratios of a
rule in dollars are worked out, to show them; nothing is charged by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.ledger.pricing.charging import Bill
from engine.ledger.pricing.rules import Rule, Share


def facts(rule: Rule, usage: Mapping[str, Any], bill: Bill, share: Share) -> dict[str, Any]:
    """The keys of ``other`` for one charge."""
    members = dict(share.told)
    if bill.scale:
        members["model_price"] = float(Decimal(str(members["model_price"])) * Decimal(bill.scale))
    get = usage.get
    cached, short, long = get("cache_read") or 0, get("cache_write_5m") or 0, get("cache_write_1h") or 0
    members["cache_tokens"] = cached
    if short or long:
        members["cache_creation_tokens"] = members["cache_write_tokens"] = short + long
        members["cache_creation_tokens_5m"], members["cache_creation_tokens_1h"] = short, long
    if get("input_image") or get("input_audio") or get("output_audio"):
        _media(rule, usage, members)
    if bill.surcharges:
        members["tool_surcharges"] = bill.surcharges
    if bill.tier:
        members["matched_tier"] = bill.tier
    return members


def _media(rule: Rule, usage: Mapping[str, Any], members: dict[str, Any]) -> None:
    image, input_audio, output_audio = (usage.get(name) or 0 for name in ("input_image", "input_audio", "output_audio"))
    ratio = rule.ratio
    if image:
        members |= {"image": True, "image_output": image}
        if ratio is not None:
            members["image_ratio"] = float(ratio.image)
    if ratio is None or not (input_audio or output_audio):
        return
    if ratio.audio is not None:
        members |= {"audio": True, "audio_input": input_audio, "audio_output": output_audio}
        members["text_input"] = max(0, (usage.get("input_total") or 0) - input_audio)
        members["text_output"] = max(0, (usage.get("output_total") or 0) - output_audio)
        members |= {"audio_ratio": float(ratio.audio), "audio_completion_ratio": float(ratio.audio_completion)}
    elif ratio.audio_price is not None:
        members |= {"audio_input_seperate_price": True, "audio_input_token_count": input_audio}
        members["audio_input_price"] = float(ratio.audio_price)
