"""Price expressions: read as New API means them, refused with words when they can't be, and harmless in any case."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

from engine.program.formula import ExpressionError, compiled

USAGE = {"input_total": 1000, "cache_read": 300, "output_total": 100, "output_image": 40}


def run(text: str, usage: dict[str, Any] | None = None, **body: Any) -> Decimal:
    return compiled(text).run(USAGE if usage is None else usage, body, {"x-tier": "fast"}, 0.0)[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("p", 1000),
        ("p + cr", 1000),
        ("p + cr * 0", 700),
        ("c + img_o * 0", 60),
        ("len + cr * 0", 1000),
        ("1 + 2 * 3 - 4 / 2", 5),
        ("(1 + 2) * 3 % 4", 1),
        ("10 - 2 - 3", 5),
        ("0.1 + 0.2", "0.3"),
        ("1 < 2 && 2 <= 2 ? 5 : 6", 5),
        ("1 > 2 || !(1 == 1) ? 5 : 1 != 2 ? 7 : 8", 7),
        ("-(-3)", 3),
        ("max(1, 2, 3) + min(4, 5)", 7),
        ('param("a.b.1") * 2', 14),
        ('param("a.b.#")', 2),
        ('param("missing") == nil ? 1 : 2', 1),
        ('header("X-Tier") == "fast" ? 1 : 2', 1),
        ("has(param(\"tags\"), 'x') ? 1 : 2", 1),
        ("weekday() * 100 + day() * 10 + month()", 411),  # 1970-01-01 was a Thursday
        ("hour('Asia/Tokyo') + minute()", 9),
        ("tier('a', 1 < 2 ? 3 : 4)", 3),
        ("2 ||| 3", 6),
        ("2 ||| 3 ||| 5", 30),
        ('2 ||| when(header("x-tier") has "fast") * 6', 12),
        ('2 ||| when(header("x-tier") has "slow") * 6 * when(1 < 2) * 3', 6),
        ("2 * (1 < 2 ? 6 : 1)", 12),
        ('header("missing") == "" ? 1 : 2', 1),
        ('header("x-tier") startsWith "fa" && header("x-tier") endsWith "st" ? 1 : 2', 1),
        ('param("tags") contains "y" ? 1 : 2', 2),
        ('(param("missing") ?? 3) * 2', 6),
        ("v1: 2", 2),
    ],
)
def test_an_expression_gives(text: str, value: Any) -> None:
    assert run(text, a={"b": [5, 7]}, tags=["x"]) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected"),
        ("p +", "expected"),
        ("p q", "'q'"),
        ("(p", "')'"),
        ("q * 2", "names 'q'"),
        ("eval(p)", "calls 'eval'"),
        ("p.__class__", "can't read"),
        ("p ? 1", "':'"),
        ("when(1) + 2", "'*'"),
        ("p ** 2", "'**'"),
        ("1e99", "out of all proportion"),
        ("(" * 100 + "p" + ")" * 100, "too deep"),
        ("-" * 100 + "p", "too deep"),
        ("p" + " + p" * 5000, "too long"),
        ("$", "can't read"),
    ],
)
def test_what_cannot_be_read_is_refused_with_words(text: str, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compiled(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text", ["0 - 1", "p / 0", "'a'", "nil", "param('x') * 2", "hour('Mars')", "max()", "tier('a')"]
)
def test_what_gives_no_amount_fails_when_it_runs(text: str) -> None:
    with pytest.raises(ExpressionError):
        run(text)


def test_any_text_is_read_or_refused_and_never_fails_otherwise() -> None:
    chance = random.Random(7)
    words = [
        "p",
        "c",
        "(",
        ")",
        "?",
        ":",
        "+",
        "-",
        "*",
        "/",
        "1",
        "0.5",
        "tier",
        "max",
        ",",
        "'a'",
        "&&",
        "!",
        "<",
        "|||",
        "param",
    ]
    for _ in range(3000):
        text = " ".join(chance.choices(words, k=chance.randint(1, 9)))
        try:
            run(text)
        except ExpressionError:
            continue
