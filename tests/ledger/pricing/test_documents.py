"""Price documents: what each field does to a charge, what goes before what, and which faults a document has."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from engine.compiler import Source, compile_set
from engine.ledger.pricing.book import Book
from tests.ledger.books import beside, book, inside, nothing, prices

TEXT = "- {names: [m], tokens: {input: 2, output: 8}}"
CALLS = {"calls": {"web_search": 2}}


def quota(made: Book, usage: dict[str, Any], model: str = "m", **more: Any) -> int:
    rule = made.find(model, now=more.get("now", 0.0))
    assert rule is not None
    return made.charge(rule, usage, **{"group": "default", "now": 0.0, **more}).quota


def priced(rule: str) -> Book:
    return book(prices(f"- {{names: [m], {rule}}}"))


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


# A million units of a bucket at $2 cost 1,000,000 units of quota.
@pytest.mark.parametrize(
    ("tokens", "usage", "expected"),
    [
        ("input: 2", inside(p=1000), 1000),
        ("input: 2, output: 8", inside(p=1000, c=100), 1400),
        ("input: 2, cache_read: 0.2", inside(p=1000, k=500), 550),
        ("input: 2", inside(p=1000, k=500), 1000),
        ("input: 2, cache_write_5m: 2.5, cache_write_1h: 4", beside(p=100, w=300, w5=200, w1=100), 550),
        ("input: 2, cache_write_5m: 2.5", beside(p=100, w=300, w5=200, w1=100), 475),
        ("input: 2", beside(p=100, w=300, w5=200, w1=100), 400),
        ("input: 2, output: 8, reasoning: 4", inside(c=100, t=60), 280),
        ("input: 2, output: 8", inside(c=100, t=60), 400),
        ("input: 2, input_audio: 20", inside(p=1000, a=200), 2800),
        ("input: 2, input_image: 4", inside(p=1000, i=200), 1200),
        ("input: 2, output: 8, output_audio: 80", inside(c=100, ao=50), 2200),
        ("input: 2, output: 8, output_image: 60", inside(c=100, io=50), 1700),
        ("input: 2", inside(c=100), 100),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_each_bucket_has_its_price_or_its_neighbours(tokens: str, usage: dict[str, Any], expected: int) -> None:
    assert quota(book(prices(f"- {{names: [m], tokens: {{{tokens}}}}}")), usage) == expected


def test_sound_that_is_cached_is_not_charged_twice() -> None:
    made = priced("tokens: {input: 2, cache_read: 0.2, input_audio: 20}")
    assert quota(made, inside(p=1000, k=900, a=200)) == 90 + 100 * 10


def test_a_tier_holds_for_the_whole_call_and_keeps_what_it_leaves_out() -> None:
    made = book(
        prices(
            "- {names: [m], tokens: {input: 2, cache_read: 1, output: 8}, tiers: [{above: 100, tokens: {input: 4}}]}"
        )
    )
    assert quota(made, inside(p=100)) == 100
    assert quota(made, inside(p=101)) == 202
    assert quota(made, inside(p=101, k=100, c=10)) == 2 + 50 + 40


def test_the_highest_tier_that_is_passed_holds() -> None:
    made = book(
        prices(
            "- {names: [m], tokens: {input: 2}, "
            "tiers: [{above: 10, tokens: {input: 4}}, {above: 20, tokens: {input: 6}}]}"
        )
    )
    assert [quota(made, inside(p=n)) for n in (10, 11, 20, 21)] == [10, 22, 40, 63]


def test_a_rule_holds_from_its_first_moment_up_to_its_last() -> None:
    made = book(
        prices(
            "- {names: [m], until: 2026-03-01, tokens: {input: 2}}\n"
            "- {names: [m], from: 2026-03-01, until: '2026-04-01T12:00:00Z', tokens: {input: 4}}"
        )
    )
    before, begin = moment("2026-02-28T23:59:59"), moment("2026-03-01T00:00:00")
    assert quota(made, inside(p=10), now=before) == 10
    assert quota(made, inside(p=10), now=begin) == 20
    assert made.find("m", now=moment("2026-04-01T12:00:00")) is None


def test_a_condition_on_the_request_multiplies() -> None:
    made = book(
        prices(
            "- {names: [m], tokens: {input: 2}, "
            "adjust: [{name: flex, when: \"body.service_tier == 'flex'\", factor: 0.5}]}"
        )
    )
    done = inside(p=10) | {"raw": {"service_tier": "flex"}}
    assert quota(made, done, request={"service_tier": "flex"}) == 5
    assert quota(made, done, request={"service_tier": "auto"}) == 10
    assert quota(made, inside(p=10)) == 10


@pytest.mark.parametrize("told", [{}, {"service_tier": "default"}, {"service_tier": None}, {"other": "flex"}])
@pytest.mark.parametrize(
    "change",
    [
        "when: \"body.service_tier == 'flex'\", factor: 0.5",
        "when: \"(usage.raw.service_tier | default(body.service_tier)) == 'flex'\", tokens: {input: 1}",
        "when: \"body.service_tier != 'priority' and body.service_tier is present\", factor: 0.5",
    ],
)
def test_what_was_only_asked_for_makes_nothing_cheaper(told: dict[str, Any], change: str) -> None:
    made = book(prices("- {names: [m], tokens: {input: 2}, adjust: [{name: flex, " + change + "}]}"))
    assert quota(made, inside(p=10) | {"raw": told}, request={"service_tier": "flex"}) == 10


def test_what_was_only_asked_for_may_make_it_dearer() -> None:
    rules = "- {names: [m], tokens: {input: 2}, adjust: [{name: fast, when: \"body.speed == 'fast'\", factor: 2}]}"
    assert quota(book(prices(rules)), inside(p=10), request={"speed": "fast"}) == 20


def test_a_callers_header_makes_nothing_cheaper() -> None:
    rules = "- {names: [m], tokens: {input: 2}, adjust: [{name: x, when: \"header['x-batch'] == 'yes'\", factor: 0.5}]}"
    assert quota(book(prices(rules)), inside(p=10), headers={"x-batch": "yes"}) == 10


@pytest.mark.parametrize("number", [0.001, "0.0001", 1e-300, 0, -3, 2.5, "many", None, True, [2]])
def test_pictures_that_are_no_whole_number_are_one(number: Any) -> None:
    made = book(prices("- {names: [m], pictures: [{price: 0.04}]}"))
    assert quota(made, {}, request={"n": number}) == 20_000


@pytest.mark.parametrize("number", [3, 3.0, "3"])
def test_pictures_in_any_spelling_of_a_whole_number_count(number: Any) -> None:
    made = book(prices("- {names: [m], pictures: [{price: 0.04}]}"))
    assert quota(made, {}, request={"n": number}) == 60_000


def test_a_condition_can_have_prices_of_its_own_or_only_for_some_buckets() -> None:
    made = book(
        prices(
            "- names: [m]\n  tokens: {input: 2, output: 8}\n  adjust:\n"
            "    - {name: fast, when: body.fast, tokens: {input: 20}}\n"
            "    - {name: half, when: body.half, factor: 0.5, only: [output]}"
        )
    )
    assert quota(made, inside(p=10, c=10), request={"fast": True}) == 100 + 40
    half = inside(p=10, c=10) | {"raw": {"half": True}}
    assert quota(made, half, request={"half": True}) == 10 + 20


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-06-01T16:29:00", 10),  # a Monday
        ("2026-06-01T16:30:00", 5),
        ("2026-06-02T00:29:00", 5),
        ("2026-06-02T00:30:00", 10),
        ("2026-06-05T20:00:00", 10),  # a Friday, which is no day of it
        ("2026-06-06T00:10:00", 10),  # the night of that Friday
    ],
)
def test_hours_over_midnight_belong_to_the_day_they_begin_on(when: str, expected: int) -> None:
    made = book(
        prices(
            "- {names: [m], tokens: {input: 2}, "
            "adjust: [{name: night, hours: '16:30-00:30', days: [mon, tue], factor: 0.5}]}"
        )
    )
    assert quota(made, inside(p=10), now=moment(when)) == expected


def test_hours_are_of_their_time_zone() -> None:
    made = book(
        prices(
            "- {names: [m], tokens: {input: 2}, "
            "adjust: [{name: day, hours: '08:00-09:00', zone: Asia/Shanghai, factor: 2}]}"
        )
    )
    assert quota(made, inside(p=10), now=moment("2026-06-01T00:30:00")) == 20
    assert quota(made, inside(p=10), now=moment("2026-06-01T08:30:00")) == 10


@pytest.mark.parametrize(
    ("rule", "usage", "request_body", "expected"),
    [
        ("call: 0.01", nothing(), {}, 5000),
        ("call: 0.01, tokens: {input: 2}", inside(p=10), {}, 5010),
        ("second: 0.1", nothing(meters={"seconds": 2.5}), {}, 125_000),
        ("second: 0.1, units: {seconds: body.seconds}", nothing(), {"seconds": 4}, 200_000),
        ("second: 0.1", nothing(), {}, 50_000),
        ("characters: 0.15", nothing(), {"input": "x" * 1000}, 7500),
        ("characters: 0.15", nothing(meters={"characters": 2000}), {"input": "x"}, 15_000),
        (
            "pictures: [{size: a, price: 0.1}, {size: b, quality: hd, price: 0.3}, {price: 0.2}]",
            nothing(),
            {"size": "a"},
            50_000,
        ),
        ("pictures: [{size: a, price: 0.1}, {price: 0.2}]", nothing(), {"size": "a", "n": 3}, 150_000),
        ("pictures: [{size: a, price: 0.1}, {size: b, price: 0.2}]", nothing(), {"size": "other"}, 100_000),
        ("pictures: [{size: a, unsaid: true, price: 0.1}, {price: 0.2}]", nothing(), {}, 50_000),
        ("pictures: [{price: 0.2}]", nothing(meters={"pictures": 2}), {"n": 5}, 200_000),
        ("tokens: {input: 2}, tools: {web_search: 10}", inside(p=10) | CALLS, {}, 10_010),
        ("tokens: {input: 2}, tools: {look: 10}, uses: {look: 2}", inside(p=10), {}, 10_010),
        ("tokens: {input: 2}, tools: {look: 10}, uses: {look: 2}", inside(p=10) | {"calls": {"look": 3}}, {}, 15_010),
    ],
)
def test_what_is_not_counted_in_tokens(
    rule: str, usage: dict[str, Any], request_body: dict[str, Any], expected: int
) -> None:
    assert quota(book(prices(f"- {{names: [m], {rule}}}")), usage, request=request_body) == expected


def test_a_model_of_the_options_that_always_searches_pays_for_one_search() -> None:
    made = book(options={"ModelRatio": {"gpt-4o-search-preview": 1, "gpt-4o": 1}})
    assert quota(made, inside(p=10), "gpt-4o-search-preview") == 10 + 12_500
    assert quota(made, inside(p=10), "gpt-4o") == 10


def test_functions_that_have_a_price_are_told_from_tools_that_a_provider_runs() -> None:
    made = book(prices("- {names: [m], tokens: {input: 2}}"), options={"tool_price_setting.prices": {"f": 1, "g": 0}})
    rule = made.find("m")
    assert rule is not None
    assert "f" in rule.functions
    assert "g" not in rule.functions


def test_factors_of_a_rule_go_before_the_document_before_the_options() -> None:
    made = book(
        prices(
            "- {names: [m], tokens: {input: 2}, groups: {vip: 0.5}}\n- {names: [n], tokens: {input: 2}}",
            "groups: {vip: 0.6}\nuserGroups: {staff: {vip: 0.1}}\nchannels: {dear: 3}",
        ),
        options={"GroupRatio": {"vip": 0.9, "other": 0.7}},
    )
    assert quota(made, inside(p=100), group="vip") == 50
    assert quota(made, inside(p=100), "n", group="vip") == 60
    assert quota(made, inside(p=100), "n", group="vip", user_group="staff") == 10
    assert quota(made, inside(p=100), "n", group="other") == 70
    assert quota(made, inside(p=100), "n", group="vip", channel="dear") == 180


def test_a_document_without_rules_holds_for_all_models() -> None:
    common = (
        "apiVersion: gatewright/v1\nkind: Price\nmetadata: {name: c}\n"
        "spec: {groups: {vip: 0.5}, tools: {web_search: 10}}\n"
    )
    made = book(prices(TEXT), common, options={"ModelRatio": {"r": 1}})
    assert quota(made, inside(p=100), group="vip") == 50
    assert quota(made, inside(p=100) | CALLS, "r", group="vip") == 50 + 5000


def test_own_documents_go_before_options_and_these_before_shipped_ones() -> None:
    shipped = Source(
        "shipped.yaml",
        prices("- {names: [m, n], tokens: {input: 2}}\n- {match: 'k.*', tokens: {input: 2}}").replace("own", "s"),
        0,
    )
    own = Source("own.yaml", prices("- {names: [m], tokens: {input: 6}}\n- {match: 'k2', tokens: {input: 8}}"), 1)
    made = Book(compile_set([shipped, own], []).program(), {"ModelRatio": '{"m": 2, "n": 2, "k3": 5}'})
    assert [quota(made, inside(p=1000), name) for name in ("m", "n", "k1", "k2", "k3")] == [
        3000,
        2000,
        1000,
        4000,
        5000,
    ]


def test_a_model_without_a_price_has_no_rule_and_costs_nothing_but_says_so() -> None:
    made = book(prices(TEXT))
    assert made.find("unknown") is None
    charge = made.charge(None, inside(p=1000), group="default")
    assert (charge.quota, charge.other()) == (0, {"unpriced": True})


def test_a_price_of_zero_is_free_on_purpose() -> None:
    made = priced("tokens: {input: 0, output: 0}")
    assert quota(made, inside(p=1000, c=1000)) == 0


def test_whatever_is_not_free_costs_at_least_one_unit() -> None:
    made = priced("tokens: {input: 0.01, output: 0.01}")
    assert quota(made, inside(p=1)) == 1
    assert quota(made, nothing()) == 0


def test_the_asked_name_goes_before_the_model_that_an_alias_means() -> None:
    made = book(prices(f"{TEXT}\n- {{names: [m-high], tokens: {{input: 4}}}}"))
    asked, based = made.find("m-high", "m"), made.find("m-low", "m")
    assert asked is not None
    assert based is not None
    assert (asked.model, based.model) == ("m-high", "m")


def test_several_billed_models_are_priced_one_by_one_and_rounded_once() -> None:
    made = priced("tokens: {input: 1}}\n- {names: [helper], tokens: {input: 3}")
    parts = [inside(p=1) | {"model": "m"}, inside(p=1) | {"model": "helper"}, inside(p=1) | {"model": "unheard-of"}]
    charge = made.charge(made.find("m"), inside(p=1) | {"models": parts}, group="default")
    assert charge.quota == 3  # 0.5 + 1.5 + 0.5: what has no price of its own costs as the model that was asked for
    assert [line["model"] for line in charge.lines] == ["m", "helper", "unheard-of"]


def test_ratios_in_a_document_charge_as_in_the_options_and_are_shown_in_dollars() -> None:
    made = book(
        prices(
            "- {names: [m], ratio: {model: 1.25, completion: 4, cache: 0.5, "
            "cacheWrite: 1.25, image: 2, audio: 16}}"
        ),
        options={
            "ModelRatio": {"o": 1.25}, "CompletionRatio": {"o": 4}, "CacheRatio": {"o": 0.5},
            "ImageRatio": {"o": 2}, "AudioRatio": {"o": 16},
        },
    )  # fmt: skip
    for usage in (inside(p=999, c=77, k=13), inside(p=50, i=9), inside(p=50, a=9, c=5, ao=3), beside(p=3, w=7, w1=5)):
        assert quota(made, usage) == quota(made, usage, "o")
    charge = made.charge(made.find("m"), inside(p=999, c=77, k=13), group="default")
    assert [(line["bucket"], line["price"]) for line in charge.lines] == [
        ("input", "2.5"), ("cache_read", "1.25"), ("output", "10"),
    ]  # fmt: skip


def test_dollars_are_shown_as_ratios_in_the_log_row() -> None:
    made = priced("tokens: {input: 2.5, output: 10, cache_read: 0.25, cache_write_5m: 3.125}")
    told = made.charge(made.find("m"), beside(p=10, k=4, w=2, w5=2, c=1), group="g").other()
    wanted = {
        "model_ratio": 1.25, "completion_ratio": 4, "cache_ratio": 0.1, "cache_creation_ratio": 1.25, "model_price": -1,
        "group_ratio": 1, "user_group_ratio": -1, "cache_tokens": 4, "cache_creation_tokens": 2,
    }  # fmt: skip
    assert {key: told[key] for key in wanted} == wanted
    assert told["price"]["rule"] == "Price/own"
    assert told["price"]["place"] == "own0.yaml:6"


def test_an_expression_stands_in_the_log_row_as_consoles_read_it() -> None:
    made = priced("ratio: {expression: 'tier(\"base\", p * 2)'}".replace("\\", ""))
    told = made.charge(made.find("m"), inside(p=10), group="g").other()
    assert (told["billing_mode"], told["matched_tier"]) == ("tiered_expr", "base")
    assert b64decode(told["expr_b64"]) == b'tier("base", p * 2)'


def test_dollars_and_units_are_the_same_amount() -> None:
    charge = (made := book(prices(TEXT))).charge(made.find("m"), inside(p=1_000_001), group="default")
    assert (charge.usd, charge.quota) == (Decimal("2.000002"), 1_000_001)


def test_amounts_in_another_currency_become_dollars() -> None:
    made = book(prices("- {names: [m], tokens: {input: 14.6}, call: 7.3}", "currency: CNY\nperDollar: 7.3"))
    assert quota(made, inside(p=1000)) == 1000 + 500_000


def test_a_provider_may_have_the_prices_of_its_models() -> None:
    text = """
apiVersion: gatewright/v1
kind: Format
metadata: {name: f}
spec: {}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: acme}
spec:
  baseUrl: https://acme.example
  formats: {f: {path: /c}}
  price:
    - {names: [acme-1], tokens: {input: 2}}
"""
    made = Book(compile_set([Source("acme.yaml", text, 1)], []).program())
    assert quota(made, inside(p=7), "acme-1") == 7


def test_a_reservation_covers_what_may_come() -> None:
    made = book(
        prices("- {names: [m], tokens: {input: 2, output: 8, cache_read: 0.2}}\n- {names: [c], call: 0.1}"),
        options={"ModelRatio": {"r": 0.001}},
    )
    common: dict[str, Any] = {"group": "default", "user_group": "default", "channel": "", "request": {}}
    assert made.estimate(made.find("m"), input_tokens=1000, max_tokens=100, **common) == 1400
    assert made.estimate(made.find("c"), input_tokens=1000, max_tokens=100, **common) == 50_000
    assert made.estimate(made.find("r"), input_tokens=1, max_tokens=0, **common) == 1
    assert made.estimate(None, input_tokens=1000, max_tokens=100, **common) == 0


def test_an_expression_that_fails_at_the_end_says_so_and_charges_nothing_by_itself() -> None:
    made = book(prices("- {names: [m], ratio: {expression: 'p * param(\"x\")'}}".replace("\\", "")))
    rule = made.find("m")
    assert rule is not None
    assert made.charge(rule, inside(p=10), group="g", request={"x": 2}).quota == 10
    failed = made.charge(rule, inside(p=10), group="g", request={"x": "two"})
    assert failed.failed
    assert failed.quota == 0


@pytest.mark.parametrize(
    ("rules", "code", "line", "words"),
    [
        ("- {tokens: {input: 1}}", "missing-key", 6, "names"),
        ("- {names: [m]}", "missing-key", 6, "no price"),
        ("- {names: [m], tokens: {cache_read: 1}}", "missing-key", 6, "input"),
        ("- {names: [m], tokens: {input: 1, outptu: 1}}", "unknown-key", 6, "outptu"),
        ("- {names: [m], tokens: {input: -1}}", "wrong-value", 6, "input"),
        ("- {names: [m], tokens: {input: 1}, ratio: {model: 1}}", "wrong-value", 6, "ratio"),
        ("- {names: [m], ratio: {model: 1, price: 1}}", "wrong-value", 6, "exactly one"),
        (
            "- {names: [m], tokens: {input: 1}}\n- {names: [m], tokens: {input: 2}}",
            "duplicate-document",
            7,
            "own.yaml:6",
        ),
        ("- {names: [m], from: 2026-02-30, tokens: {input: 1}}", "wrong-value", 6, "no such moment"),
        (
            "- {names: [m], from: 2026-02-03, until: 2026-02-03, tokens: {input: 1}}",
            "wrong-value",
            6,
            "before it begins",
        ),
        ("- {names: [m], tokens: {input: 1}, adjust: [{name: a, zone: Mars, factor: 1}]}", "wrong-value", 6, "Mars"),
        ("- {names: [m], tokens: {input: 1}, adjust: [{name: a}]}", "missing-key", 6, "factor"),
        ("- {names: [m], tokens: {input: 1}, adjust: [{name: a, when: bdy.x, factor: 1}]}", "unknown-name", 6, "bdy"),
        ("- {match: '(', tokens: {input: 1}}", "bad-pattern", 6, "not valid"),
        ("- {names: [m], ratio: {expression: 'p * q'}}", "bad-expression", 6, "names 'q'"),
    ],
)
def test_a_wrong_rule_is_a_fault_with_its_place(rules: str, code: str, line: int, words: str) -> None:
    faults = compile_set([Source("own.yaml", prices(rules), 1)], []).faults
    assert [(fault.code, fault.place.line) for fault in faults] == [(code, line)]
    assert words in faults[0].as_text()


def test_options_that_cannot_be_read_are_told_and_leave_the_others_alone() -> None:
    program = compile_set([], []).program()
    made = Book(program, {"ModelRatio": '{"m": 1}', "GroupRatio": "{oops", "CacheRatio": "[]"})
    assert quota(made, inside(p=10)) == 10
    assert [fault.split(" ")[2] for fault in made.faults] == ["CacheRatio", "GroupRatio"]
