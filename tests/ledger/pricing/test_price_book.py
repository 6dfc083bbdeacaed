"""The shipped price book: every document has source and date, and its prices hang together."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.compiler import check_set, compile_set
from engine.ledger.pricing.book import Book
from engine.program import Program
from tests.ledger.books import beside, inside, shipped_sources

NOW = 1_795_500_000.0  # 2026-11-24


@pytest.fixture(scope="module")
def program() -> Program:
    result = compile_set(shipped_sources(), [])
    assert not result.faults, "\n".join(fault.as_text() for fault in result.faults)
    return result.program()


def quota(program: Program, model: str, usage: dict[str, Any], now: float = NOW, **request: Any) -> int:
    book = Book(program)
    rule = book.find(model, now=now)
    assert rule is not None, model
    return book.charge(rule, usage, group="default", request=request, now=now).quota


def test_every_document_says_where_and_when_its_prices_were_read() -> None:
    for definition in check_set(shipped_sources(), [])[0].of("Price"):
        assert definition.spec.get("source"), definition.title
        assert definition.spec.get("date"), definition.title


def test_no_shipped_price_is_free_and_caches_are_never_dearer_to_read_than_input(program: Program) -> None:
    book = Book(program)
    for item in program.prices.rules:
        for name in item.names:
            rules = [rule for rule in book.rules(name) if item.place.endswith(rule.place)]
            assert len(rules) == 1, name
            assert not rules[0].free(), name
            prices = rules[0].prices
            if prices:
                assert prices["cache_read"].each <= prices["input"].each, name
                assert prices["cache_write_5m"].each <= prices["cache_write_1h"].each, name
                assert prices["input"].each <= prices["output"].each, name


@pytest.mark.parametrize(
    ("model", "usage", "dollars"),
    [
        ("gpt-4o", inside(p=1000, k=400, c=100), "0.003"),
        ("o3", inside(p=1000, c=1000, t=900), "0.01"),
        ("claude-sonnet-4-5", beside(p=1000, k=1000, w=1000, w5=1000, c=1000), "0.02205"),
        ("claude-sonnet-4-5", beside(p=1, k=200_000, c=1000), "0.142506"),
        ("gemini-2.5-flash", inside(p=1000, a=400, c=100), "0.00083"),
        ("gemini-2.5-pro", inside(p=200_001, c=1000), "0.5150025"),
        ("gpt-4o-audio-preview", inside(p=1000, a=400, c=100, ao=60), "0.0227"),
        ("gpt-6-sol", inside(p=272_001, k=200_000, w=1000, c=1000), "0.384004"),
        ("grok-4.7", inside(p=199_999), "0.399998"),
        ("grok-4.7", inside(p=200_000), "0.8"),
        ("claude-haiku-5-5", beside(p=1, k=100_000, w=1000, w1=1000, c=100), "0.0062505"),
        ("kimi-k3", inside(p=1000, k=400, w=100, c=100), "0.00342"),
        ("us.anthropic.claude-sonnet-5-5", beside(p=1000, k=1000, c=100), "0.00341"),
        ("qwen-plus", inside(p=1000, c=100), "0.00052"),
        ("qwen-plus", inside(p=1000, c=100, t=60), "0.0008"),
    ],
)
def test_known_bills_come_out(program: Program, model: str, usage: dict[str, Any], dollars: str) -> None:
    book = Book(program)
    charge = book.charge(book.find(model, now=NOW), usage, group="default", now=NOW)
    assert charge.usd == Decimal(dollars)


@pytest.mark.parametrize(
    ("model", "raw", "asked", "dollars"),
    [
        ("gpt-6.1-sol", {"service_tier": "flex"}, {}, "2.75"),
        ("gpt-6.1-sol", {"service_tier": "default"}, {"service_tier": "flex"}, "5.5"),
        ("gpt-5.5", {"service_tier": "priority"}, {}, "14.5"),
        ("gpt-5-mini", {}, {"service_tier": "fast"}, "0.81"),
        ("claude-opus-5-5", {"speed": "fast", "inference_geo": "us"}, {}, "13.2"),
        ("claude-opus-4-5", {"speed": "fast", "inference_geo": "us"}, {}, "7.5"),
        ("gemini-3.1-pro-preview", {"serviceTier": "flex"}, {}, "2.9"),
        ("gemini-3.1-flash-lite", {"serviceTier": "priority"}, {}, "0.72"),
        ("sonar", {}, {}, "1.105"),
        ("sonar-pro", {}, {"web_search_options": {"search_context_size": "high"}}, "4.514"),
    ],
)
def test_what_served_the_call_is_charged(
    program: Program, model: str, raw: dict[str, Any], asked: dict[str, Any], dollars: str
) -> None:
    book = Book(program)
    usage = inside(p=1_000_000, c=100_000) | {"raw": raw}
    charge = book.charge(book.find(model, now=NOW), usage, group="default", request=asked, now=NOW)
    assert charge.usd == Decimal(dollars)


def test_service_tiers_and_peak_hours_change_the_price(program: Program) -> None:
    usage = inside(p=1_000_000, c=100_000)
    assert quota(program, "gpt-5", usage) == 1_125_000
    assert quota(program, "gpt-5", usage, service_tier="flex") == 1_125_000
    flex = usage | {"raw": {"service_tier": "flex"}}
    assert quota(program, "gpt-5", flex, service_tier="flex") == 562_500
    assert quota(program, "gpt-5", usage, service_tier="priority") == 2_250_000
    tuesday = 1_795_478_400.0  # 2026-11-24 00:00
    assert quota(program, "deepseek-v4-pro", usage, tuesday) * 2 == quota(
        program, "deepseek-v4-pro", usage, tuesday + 7200
    )


def test_pictures_go_by_size_and_quality(program: Program) -> None:
    asked = [
        {},
        {"size": "1792x1024"},
        {"size": "1024x1024", "quality": "hd"},
        {"size": "1024x1792", "quality": "hd", "n": 2},
    ]
    assert [quota(program, "dall-e-3", {}, **request) for request in asked] == [20_000, 40_000, 40_000, 120_000]
