"""Directives: what each gives, how lists splice, and the faults of wrong spelling."""

from __future__ import annotations

from typing import Any

import pytest

from engine.compiler.directives import DIRECTIVES
from engine.compiler.directives.record import Example
from engine.compiler.documents import load
from engine.errors import MappingError, Refusal
from tests.compiler.workbench import faults, run


def loop(do: Any, **more: Any) -> dict[str, Any]:
    """A loop over ``body``."""
    return {"$for": "x in body", "$do": do, **more}


@pytest.mark.parametrize(
    ("tree", "body", "result"),
    [
        (loop("{{ x + 1 }}"), [1, 2], [2, 3]),
        (loop("{{ x }}"), None, []),
        (loop({"a": "{{ x }}"}, **{"$when": "x > 1"}), [1, 2], [{"a": 2}]),
        (loop(["{{ x }}", "{{ x * 10 }}"]), [1, 2], [1, 10, 2, 20]),
        ([0, loop("{{ x }}"), 9], [1, 2], [0, 1, 2, 9]),
        (loop("{{ x }}"), [[1], [2, 3]], [[1], [2, 3]]),
        (loop({"$for": "y in x", "$do": "{{ y }}"}), [[1], [2, 3]], [1, 2, 3]),
        (loop([["{{ x }}"]]), [1, 2], [[1], [2]]),
        (loop("{{ x.a }}"), [{"a": 1}, {}, {"a": 3}], [1, 3]),
        ({"$for": "i, x in body", "$do": "{{ i ~ x }}"}, ["a", "b"], ["0a", "1b"]),
        ({"$for": "k, v in body", "$do": "{{ k ~ v }}"}, {"a": 1}, ["a1"]),
        ({"$for": "k in body", "$do": "{{ k }}"}, {"a": 1}, ["a"]),
        ({"$for": "{{ x in body }}", "$do": "{{ x }}"}, [1], [1]),
        (loop("{{ x.v }}", **{"$key": "x.k"}), [{"k": "a", "v": 1}, {"k": "b"}, {"v": 2}], {"a": 1}),
        ({"m": loop(1, **{"$key": "x"})}, [], {"m": {}}),
    ],
)
def test_for(tree: Any, body: Any, result: Any) -> None:
    assert run(tree, body) == result


@pytest.mark.parametrize(("body", "kind"), [(5, "a number"), ("text", "a text"), (True, "a boolean")])
def test_for_over_a_scalar_is_a_mapping_error_that_names_it(body: Any, kind: str) -> None:
    with pytest.raises(MappingError, match=f"has to be a list, but is {kind}") as caught:
        run({"a": {"$for": "x in body.deep", "$do": 1}}, {"deep": body})
    assert caught.value.path == "body.deep"


@pytest.mark.parametrize(
    ("tree", "body", "result"),
    [
        ({"$if": "body.a", "$then": 1, "$else": 2}, {"a": True}, 1),
        ({"$if": "{{ body.a }}", "$then": 1, "$else": 2}, {}, 2),
        ({"$if": True, "$then": 1}, {}, 1),
        ({"k": {"$if": "body.a", "$then": 1}, "l": 0}, {}, {"l": 0}),
        ([{"$if": "body.a", "$then": [1, 2], "$else": [3]}, 4], {"a": 1}, [1, 2, 4]),
        ([{"$if": "body.a", "$then": "{{ body.a }}"}], {"a": [1, [2]]}, [1, [2]]),
        (["{{ body.a }}"], {"a": [1, [2]]}, [[1, [2]]]),
        ([{"$if": "true", "$then": {"$if": "true", "$then": [[1]]}}], {}, [[1]]),
        ({"k": {"$if": "body.a", "$then": [1, "{{ body.b }}"]}}, {"a": 1}, {"k": [1]}),
    ],
)
def test_if(tree: Any, body: Any, result: Any) -> None:
    assert run(tree, body) == result


@pytest.mark.parametrize(
    ("given", "result"),
    [("a", 1), ("b", [2]), (429, "number"), (True, "yes"), ("zzz", "other"), (None, "other"), ([1], "other")],
)
def test_switch_chooses_by_value_as_yaml_writes_it(given: Any, result: Any) -> None:
    cases = {"a": 1, "b": [2], "429": "number", "true": "yes", "_": "other"}
    assert run({"$switch": "body", "$case": cases}, given) == result


def test_switch_without_a_hit_is_nothing() -> None:
    assert run({"k": {"$switch": "body", "$case": {"a": 1}}, "l": 1}, "b") == {"l": 1}


def test_let_names_see_earlier_ones_and_hide_outer_ones() -> None:
    tree = {
        "$let": {"a": "{{ body.x }}", "b": {"c": "{{ a + 1 }}"}, "body": "{{ b.c + 1 }}"},
        "$in": {"a": "{{ a }}", "b": "{{ b }}", "body": "{{ body }}"},
    }
    assert run(tree, {"x": 1}) == {"a": 1, "b": {"c": 2}, "body": 3}


def test_names_end_with_their_let_and_their_loop() -> None:
    found = faults([{"$let": {"a": 1}, "$in": "{{ a }}"}, "{{ a }}", loop("{{ x }}"), "{{ x }}"])
    assert [fault.path for fault in found] == ["spec.request.decode[1]", "spec.request.decode[3]"]


@pytest.mark.parametrize(
    ("tree", "body", "result"),
    [
        ({"$merge": [{"a": 1, "b": 2}, {"b": 3}, "{{ body }}"]}, {"c": None}, {"a": 1, "b": 3, "c": None}),
        ({"$merge": ["{{ body.no }}", {"a": "{{ body.no }}"}]}, {}, None),
        ({"k": {"$merge": ["{{ body.no }}"]}, "l": 1}, {}, {"l": 1}),
        ({"$merge": [{"a": {"x": 1}}, {"a": {"y": 2}}]}, {}, {"a": {"y": 2}}),
        ({"$merge": [{"$if": "body.a", "$then": {"a": 1}}, {"b": 2}]}, {"a": 1}, {"a": 1, "b": 2}),
        ({"$merge": [{"a": {"$null": True}}]}, {}, {"a": None}),
    ],
)
def test_merge(tree: Any, body: Any, result: Any) -> None:
    assert run(tree, body) == result


def test_merging_what_is_no_map_is_a_mapping_error() -> None:
    with pytest.raises(MappingError, match="can only merge maps, but this is a list") as caught:
        run({"$merge": [{"a": 1}, "{{ body.l }}"]}, {"l": []})
    assert caught.value.path == "body.l"


@pytest.mark.parametrize(
    ("tree", "result"),
    [
        ({"a": {"$null": True}}, {"a": None}),
        ([{"$null": True}, 1], [None, 1]),
        ({"$let": {"n": {"$null": True}}, "$in": {"a": "{{ n }}", "b": "{{ n is absent }}"}}, {"a": None, "b": True}),
        ({"a": {"$raw": "{{ x }}"}}, {"a": "{{ x }}"}),
        ({"a": {"$raw": {"$ref": "#/x", "n": None}}}, {"a": {"$ref": "#/x", "n": None}}),
        ({"a": {"$raw": None}}, {"a": None}),
        ({"a": {"$nonempty": []}, "b": 1}, {"b": 1}),
        ({"a": {"$nonempty": [{"$for": "x in body.no", "$do": 1}]}, "b": 1}, {"b": 1}),
        ({"a": {"$nonempty": "{{ body.empty }}"}, "b": {"$nonempty": "{{ body.zero }}"}}, {"b": 0}),
    ],
)
def test_null_raw_and_nonempty(tree: Any, result: Any) -> None:
    assert run(tree, {"empty": "", "zero": 0}) == result


@pytest.mark.parametrize(
    ("tree", "result"),
    [
        ({"a": {"b": "{{ body.no }}"}, "c": 1}, {"c": 1}),
        ({"a": {"b": {"c": "{{ body.no }}"}}, "d": 1}, {"d": 1}),
        ({"a": {}, "b": []}, {"a": {}, "b": []}),
        ({"a": {"type": "text", "b": "{{ body.no }}"}}, {"a": {"type": "text"}}),
        ({"a": ["{{ body.no }}"]}, {"a": []}),
        ([{"a": "{{ body.no }}"}, 1], [1]),
        ({"a": "{{ body.no }}"}, None),
        ({"a": "{{ body.zero }}", "b": "{{ body.flag }}", "c": "{{ body.text }}"}, {"a": 0, "b": False, "c": ""}),
        ({"a": "{{ body.data }}"}, {"a": {"x": None, "y": [None]}}),
        ({"a": "{{ body.null }}", "b": 1}, {"b": 1}),
    ],
)
def test_nothing_is_left_out_and_values_stay(tree: Any, result: Any) -> None:
    body = {"zero": 0, "flag": False, "text": "", "data": {"x": None, "y": [None]}, "null": None}
    assert run(tree, body) == result


def test_keys_keep_the_order_they_are_written_in() -> None:
    tree = {"z": 1, "y": "{{ body.y }}", "x": {"$if": "true", "$then": 1}, "a": 2}
    assert list(run(tree, {"y": 1})) == ["z", "y", "x", "a"]


def test_use_sees_its_arguments_only() -> None:
    fragments = {"f": {"args": ["p", "q"], "do": {"p": "{{ p }}", "q": "{{ q }}"}}}
    assert run({"$use": "f", "$with": {"p": "{{ body }}"}}, 1, fragments=fragments) == {"p": 1}
    blind = {"f": {"args": [], "do": "{{ body }}"}}
    found = faults({"$use": "f"}, fragments=blind)
    assert [(fault.code, fault.path) for fault in found] == [("unknown-name", "spec.fragments.f.do")]


def test_use_in_a_list_is_spliced() -> None:
    fragments = {"two": {"do": [1, 2]}, "none": {"do": "{{ none }}"}, "null": {"do": {"$null": True}}}
    assert run([0, {"$use": "two"}, {"$use": "none"}, {"$use": "null"}], fragments=fragments) == [0, 1, 2, None]


def test_a_fragment_may_use_itself() -> None:
    fragments = {
        "part": {
            "args": ["p"],
            "do": {
                "n": "{{ p.n }}",
                "in": {"$nonempty": [{"$for": "q in p.in", "$do": {"$use": "part", "$with": {"p": "{{ q }}"}}}]},
            },
        }
    }
    body = {"n": 1, "in": [{"n": 2, "in": []}, {"n": 3}]}
    result = {"n": 1, "in": [{"n": 2}, {"n": 3}]}
    assert run({"$use": "part", "$with": {"p": "{{ body }}"}}, body, fragments=fragments) == result


def test_report_gives_nothing_and_a_line() -> None:
    report: list[tuple[str, str]] = []
    tree = [1, {"$report": "a.{{ body }}", "$why": "dropped {{ body }} of it"}, {"$report": "b"}]
    assert run(tree, "x", report=report) == [1]
    assert report == [("a.x", "dropped x of it"), ("b", "dropped")]


def test_refuse_names_the_field() -> None:
    with pytest.raises(Refusal) as caught:
        run({"$if": "body.n > 1", "$then": {"$refuse": "n", "$why": "only one answer"}}, {"n": 2})
    assert (caught.value.param, caught.value.message) == ("n", "n: only one answer")


def test_lookup_takes_the_default_row_or_reports() -> None:
    tables = {"with": {"a": 1, "_": 0}, "without": {"a": 1, "5": "five"}}
    report: list[tuple[str, str]] = []
    tree = ["{{ 'a' | lookup('with') }}", "{{ 'x' | lookup('with') }}", "{{ 'x' | lookup('without') }}"]
    tree += ["{{ none | lookup('with') }}", "{{ 5 | lookup('without') }}"]
    assert run(tree, tables=tables, report=report) == [1, 0, "five"]
    assert report == [("without", "has no word for 'x'")]


def test_bad_json_as_an_object_is_reported() -> None:
    report: list[tuple[str, str]] = []
    assert run(["{{ body | fromjson_object }}"], "{oops", report=report) == [{}]
    assert [path for path, _ in report] == ["arguments"]


@pytest.mark.parametrize(
    ("tree", "code", "nearest"),
    [
        ({"$fro": "x in body", "$do": 1}, "unknown-directive", "$for"),
        ({"$do": 1}, "unknown-directive", None),
        ({"$if": "true", "$for": "x in body", "$do": 1}, "unknown-directive", None),
        ({"$if": "true", "$thn": 1}, "unknown-directive", "$then"),
        ({"$if": "true", "plain": 1}, "unknown-directive", None),
        ({"$for": "x in body"}, "missing-key", None),
        ({"$switch": "body"}, "missing-key", None),
        ({"$for": "x of body", "$do": 1}, "bad-expression", None),
        ({"$for": "i", "$do": 1}, "bad-expression", None),
        ({"$for": "x in 'text'", "$do": 1}, "wrong-type", None),
        ({"$use": "f"}, "unknown-fragment", None),
        ({"$use": "fragmint"}, "unknown-fragment", "fragment"),
        ({"$use": "fragment", "$with": {"partt": 1}}, "wrong-arguments", "part"),
        ({"$merge": {"a": 1}}, "wrong-type", None),
        ({"$let": {"a b": 1}, "$in": 1}, "wrong-value", None),
        ({"$null": False}, "wrong-value", None),
        ({"$if": {"a": 1}, "$then": 1}, "wrong-type", None),
        ({"$report": 5}, "wrong-type", None),
        ({"$ref": "#/x"}, "unknown-directive", None),
    ],
)
def test_wrong_spelling_is_a_fault_with_the_nearest_name(tree: Any, code: str, nearest: str | None) -> None:
    fragments = {"fragment": {"args": ["part"], "do": "{{ part }}"}}
    found = faults(tree, fragments=fragments)
    assert code in [fault.code for fault in found]
    if nearest is not None:
        assert nearest in [fault.nearest for fault in found]


@pytest.mark.parametrize("directive", DIRECTIVES.values(), ids=lambda item: item.key)
def test_every_directive_has_words(directive: Any) -> None:
    assert directive.words
    assert directive.key.startswith("$")


EXAMPLES = [(name, example) for name, item in DIRECTIVES.items() for example in item.examples]


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[f"{name} {one.tree}" for name, one in EXAMPLES])
def test_examples_of_the_reference_give_what_they_say(name: str, example: Example) -> None:
    assert run(_read(example.tree), example.body, report=[], fragments=_read(example.fragments) or {}) == example.gives


def _read(text: str) -> Any:
    documents, wrong = load.parse(load.Source("example", "x:\n  " + text.replace("\n", "\n  ")))
    assert not wrong
    return documents[0].data["x"]


def test_every_directive_but_a_refusal_has_an_example() -> None:
    assert [name for name, item in DIRECTIVES.items() if not item.examples] == ["$refuse"]
