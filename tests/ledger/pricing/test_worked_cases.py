"""Worked cases: for every formula of New API, what it charges to the unit. Each row's sum stands beside it.

P prompt, C completion, K cached, W written, I pictures, A sound; r model ratio, g group ratio; 1 USD is 500,000 units.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.ledger.books import beside, book, inside, nothing

GPT = {"ModelRatio": {"gpt-4o": 1.25}, "CompletionRatio": {"gpt-4o": 4}, "CacheRatio": {"gpt-4o": 0.5}}
CLAUDE = {"ModelRatio": {"claude-sonnet-4-5": 1.5}, "CacheRatio": {"claude-sonnet-4-5": 0.1}}
ONE = {"ModelRatio": {"m": 1}}
GROUPS = {"GroupRatio": {"default": 1, "vip": 0.8, "dear": 1.5, "free": 0}}
PAIRS = GROUPS | {"GroupGroupRatio": {"vip": {"dear": 1.1, "zero": 0}}}
CALL = {"ModelPrice": {"dall-e-3": 0.04, "dall-e-2": 0.02, "per-call": 0.1, "free-call": 0, "tiny": "0.0000004"}}
TIERS = (
    'len <= 200000 ? tier("short", p * 3 + c * 15 + cr * 0.3 + cc * 3.75)'
    ' : tier("long", p * 6 + c * 22.5 + cr * 0.6 + cc * 7.5)'
)


def expression(text: str) -> dict[str, Any]:
    return {
        "billing_setting.billing_mode": {"m": "tiered_expr"},
        "billing_setting.billing_expr": {"m": text},
        "ModelRatio": {"m": 99},
    }


@dataclass(frozen=True)
class Case:
    name: str
    quota: int
    model: str
    options: dict[str, Any]
    usage: dict[str, Any]
    group: str = "default"
    user_group: str = "default"
    request: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    now: float = 1_780_000_000.0


def audio(**options: Any) -> dict[str, Any]:
    return {"ModelRatio": {"m": 1.25}, "CompletionRatio": {"m": 4}, "AudioRatio": {"m": 16}, **options}


CASES = [
    # 1. Units.
    Case("ratio 1 is one unit a token", 1000, "m", ONE, inside(p=1000)),
    Case("ratio 1 is $2 per million: 2 * 500,000", 1_000_000, "m", ONE, inside(p=1_000_000)),
    Case("a price of $1 is 500,000", 500_000, "m", {"ModelPrice": {"m": 1}}, inside(p=1)),
    Case(
        "QuotaPerUnit changes prices", 1_000_000, "m", {"ModelPrice": {"m": 1}, "QuotaPerUnit": "1000000"}, inside(p=1)
    ),
    Case("QuotaPerUnit leaves ratios alone", 1000, "m", ONE | {"QuotaPerUnit": "1000000"}, inside(p=1000)),
    # 2. Which formula.
    Case("an expression goes before ratios: 1000 * 3 / 2", 1500, "m", expression("p * 3"), inside(p=1000)),
    Case("a price goes before a ratio", 50_000, "m", ONE | {"ModelPrice": {"m": 0.1}}, inside(p=1000)),
    Case(
        "an expression goes before a price: 1000 * 3 / 2",
        1500,
        "m",
        expression("p * 3") | {"ModelPrice": {"m": 0.1}},
        inside(p=1000),
    ),
    Case("a folded name", 50_000, "gpt-4-gizmo-abc", {"ModelPrice": {"gpt-4-gizmo-*": 0.1}}, inside(p=9)),
    Case(
        "the name itself before its fold",
        5,
        "gpt-4-gizmo-a",
        {"ModelPrice": {"gpt-4-gizmo-*": 1, "gpt-4-gizmo-a": "0.00001"}},
        inside(p=9),
    ),
    Case(
        "a compaction's own key",
        7,
        "x-openai-compact",
        {"ModelRatio": {"x-openai-compact": 1, "*-openai-compact": 2}},
        inside(p=7),
    ),
    Case("any compaction", 14, "x-openai-compact", {"ModelRatio": {"*-openai-compact": 2}}, inside(p=7)),
    Case("a compaction by price", 50_000, "x-openai-compact", {"ModelPrice": {"*-openai-compact": 0.1}}, inside(p=7)),
    Case(
        "a folded name of the other kind",
        50_000,
        "gpt-4o-gizmo-x",
        {"ModelPrice": {"gpt-4o-gizmo-*": 0.1}},
        inside(p=9),
    ),
    Case(
        "a thinking budget is folded; its completion by the rule of its fold: (100 + 10*8) * 0.625 = 112.5",
        113,
        "gemini-2.5-pro-thinking-8192",
        {"ModelRatio": {"gemini-2.5-pro-thinking-*": 0.625}},
        inside(p=100, c=10),
    ),
    Case(
        "... of the lite model, not of the other: (100 + 10*4) * 0.05 = 7",
        7,
        "gemini-2.5-flash-lite-preview-thinking-512",
        {"ModelRatio": {"gemini-2.5-flash-lite-thinking-*": 0.05, "gemini-2.5-flash-thinking-*": 9}},
        inside(p=100, c=10),
    ),
    Case("self-use: a model without a price is 37.5", 3750, "m", {"SelfUseModeEnabled": "true"}, inside(p=100)),
    Case("... but one with a price has that", 100, "m", ONE | {"SelfUseModeEnabled": "true"}, inside(p=100)),
    Case(
        "... and its completion is the model's: (10 + 10*5) * 37.5",
        2250,
        "claude-new",
        {"SelfUseModeEnabled": "true"},
        inside(p=10, c=10),
    ),
    # 2.1 Groups.
    Case("group 0.8", 800, "m", ONE | GROUPS, inside(p=1000), group="vip"),
    Case("a group without ratio is 1", 1000, "m", ONE | GROUPS, inside(p=1000), group="other"),
    Case("the user's group to the key's: 1.1, not 1.5", 1100, "m", ONE | PAIRS, inside(p=1000), "dear", "vip"),
    Case("no pair for this user group: 1.5", 1500, "m", ONE | PAIRS, inside(p=1000), "dear", "default"),
    Case("a free group", 0, "m", ONE | GROUPS, inside(p=1000), group="free"),
    Case("a pair of 0 is free too", 0, "m", ONE | PAIRS, inside(p=1000), "zero", "vip"),
    Case(
        "a pair of groups holds for prices: 50,000 * 1.1", 55_000, "per-call", CALL | PAIRS, inside(p=1), "dear", "vip"
    ),
    Case(
        "... and for tools: (1000 + 5000) * 1.1",
        6600,
        "m",
        ONE | PAIRS,
        inside(p=1000) | {"calls": {"web_search": 1}},
        "dear",
        "vip",
    ),
    Case(
        "a pair for the user's own group",
        500,
        "m",
        ONE | {"GroupGroupRatio": {"vip": {"vip": 0.5}}},
        inside(p=1000),
        "vip",
        "vip",
    ),
    # 3. Tokens, caches inside the input.
    Case("(1000 + 500*4) * 1.25", 3750, "gpt-4o", GPT, inside(p=1000, c=500)),
    Case("(1000-600 + 600*0.5 + 500*4) * 1.25", 3375, "gpt-4o", GPT, inside(p=1000, k=600, c=500)),
    Case(
        "written: (1000-200-300 + 200*0.5 + 300*1.25 + 100*4) * 1.25 = 1718.75",
        1719,
        "gpt-4o",
        GPT,
        inside(p=1000, k=200, w=300, c=100),
    ),
    Case(
        "an own write ratio: (1000-300 + 300*2) * 1.25",
        1625,
        "gpt-4o",
        GPT | {"CreateCacheRatio": {"gpt-4o": 2}},
        inside(p=1000, w=300),
    ),
    Case("no cache ratio is 1", 1000, "m", ONE | {"CacheRatio": {}}, inside(p=1000, k=600)),
    Case(
        "no write ratio is 1.25: 1000-600 + 600*1.25",
        1150,
        "m",
        ONE | {"CreateCacheRatio": {}},
        inside(p=1000, w=600),
    ),
    Case("a cache ratio of 0 is free: 1000-600", 400, "m", ONE | {"CacheRatio": {"m": 0}}, inside(p=1000, k=600)),
    Case(
        "more cached and written than there was: max(0, 100-80-50) + 80*0.5 + 50*1.25 = 102.5",
        103,
        "m",
        ONE | {"CacheRatio": {"m": 0.5}},
        inside(p=100, k=80, w=50),
    ),
    Case(
        "more cached than there was: max(0, 100-120) + 120*0.5 + 10*2",
        80,
        "m",
        ONE | {"CacheRatio": {"m": 0.5}, "CompletionRatio": {"m": 2}},
        inside(p=100, k=120, c=10),
    ),
    Case(
        "all of it cached: 0 + 100*0.1 + 7*5 = 45, * 1.5 = 67.5",
        68,
        "claude-sonnet-4-5",
        CLAUDE,
        inside(p=100, k=100, c=7),
    ),
    Case("thought is completion: (10 + 100*4) * 1.25 = 512.5", 513, "gpt-4o", GPT, inside(p=10, c=100, t=80)),
    Case(
        "pictures: (1000-400 + 400*2) * 2.5",
        3500,
        "gpt-image-1",
        {"ModelRatio": {"gpt-image-1": 2.5}},
        inside(p=1000, i=400),
    ),
    Case("pictures by option: 600 + 400*3", 1800, "m", ONE | {"ImageRatio": {"m": 3}}, inside(p=1000, i=400)),
    Case(
        "pictures are charged whole beside what is cached: max(0, 100-90-50) + 90*0.5 + 50*3 = 195",
        195,
        "m",
        ONE | {"CacheRatio": {"m": 0.5}, "ImageRatio": {"m": 3}},
        inside(p=100, k=90, i=50),
    ),
    Case("sound without any price of its own is text", 1000, "m", ONE, inside(p=1000, a=300)),
    Case(
        "tools' input counts as prompt: (100 + 40) * 1",
        140,
        "m",
        ONE,
        nothing(input_fresh=100, tool_use_input=40, input_total=140, total=140),
    ),
    Case(
        "pictures and sound out are completion: (10 + 100*4) * 1.25 = 512.5",
        513,
        "gpt-4o",
        GPT,
        inside(p=10, c=100, io=60),
    ),
    Case(
        "more pictures than there was: max(0, 100-150) + 150*2",
        300,
        "m",
        ONE | {"ImageRatio": {"m": 2}},
        inside(p=100, i=150),
    ),
    Case(
        "picture, cache and write together: (1000-200-100-300 + 200*0.5 + 300*3 + 100*2 + 50*4) * 1.5 * 0.8",
        2160,
        "m",
        {"ModelRatio": {"m": 1.5}, "CompletionRatio": {"m": 4}, "CacheRatio": {"m": 0.5}, "ImageRatio": {"m": 3}}
        | {"CreateCacheRatio": {"m": 2}}
        | GROUPS,
        inside(p=1000, k=200, w=100, i=300, c=50),
        "vip",
    ),
    Case("n pictures: 10 * 1 * 3", 30, "m", ONE, inside(p=10) | {"factors": {"n": 3}}),
    Case(
        "several other ratios: 10 * 4 * 1.666667 = 66.66668",
        67,
        "m",
        ONE,
        inside(p=10) | {"factors": {"seconds": 4, "size": "1.666667"}},
    ),
    Case(
        "pictures without usage count as one token: 1 * 2.5, a half goes up",
        3,
        "gpt-image-1",
        {"ModelRatio": {"gpt-image-1": 2.5}},
        inside(p=1),
    ),
    Case(
        "... and n of them as one token times n: 1 * 2.5 * 3 = 7.5",
        8,
        "gpt-image-1",
        {"ModelRatio": {"gpt-image-1": 2.5}},
        inside(p=1) | {"factors": {"n": 3}},
    ),
    # 3. Tokens, caches beside the input.
    Case("(1000 + 2000*0.1 + 500*5) * 1.5", 5550, "claude-sonnet-4-5", CLAUDE, beside(p=1000, k=2000, c=500)),
    Case("minutes: (100 + 1000*1.25) * 1.5", 2025, "claude-sonnet-4-5", CLAUDE, beside(p=100, w=1000, w5=1000)),
    Case(
        "an hour is 1.6 times that: (100 + 1000*1.25*1.6) * 1.5",
        3150,
        "claude-sonnet-4-5",
        CLAUDE,
        beside(p=100, w=1000, w1=1000),
    ),
    Case(
        "rest, minutes and hour: (10 + 300*1.25 + 700*1.25*1.6) * 1.5 = 2677.5",
        2678,
        "claude-sonnet-4-5",
        CLAUDE,
        beside(p=10, w=1000, w5=200, w1=700),
    ),
    Case(
        "an own write ratio takes the hour along: (10 + 100*2*1.6) * 1.5",
        495,
        "claude-sonnet-4-5",
        CLAUDE | {"CreateCacheRatio": {"claude-sonnet-4-5": 2}},
        beside(p=10, w=100, w1=100),
    ),
    Case(
        "read and written may be larger than the input: (1 + 90,000*0.1 + 500*1.25 + 3*5) * 1.5 = 14,461.5",
        14_462,
        "claude-sonnet-4-5",
        CLAUDE,
        beside(p=1, k=90_000, w=500, w5=500, c=3),
    ),
    Case("only read: 5 * 0.1 * 1.5 = 0.75", 1, "claude-sonnet-4-5", CLAUDE, beside(k=5)),
    Case(
        "only read, and next to nothing: 1 * 0.1 * 1.5 = 0.15, but at least 1",
        1,
        "claude-sonnet-4-5",
        CLAUDE,
        beside(k=1),
    ),
    Case(
        "cost of 1700 q: W = (1700 - 2000 + 900 - 500) / 0.25 = 400; (600 + 100 + 500 + 500) * 1.5",
        2550,
        "claude-sonnet-4-5",
        CLAUDE,
        inside(p=2000, k=1000, c=100) | {"raw": {"cost": 0.0051}},
    ),
    Case(
        "W = (500 - 300) / 0.25 is more than there was: 300 * 1.25 * 1.5 = 562.5",
        563,
        "claude-sonnet-4-5",
        CLAUDE,
        inside(p=300) | {"raw": {"cost": 0.0015}},
    ),
    Case(
        "a cost below what the tokens are worth infers nothing: (300 + 20*5) * 1.5",
        600,
        "claude-sonnet-4-5",
        CLAUDE,
        inside(p=300, c=20) | {"raw": {"cost": 0.0001}},
    ),
    Case(
        "W is rounded: (cost 1233.6 q - 1200) / 0.25 = 134.4; (1200-134 + 134*1.25) * 1.5 = 1850.25",
        1850,
        "anthropic/claude-x",
        {"ModelRatio": {"anthropic/claude-x": 1.5}},
        inside(p=1200) | {"raw": {"cost": "0.0037008"}},
    ),
    Case(
        "written tokens that are told are not inferred: (1000-300 + 300*1.25) * 1.5 = 1612.5",
        1613,
        "claude-sonnet-4-5",
        CLAUDE,
        inside(p=1000, w=300) | {"raw": {"cost": 9}},
    ),
    Case("a cost means nothing for other models", 1000, "m", ONE, inside(p=1000) | {"raw": {"cost": 9}}),
    # 3. Completion ratios: what the code fixes, and what the option may say.
    Case(
        "a fixed rule that is locked beats the option: (10 + 10*8) * 1",
        90,
        "gpt-5-mini",
        {"ModelRatio": {"gpt-5-mini": 1}, "CompletionRatio": {"gpt-5-mini": 2}},
        inside(p=10, c=10),
    ),
    Case(
        "with a slash the option goes first: 10 + 10*2",
        30,
        "x/gpt-5",
        {"ModelRatio": {"x/gpt-5": 1}, "CompletionRatio": {"x/gpt-5": 2}},
        inside(p=10, c=10),
    ),
    Case(
        "an open rule gives way to the option: 10 + 10*3",
        40,
        "gpt-4.1",
        {"ModelRatio": {"gpt-4.1": 1}, "CompletionRatio": {"gpt-4.1": 3}},
        inside(p=10, c=10),
    ),
    Case(
        "an open rule holds where the option is silent: 10 + 10*2",
        30,
        "gpt-4.1",
        {"ModelRatio": {"gpt-4.1": 1}},
        inside(p=10, c=10),
    ),
    Case("else 1", 20, "m", ONE, inside(p=10, c=10)),
    Case(
        "with a slash and no option the rules of the name don't fit: 10 + 10*1",
        20,
        "x/gpt-5",
        {"ModelRatio": {"x/gpt-5": 1}},
        inside(p=10, c=10),
    ),
    Case("6.25: (10 + 100*6.25) * 1", 635, "gpt-5.4-nano", {"ModelRatio": {"gpt-5.4-nano": 1}}, inside(p=10, c=100)),
    Case(
        "gpt-5 with a dot is none of the locked: 10 + 10*3",
        40,
        "gpt-5.1",
        {"ModelRatio": {"gpt-5.1": 1}, "CompletionRatio": {"gpt-5.1": 3}},
        inside(p=10, c=10),
    ),
    Case(
        "a picture model of its own: 10 + 10*60",
        610,
        "gemini-3-pro-image-preview",
        {"ModelRatio": {"gemini-3-pro-image-preview": 1}},
        inside(p=10, c=10),
    ),
    # 3. Rounding.
    Case("a half goes away from zero: 2.5", 3, "m", {"ModelRatio": {"m": 0.5}}, inside(p=5)),
    Case("just below a half goes down: 2.49", 2, "m", {"ModelRatio": {"m": 0.83}}, inside(p=3)),
    Case("once, at the end: 0.3 + 0.3*1 = 0.6, not 0 + 0", 1, "m", {"ModelRatio": {"m": 0.3}}, inside(p=1, c=1)),
    Case(
        "exact decimals: 1.005 * 100 = 100.5, which a float has below",
        101,
        "m",
        {"ModelRatio": {"m": 1.005}},
        inside(p=100),
    ),
    Case(
        "8.33: (100 + 100*8.33) * 0.15 = 139.95",
        140,
        "gemini-2.5-flash",
        {"ModelRatio": {"gemini-2.5-flash": 0.15}},
        inside(p=100, c=100),
    ),
    Case("at least 1", 1, "m", {"ModelRatio": {"m": 0.01}}, inside(p=1)),
    Case(
        "at least 1 also when only output that is free was made",
        1,
        "m",
        ONE | {"CompletionRatio": {"m": 0}},
        inside(c=10),
    ),
    Case("a ratio of 0 is free", 0, "m", {"ModelRatio": {"m": 0}}, inside(p=1000)),
    Case("no usage at all: 0", 0, "m", ONE, nothing()),
    Case("no usage but a tool: 10 per 1000", 5000, "m", ONE, nothing(calls={"web_search": 1})),
    Case(
        "a ratio of 0 and a tool: the tool",
        5000,
        "m",
        {"ModelRatio": {"m": 0}},
        inside(p=10) | {"calls": {"web_search": 1}},
    ),
    Case(
        "a free group pays for no tool either",
        0,
        "m",
        ONE | GROUPS,
        inside(p=10) | {"calls": {"web_search": 1}},
        "free",
    ),
    Case(
        "a group's factor can bring it below one: 1 * 0.3 is 1",
        1,
        "m",
        ONE | {"GroupRatio": {"g": 0.3}},
        inside(p=1),
        "g",
    ),
    Case("a half by the group's factor: 5 * 0.5", 3, "m", ONE | {"GroupRatio": {"g": 0.5}}, inside(p=5), "g"),
    Case(
        "once, behind all factors: 3 * 1.1 * 4 * 0.75 = 9.9",
        10,
        "m",
        {"ModelRatio": {"m": 1.1}, "CompletionRatio": {"m": 1}, "GroupRatio": {"g": 0.75}},
        inside(p=3) | {"factors": {"n": 4}},
        "g",
    ),
    Case(
        "tokens and tool are rounded together: 0.3 + 0.25 = 0.55",
        1,
        "m",
        {"ModelRatio": {"m": 0.3}, "tool_price_setting.prices": {"lookup": "0.0005"}},
        inside(p=1) | {"calls": {"lookup": 1}},
    ),
    Case("no 32-bit bound", 30_000_000_000, "m", {"ModelRatio": {"m": 30}}, inside(p=1_000_000_000)),
    # 3.1 Sound.
    Case(
        "(800 + 100*4 + 200*16 + 50*16*2) * 1.25",
        7500,
        "m",
        audio(AudioCompletionRatio={"m": 2}),
        inside(p=1000, a=200, c=150, ao=50),
    ),
    Case(
        "audio completion 1 if unsaid: (200*16 + 50*16) * 1.25", 5000, "m", audio(), inside(p=200, a=200, c=50, ao=50)
    ),
    Case(
        "audio completion 0: (100) * 7.5, its sound is free",
        750,
        "tts-1",
        {"ModelRatio": {"tts-1": 7.5}, "AudioRatio": {"tts-1": 1}},
        inside(p=100, c=900, ao=900),
    ),
    Case(
        "cached tokens are not discounted: (1000-200 + 200*16) * 1.25",
        5000,
        "m",
        audio(CacheRatio={"m": 0.5}),
        inside(p=1000, k=500, a=200),
    ),
    Case(
        "without sound the token formula holds: (500 + 500*0.5) * 1.25 = 937.5",
        938,
        "m",
        audio(CacheRatio={"m": 0.5}),
        inside(p=1000, k=500),
    ),
    Case(
        "a model's fixed audio ratio: (100 + 100*16) * 1.25",
        2125,
        "gpt-4o-audio-preview",
        {"ModelRatio": {"gpt-4o-audio-preview": 1.25}},
        inside(p=200, a=100),
    ),
    Case("sound, at least 1", 1, "m", audio(ModelRatio={"m": 0.001}), inside(p=2, a=1)),
    Case(
        "sound by group: (100 + 100*16) * 1.25 * 0.8",
        1700,
        "m",
        audio() | GROUPS,
        inside(p=200, a=100),
        "vip",
    ),
    Case(
        "only sound in the output: (100 + 20*4 + 80*16*2) * 1.25",
        3425,
        "m",
        audio(AudioCompletionRatio={"m": 2}),
        inside(p=100, c=100, ao=80),
    ),
    Case(
        "an audio completion ratio alone makes it sound, at an audio ratio of 1: (100 + 10*4 + 90*0.5) * 1",
        185,
        "m",
        {"ModelRatio": {"m": 1}, "CompletionRatio": {"m": 4}, "AudioRatio": {}, "AudioCompletionRatio": {"m": 0.5}},
        inside(p=100, c=100, ao=90),
    ),
    Case(
        "speech: what is said is free, its text is not: 100 * 7.5",
        750,
        "tts-1-hd",
        {"ModelRatio": {"tts-1-hd": 7.5}},
        inside(p=100, c=900, ao=900),
    ),
    Case(
        "66.67: (100 + 100*66.67) * 0.075 = 507.525",
        508,
        "gpt-4o-mini-audio-preview",
        {"ModelRatio": {"gpt-4o-mini-audio-preview": 0.075}},
        inside(p=200, a=100),
    ),
    Case("sound and a tool: 2125 + 5000", 7125, "m", audio(), inside(p=200, a=100) | {"calls": {"web_search": 1}}),
    # 4. Per call.
    Case("0.1 * 500,000", 50_000, "per-call", CALL, inside(p=123_456, c=99)),
    Case("by group: 0.1 * 500,000 * 0.8", 40_000, "per-call", CALL | GROUPS, inside(p=1), group="vip"),
    Case("a price of 0 is free", 0, "free-call", CALL, inside(p=1000)),
    Case("a price has no least charge: 0.2", 0, "tiny", CALL, inside(p=1000)),
    Case("n = 2", 40_000, "dall-e-3", CALL, nothing(factors={"n": 2}), request={"size": "1024x1024"}),
    Case(
        "n, size, quality and group: 0.04 * 500,000 * 3 * 2 * 0.8",
        96_000,
        "dall-e-3",
        CALL | GROUPS,
        nothing(factors={"n": 2}),
        "vip",
        request={"size": "1792x1024", "quality": "hd"},
    ),
    Case("half a unit: 0.000001 * 500,000 = 0.5", 1, "m", {"ModelPrice": {"m": "0.000001"}}, inside(p=1)),
    Case("hd without a size * 2", 40_000, "dall-e-3", CALL, nothing(), request={"quality": "hd"}),
    Case("a size that it does not know * 1", 20_000, "dall-e-3", CALL, nothing(), request={"size": "auto"}),
    Case("1024x1024 * 1", 20_000, "dall-e-3", CALL, nothing(), request={"size": "1024x1024"}),
    Case("no size * 1", 20_000, "dall-e-3", CALL, nothing(), request={}),
    Case("1792x1024 * 2", 40_000, "dall-e-3", CALL, nothing(), request={"size": "1792x1024", "quality": "standard"}),
    Case("hd * 2", 40_000, "dall-e-3", CALL, nothing(), request={"size": "1024x1024", "quality": "hd"}),
    Case("hd and wide * 2 * 1.5", 60_000, "dall-e-3", CALL, nothing(), request={"size": "1024x1792", "quality": "hd"}),
    Case("256x256 * 0.4", 4_000, "dall-e-2", CALL, nothing(), request={"size": "256x256"}),
    Case("512x512 * 0.45", 4_500, "dall-e-2", CALL, nothing(), request={"size": "512x512"}),
    Case("other models: factor 1", 50_000, "per-call", CALL, nothing(), request={"size": "256x256"}),
    # 5.1 Tools.
    Case("10 per 1000: 1000 + 2 * 5000", 11_000, "m", ONE, inside(p=1000) | {"calls": {"web_search": 2}}),
    Case(
        "25 for some models: 1000 * 1.25 + 12,500",
        13_750,
        "gpt-4o",
        GPT,
        inside(p=1000) | {"calls": {"web_search_preview": 1}},
    ),
    Case(
        "the longest prefix: 25",
        12_501,
        "gpt-4o-mini-x",
        {"ModelRatio": {"gpt-4o-mini-x": 1}},
        inside(p=1) | {"calls": {"web_search_preview": 1}},
    ),
    Case("10 for the others", 5_001, "m", ONE, inside(p=1) | {"calls": {"web_search_preview": 1}}),
    Case(
        "a search-preview model: one search a request: 100 * 1.25 + 12,500",
        12_625,
        "gpt-4o-search-preview",
        {"ModelRatio": {"gpt-4o-search-preview": 1.25}},
        inside(p=100) | {"calls": {"web_search_preview": 1}},
    ),
    Case(
        "gpt-4.1: 25; gpt-5 and o3 have no such rule: 10",
        5_001,
        "gpt-5",
        {"ModelRatio": {"gpt-5": 1}},
        inside(p=1) | {"calls": {"web_search_preview": 1}},
    ),
    Case(
        "several tools: 100 + 2*5000 + 3*1250 + 7000",
        20_850,
        "m",
        ONE,
        inside(p=100) | {"calls": {"web_search": 2, "file_search": 3, "google_search": 1}},
    ),
    Case(
        "a function for a model's prefix, 0.5 per 1000: 1 + 7*250",
        1_751,
        "m",
        ONE | {"tool_price_setting.prices": {"lookup": 9, "lookup:m*": 0.5}},
        inside(p=1) | {"calls": {"lookup": 7}},
    ),
    Case("files: 2.5", 1_251, "m", ONE, inside(p=1) | {"calls": {"file_search": 1}}),
    Case("grounding: 14", 7_001, "m", ONE, inside(p=1) | {"calls": {"google_search": 1}}),
    Case("pictures made by a tool: 150", 75_001, "m", ONE, inside(p=1) | {"calls": {"image_generation": 1}}),
    Case(
        "by group: (1000 + 5000) * 0.8",
        4_800,
        "m",
        ONE | GROUPS,
        inside(p=1000) | {"calls": {"web_search": 1}},
        group="vip",
    ),
    Case(
        "other ratios are not for tools: 10 * 2 + 5000",
        5_020,
        "m",
        ONE,
        inside(p=10) | {"factors": {"n": 2}, "calls": {"web_search": 1}},
    ),
    Case(
        "the option's price: 20",
        10_001,
        "m",
        ONE | {"tool_price_setting.prices": {"web_search": 20}},
        inside(p=1) | {"calls": {"web_search": 1}},
    ),
    Case(
        "switched off by 0",
        1,
        "m",
        ONE | {"tool_price_setting.prices": {"web_search": 0}},
        inside(p=1) | {"calls": {"web_search": 3}},
    ),
    Case(
        "a function with a price",
        501,
        "m",
        ONE | {"tool_price_setting.prices": {"lookup": 1}},
        inside(p=1) | {"calls": {"lookup": 1}},
    ),
    Case("a function without one", 1, "m", ONE, inside(p=1) | {"calls": {"lookup": 9}}),
    Case(
        "an option for a model's prefix",
        15_001,
        "m",
        ONE | {"tool_price_setting.prices": {"web_search": 20, "web_search:m*": 30}},
        inside(p=1) | {"calls": {"web_search": 1}},
    ),
    Case("per call and a tool: 50,000 + 5000", 55_000, "per-call", CALL, inside(p=1) | {"calls": {"web_search": 1}}),
    # 5.2 Sound in the input by price: (1000-200) * 0.15 + 200 * $1 / 1e6 * 500,000.
    Case(
        "sound at $1 per million",
        220,
        "gemini-2.5-flash",
        {"ModelRatio": {"gemini-2.5-flash": 0.15}},
        inside(p=1000, a=200),
    ),
    Case(
        "... and by group: (120 + 100) * 0.8",
        176,
        "gemini-2.5-flash",
        {"ModelRatio": {"gemini-2.5-flash": 0.15}} | GROUPS,
        inside(p=1000, a=200),
        "vip",
    ),
    Case(
        "... at $0.70: 800 * 0.05 + 70",
        110,
        "gemini-2.0-flash",
        {"ModelRatio": {"gemini-2.0-flash": 0.05}},
        inside(p=1000, a=200),
    ),
    Case(
        "... which stands beside what is cached: max(0, 100-60-60)*0.15 + 60*0.15*1 + 30",
        39,
        "gemini-2.5-flash",
        {"ModelRatio": {"gemini-2.5-flash": 0.15}, "CacheRatio": {}},
        inside(p=100, k=60, a=60),
    ),
    Case(
        "... at $3 for native sound: 800 * 0.25 + 300",
        500,
        "gemini-2.5-flash-preview-native-audio-dialog",
        {"ModelRatio": {"gemini-2.5-flash-preview-native-audio-dialog": 0.25}},
        inside(p=1000, a=200),
    ),
    Case(
        "... at $0.50 for the lite preview: 800 * 0.05 + 50",
        90,
        "gemini-2.5-flash-preview-lite",
        {"ModelRatio": {"gemini-2.5-flash-preview-lite": 0.05}},
        inside(p=1000, a=200),
    ),
    Case(
        "... at $1 for the lite model, too, as its name begins so: 800 * 0.05 + 100",
        140,
        "gemini-2.5-flash-lite",
        {"ModelRatio": {"gemini-2.5-flash-lite": 0.05}},
        inside(p=1000, a=200),
    ),
    Case(
        "... and a model's own ratio of 0 leaves it: 200 * $1",
        100,
        "gemini-robotics-er-1.5-preview",
        {"ModelRatio": {"gemini-robotics-er-1.5-preview": 0}},
        inside(p=1000, a=200),
    ),
    Case(
        "... with QuotaPerUnit twice as large: 800 * 0.15 + 200",
        320,
        "gemini-2.5-flash",
        {"ModelRatio": {"gemini-2.5-flash": 0.15}, "QuotaPerUnit": "1000000"},
        inside(p=1000, a=200),
    ),
    # 5.3 The fee for a violation is a price per call: 0.05 * 500,000 * g.
    Case("violation fee", 20_000, "fee", {"ModelPrice": {"fee": 0.05}} | GROUPS, nothing(), group="vip"),
    # 6. Expressions.
    Case(
        "(700*3 + 100*15 + 200*0.3 + 100*3.75) / 2 = 2017.5",
        2018,
        "m",
        expression(TIERS),
        inside(p=1000, k=200, w=100, c=100),
    ),
    Case(
        "caches beside the input, the same: (700*3 + 100*15 + 60 + 375) / 2",
        2018,
        "m",
        expression(TIERS),
        beside(p=700, k=200, w=100, c=100),
    ),
    Case("at the threshold: 200,000 * 3 / 2", 300_000, "m", expression(TIERS), inside(p=200_000)),
    Case("above it: 200,001 * 6 / 2", 600_003, "m", expression(TIERS), inside(p=200_001)),
    Case(
        "len counts what is cached: (1 * 6 + 200,000 * 0.6) / 2",
        60_003,
        "m",
        expression(TIERS),
        inside(p=200_001, k=200_000),
    ),
    Case("by group: 1000 * 3 / 2 * 0.8", 1200, "m", expression("v1:p * 3") | GROUPS, inside(p=1000), "vip"),
    Case("what is not named stays in p: 1000 * 2 / 2", 1000, "m", expression("p * 2"), inside(p=1000, k=400)),
    Case("pictures out: (100-40)*8 + 40*30, / 2", 840, "m", expression("c * 8 + img_o * 30"), inside(c=100, io=40)),
    Case(
        "sound: ((100-40)*1 + 40*10 + (50-20)*2 + 20*20) / 2",
        460,
        "m",
        expression("p + ai*10 + c*2 + ao*20"),
        inside(p=100, a=40, c=50, ao=20),
    ),
    Case(
        "a field of the request: 100 * 2 / 2 * 2",
        200,
        "m",
        expression('param("service_tier") == "fast" ? p * 4 : p * 2'),
        inside(p=100),
        request={"service_tier": "fast"},
    ),
    Case(
        "a header: 100 * 6 / 2",
        300,
        "m",
        expression('has(header("X-Beta"), "long") ? p * 6 : p'),
        inside(p=100),
        headers={"x-beta": "long-context"},
    ),
    Case(
        "the hour: 2026-05-28 20:26 UTC is 4 in Shanghai: 100 * 1 / 2",
        50,
        "m",
        expression('hour("Asia/Shanghai") < 8 ? p : p * 2'),
        inside(p=100),
    ),
    Case("an expression has no least charge: 1 * 0.1 / 2", 0, "m", expression("p * 0.1"), inside(p=1)),
    Case("... and rounds halves up: 1 * 1 / 2", 1, "m", expression("p"), inside(p=1)),
    Case(
        "writes of both kinds: (700*3 + 100*3.75 + 200*6) / 2 = 1837.5",
        1838,
        "m",
        expression("p * 3 + cc * 3.75 + cc1h * 6"),
        beside(p=700, w=300, w5=100, w1=200),
    ),
    Case(
        "an hour without a price of its own is 1.6 times the minutes: (700*3 + (100 + 200*1.6)*3.75) / 2 = 1837.5",
        1838,
        "m",
        expression("p * 3 + cc * 3.75"),
        beside(p=700, w=300, w5=100, w1=200),
    ),
    Case(
        "what Claude read without a price of its own is input: (700 + 200) * 3 / 2",
        1350,
        "m",
        expression("p * 3"),
        beside(p=700, k=200),
    ),
    Case("pictures in: ((100-40)*2 + 40*5) / 2", 160, "m", expression("p * 2 + img * 5"), inside(p=100, i=40)),
    Case(
        "more than there was: (max(0, 100-80-50)*2 + 80 + 50*3) / 2",
        115,
        "m",
        expression("p * 2 + cr + cc * 3"),
        inside(p=100, k=80, w=50),
    ),
    Case("the prefix and no tier", 1500, "m", expression("v1: p * 3"), inside(p=1000)),
    Case("a minute: 20:26 UTC: 26 * 100 / 2", 1300, "m", expression("p * minute()"), inside(p=100)),
    Case(
        "a Thursday is 4, in Tokyo a Friday is 5: 9 * 100 / 2",
        450,
        "m",
        expression('p * (weekday() + weekday("Asia/Tokyo"))'),
        inside(p=100),
    ),
    Case("2026-05-28: (5 + 28) * 100 / 2", 1650, "m", expression("p * (month() + day())"), inside(p=100)),
    Case(
        "night over midnight by two comparisons: 4 in Shanghai: 100 * 0.5 * 2 / 2",
        50,
        "m",
        expression('p * 2 * (hour("Asia/Shanghai") >= 22 || hour("Asia/Shanghai") < 6 ? 0.5 : 1)'),
        inside(p=100),
    ),
    Case(
        "the size of a list: 3 * 100 / 2",
        150,
        "m",
        expression('p * param("messages.#")'),
        inside(p=100),
        request={"messages": [1, 2, 3]},
    ),
    Case(
        "an absent header is an empty text: 100 * 1 / 2",
        50,
        "m",
        expression('header("x-none") == "" ? p : p * 9'),
        inside(p=100),
    ),
    Case("a pair of groups: 100 * 2 / 2 * 1.1", 110, "m", expression("p * 2") | PAIRS, inside(p=100), "dear", "vip"),
    Case(
        "with QuotaPerUnit twice as large: 100 * 2",
        200,
        "m",
        expression("p * 2") | {"QuotaPerUnit": "1000000"},
        inside(p=100),
    ),
    Case("no usage: 0", 0, "m", expression("p * 2 + c"), nothing()),
    Case(
        "functions: max(1, 2) * 100 / 2 + ceil(0.2) - floor(0.9) - abs(-1)",
        100,
        "m",
        expression("max(1, 2) * p + ceil(0.2) - floor(0.9) - abs(-1)"),
        inside(p=100),
    ),
    Case(
        "a multiplier behind the bars: 100 * 2 / 2 * 3",
        300,
        "m",
        expression('p * 2 ||| param("n") == 3 ? 3 : 1'),
        inside(p=100),
        request={"n": 3},
    ),
    Case(
        "a rule behind the bars that holds, and one that does not: 100 * 2 / 2 * 6",
        600,
        "m",
        expression(
            'tier("base", p * 2)|||when(header("anthropic-beta") has "fast-mode") * 6 * when(param("n") == 3) * 5'
        ),
        inside(p=100),
        headers={"anthropic-beta": "x,fast-mode-2026"},
    ),
    Case(
        "other ratios multiply it, tools don't: 100 * 2 / 2 * 2 + 5000",
        5200,
        "m",
        expression("p * 2"),
        inside(p=100) | {"factors": {"n": 2}, "calls": {"web_search": 1}},
    ),
    Case("with a tool: 50 + 5000", 5_050, "m", expression("p"), inside(p=100) | {"calls": {"web_search": 1}}),
    # 9. What is counted here is priced like any other: 2 s of speech are 2/60 * 1000 = 33 tokens * 15.
    Case("transcription by counted tokens", 495, "whisper-1", {"ModelRatio": {"whisper-1": 15}}, inside(p=33)),
    # 10. Realtime is the audio formula, settled once.
    Case(
        "realtime: (50 + 20*4 + 100*8 + 60*8*2) * 2.5",
        4725,
        "rt",
        {
            "ModelRatio": {"rt": 2.5},
            "CompletionRatio": {"rt": 4},
            "AudioRatio": {"rt": 8},
            "AudioCompletionRatio": {"rt": 2},
        },
        inside(p=150, a=100, c=80, ao=60),
    ),
    # 11. Tasks.
    Case("a task by price: 0.1 * 500,000", 50_000, "mj_imagine", {"ModelPrice": {"mj_imagine": 0.1}}, nothing()),
    Case(
        "a task by ratio: 3 / 2 * 500,000 * 0.8 * 2",
        1_200_000,
        "m",
        {"ModelRatio": {"m": 3}} | GROUPS,
        nothing(task=True, factors={"seconds": 2}),
        group="vip",
    ),
    Case("a task of 0", 0, "mj_inpaint", {"ModelPrice": {"mj_inpaint": 0}}, nothing()),
    Case(
        "a task by price and group, with three other ratios: 0.5 * 500,000 * 0.8 * 10 * 1.666667 * 2 = 6,666,668",
        6_666_668,
        "sora-2-pro",
        {"ModelPrice": {"sora-2-pro": 0.5}} | GROUPS,
        nothing(factors={"seconds": 10, "size": "1.666667", "n": 2}),
        "vip",
    ),
    Case(
        "a task by ratio rounds once: 0.000003 / 2 * 500,000 = 0.75",
        1,
        "m",
        {"ModelRatio": {"m": "0.000003"}},
        nothing(task=True),
    ),
    Case(
        "a resolution of three digits: 0.15 * 500,000 * 8 * 2.333333 = 1,399,999.8",
        1_400_000,
        "veo-3.1-fast",
        {"ModelPrice": {"veo-3.1-fast": 0.15}},
        nothing(factors={"seconds": 8, "resolution": "2.333333"}),
    ),
    Case(
        "video: 0.3 * 500,000 * 8 s * 1.666667 = 2,000,000.4",
        2_000_000,
        "sora-2",
        {"ModelPrice": {"sora-2": 0.3}},
        nothing(factors={"seconds": 8, "size": "1.666667"}),
    ),
    Case(
        "video by resolution: 0.4 * 500,000 * 8 * 1.5",
        2_400_000,
        "veo-3.1",
        {"ModelPrice": {"veo-3.1": 0.4}},
        nothing(factors={"seconds": 8, "resolution": 1.5}),
    ),
    Case(
        "a task settled by total tokens: total * r * g * other",
        32_000,
        "m",
        ONE | GROUPS,
        inside(p=20_000) | {"factors": {"seconds": 2}},
        group="vip",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.model}: {case.name}"[:120])
def test_new_api_would_charge_the_same(case: Case) -> None:
    prices = book(options=case.options)
    rule = prices.find(case.model)
    assert rule is not None
    charge = prices.charge(
        rule,
        case.usage,
        group=case.group,
        user_group=case.user_group,
        channel="c",
        request=case.request,
        headers=case.headers,
        now=case.now,
    )
    assert charge.failed == ""
    assert charge.quota == case.quota, charge.other()
