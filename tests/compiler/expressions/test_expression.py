"""Expressions: what they read, how they treat nothing, and the faults that they may have."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import MappingError
from tests.compiler.workbench import expression_faults, faults, run, value

BODY = {
    "n": 0,
    "t": "text",
    "null": None,
    "list": [10, 20, 30],
    "map": {"a": {"b": "deep"}, "with space": 1, "keys": "a key"},
    "flag": False,
}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("body.map.a.b", "deep"),
        ("body['map']['with space']", 1),
        ("body.map.keys", "a key"),
        ("body.missing", None),
        ("body.missing.deeper.still", None),
        ("body.t.upper", None),
        ("body.list.append", None),
        ("body.null", None),
        ("body.list[0]", 10),
        ("body.list[-1]", 30),
        ("body.list[9]", None),
        ("body.list[1:]", [20, 30]),
        ("body.t[0:2]", "te"),
        ("body.t[0]", "t"),
        ("body[body.t]", None),
        ("body.map['a' ~ '']", {"b": "deep"}),
        ("body.list['x']", None),
    ],
)
def test_reads_give_data_or_nothing(text: str, result: Any) -> None:
    assert value(text, BODY) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("1 + 2 * 3", 7),
        ("7 // 2", 3),
        ("7 / 2", 3.5),
        ("7 % 4", 3),
        ("-body.list[0]", -10),
        ("1 / 0", None),
        ("1 % 0", None),
        ("body.missing + 1", None),
        ("1 - body.missing", None),
        ("-body.missing", None),
        ("'a' + 'b'", "ab"),
        ("[1] + [2]", [1, 2]),
        ("'a' ~ 1 ~ true", "a1true"),
        ("'a' ~ body.missing", None),
        ("body.n < 1", True),
        ("body.missing < 1", False),
        ("body.missing >= 0", False),
        ("1 < body.list[0] <= 10", True),
        ("'a' < 'b'", True),
        ("body.n == 0", True),
        ("body.missing == none", True),
        ("body.missing != 1", True),
        ("'e' in body.t", True),
        ("'a' in body.map", True),
        ("20 in body.list", True),
        ("body.missing in body.list", False),
        ("1 in body.missing", False),
        ("body.missing not in ['a']", True),
        ("body.t in ['text', 'x']", True),
    ],
)
def test_operators(text: str, result: Any) -> None:
    found = value(text, BODY)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("body.n or 5", 5),
        ("body.t and body.n", 0),
        ("body.missing or body.null", None),
        ("not body.missing", True),
        ("1 if body.flag else 2", 2),
        ("1 if body.flag", None),
        ("body.n | default(5)", 0),
        ("body.null | default(5)", 5),
        ("body.flag | default(true)", False),
        ("body.missing | default(body.also_missing) | default('x')", "x"),
        ("(body.missing | default({})).a | default(1)", 1),
        ("body.n is present", True),
        ("body.null is absent", True),
        ("body.missing is not present", True),
        ("body.t is string and body.n is number", True),
        ("body.flag is number", False),
        ("[1, body.missing, 2]", [1, 2]),
        ("{'a': body.missing, 'b': 1, body.t: 2}", {"b": 1, "text": 2}),
        ("{body.missing: 1}", {}),
    ],
)
def test_nothing_and_truth(text: str, result: Any) -> None:
    found = value(text, BODY)
    assert found == result
    assert type(found) is type(result)


def test_text_around_an_expression_makes_a_text() -> None:
    assert run("a {{ body.n }}, {{ body.flag }}, {{ body.list }}", BODY) == "a 0, false, [10,20,30]"


def test_text_with_nothing_inside_is_nothing() -> None:
    assert run({"kept": "x", "gone": "a {{ body.missing }}"}, BODY) == {"kept": "x"}


def test_braces_inside_an_expression_do_not_end_it() -> None:
    assert run("{{ body.missing | default({'a': {'b': '}}'}}) }}", {}) == {"a": {"b": "}}"}}


def test_other_marks_of_templates_are_plain_text() -> None:
    assert run("{# no comment #} {{ body }}\n", 1) == "{# no comment #} 1\n"
    assert run({"$raw": "{% if %} {{ body }}"}, 1) == "{% if %} {{ body }}"


@pytest.mark.parametrize(
    ("text", "code", "nearest"),
    [
        ("bodi.model", "unknown-name", "body"),
        ("body | lowre", "unknown-filter", "lower"),
        ("body is strng", "unknown-test", "string"),
        ("body is defined", "unknown-test", "present"),
        ("body | lookup('t')", "unknown-table", None),
        ("body | join(1, 2)", "wrong-arguments", None),
        ("body | default", "wrong-arguments", None),
        ("body | round(digits=2)", "wrong-arguments", None),
        ("body | matches(body.x)", "wrong-arguments", None),
        ("body | matches('(')", "bad-pattern", None),
        ("body | replace_re('a', '\\\\7')", "bad-pattern", None),
        ("body ** 2", "bad-expression", None),
        ("'a' * 3", "bad-expression", None),
        ("body.x()", "bad-expression", None),
        ("range(9)", "bad-expression", None),
        ("body.", "bad-expression", None),
        ("body }}", "bad-expression", None),
        ("a b", "bad-expression", None),
        ("", "bad-expression", None),
        ("1e999", "bad-expression", None),
        ("9" * 5000, "bad-expression", None),
    ],
)
def test_fault_has_a_code_a_path_and_the_nearest_name(text: str, code: str, nearest: str | None) -> None:
    found = expression_faults(text)
    assert [fault.code for fault in found] == [code]
    assert found[0].path == "spec.request.decode"
    if nearest is not None:
        assert found[0].nearest == nearest


def test_all_faults_of_a_tree_are_told_at_once() -> None:
    found = faults({"a": "{{ x }}", "b": ["{{ body | nope }}", {"c": "{{ body is nope }}"}]})
    assert [fault.path for fault in found] == [
        "spec.request.decode.a",
        "spec.request.decode.b[0]",
        "spec.request.decode.b[1].c",
    ]


@pytest.mark.parametrize(
    ("text", "body", "why"),
    [
        ("body.a + 1", {"a": "x"}, "can't add a text and a number"),
        ("body.a < 1", {"a": "x"}, "has a type that can't be used here"),
        ("body.a < body.b", {"a": "x", "b": 1}, "can't compare a text and a number"),
        ("body.a - 1", {"a": []}, "can't subtract a list and a number"),
        ("body.list[::body.z]", {"list": [], "z": 0}, "no step of 0"),
    ],
)
def test_wrong_shape_at_run_time_names_the_expression(text: str, body: Any, why: str) -> None:
    with pytest.raises(MappingError, match=why) as caught:
        value(text, body)
    assert caught.value.path == text
    assert caught.value.__notes__ == ["in spec.request.decode"]


def test_the_failing_expression_is_named_among_many() -> None:
    tree = {"a": "{{ body.x }}", "b": [{"c": "{{ body.y + 1 }}"}], "d": "{{ body.z }}"}
    with pytest.raises(MappingError) as caught:
        run(tree, {"y": "1"})
    assert caught.value.path == "body.y + 1"
    assert caught.value.__notes__ == ["in spec.request.decode.b[0].c"]
