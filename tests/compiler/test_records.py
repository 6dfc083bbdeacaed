"""What a filter or a directive is stands in its record alone: who adds one writes that, and the compiler knows it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import compiler
from engine.compiler.analyses import copied_texts, growth, read_paths, request_fields
from engine.compiler.analyses.results import ResultFinder
from engine.compiler.directives import DIRECTIVES, Directive, DirectiveChild, Role, survey
from engine.filters import FILTERS, TESTS, Filter, HandsOn, Question
from tests.compiler.workbench import Bench

ROOM = Path(compiler.__file__).parent
MODULES = [path for path in sorted(ROOM.rglob("*.py")) if "__pycache__" not in path.parts]


def _add(monkeypatch: pytest.MonkeyPatch, name: str, **more: Any) -> None:
    record = Filter(name, lambda value, *_: value, "any", "any", "a filter of this test", (), ("key?",), **more)
    monkeypatch.setitem(FILTERS, name, record)


def test_a_filter_that_hands_items_on_is_followed(monkeypatch):
    _add(monkeypatch, "odd_ones", hands_on=HandsOn.ITEMS)
    tree = {"$for": "x in body.items | odd_ones", "$do": "{{ x.a }}"}
    assert read_paths.reads(tree, "body", Bench().scope()) == {"items", "items.a"}


def test_a_filter_that_chooses_by_a_key_reads_it(monkeypatch):
    _add(monkeypatch, "having", hands_on=HandsOn.ITEMS, by_key=True)
    tree = {"$for": "x in body.items | having('k')", "$do": "{{ x.a }}"}
    assert read_paths.reads(tree, "body", Bench().scope()) == {"items", "items.k", "items.a"}


def test_a_filter_that_gives_something_of_its_own_reads_the_whole(monkeypatch):
    _add(monkeypatch, "blurred")
    assert read_paths.reads("{{ (body.items | blurred).a }}", "body", Bench().scope()) == {"items"}


def test_a_filter_that_takes_one_item_loses_the_others(monkeypatch):
    _add(monkeypatch, "foremost", hands_on=HandsOn.ITEMS, takes_one=True)
    assert "tools.[one]" in request_fields.taken({"a": "{{ (request.tools | foremost).name }}"}, Bench().scope())


def test_a_filter_that_gives_its_input_leaves_a_text_copied(monkeypatch):
    _add(monkeypatch, "same", hands_on=HandsOn.WHOLE)
    _add(monkeypatch, "other")
    tree = {"a": "{{ body.one | same }}", "b": "{{ body.two | other }}"}
    assert copied_texts.texts(tree, "body", Bench().scope()) == ["one"]


def test_a_name_of_another_language_is_answered_with_ours(monkeypatch):
    _add(monkeypatch, "sole", elsewhere=("onlyone",))
    bench = Bench()
    bench.functions("{{ body | onlyone }}")
    assert [fault.nearest for fault in bench.faults] == ["sole"]


def _compared(path: Path) -> Iterator[tuple[int, str]]:
    """Texts that a module compares a ``name`` with."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute) and node.left.attr == "name":
            for other in node.comparators:
                yield from (
                    (node.lineno, inner.value)
                    for inner in ast.walk(other)
                    if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
                )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOM)))
def test_no_module_knows_a_filter_or_test_by_name(path):
    assert [item for item in _compared(path) if item[1] in FILTERS or item[1] in TESTS] == []


@pytest.mark.parametrize("record", [*FILTERS.values(), *TESTS.values()], ids=lambda item: item.name)
def test_what_others_call_it_is_no_name_of_ours(record: Filter | Question) -> None:
    known = FILTERS if isinstance(record, Filter) else TESTS
    assert not set(record.elsewhere) & set(known)


def _either(tree: dict[str, Any]) -> list[DirectiveChild]:
    """`$either`: one of two trees, by an expression; with `$as` the first has a name in the second."""
    return [
        DirectiveChild(Role.ASKED, tree["$either"], ("$either",)),
        DirectiveChild(Role.NAMED, tree["$as"], ("$as",), ("mine",)),
        DirectiveChild(Role.RESULT, tree["$one"], ("$one",), when=tree["$either"]),
        DirectiveChild(Role.RESULT, tree["$two"], ("$two",)),
    ]


TREE = {"$either": "body.kind", "$as": "{{ body.deep }}", "$one": "{{ mine.a }}", "$two": {"$use": "f", "$with": {}}}


@pytest.fixture
def either(monkeypatch):
    directive = Directive("$either", "for this test", lambda *_: None, _either, ("$as", "$one", "$two"))
    monkeypatch.setitem(DIRECTIVES, "$either", directive)


@pytest.mark.usefixtures("either")
def test_analyses_go_through_the_children_of_a_new_directive():
    assert read_paths.reads(TREE, "body", Bench().scope()) == {"kind", "deep.a"}
    assert survey(TREE).fragments == {"f"}
    given = ResultFinder({"f": {"do": {"b": 1}}}, {}).results(TREE, ())
    assert [(item.at, item.value) for item in given] == [
        (("$one",), "{{ mine.a }}"),
        (("spec", "fragments", "f", "do"), {"b": 1}),
    ]


@pytest.mark.usefixtures("either")
def test_what_a_new_directive_puts_in_is_counted():
    bench = Bench()
    tree: Any = "{{ body }}"
    for _ in range(6):
        tree = {"$either": "body", "$as": [tree] * 9, "$one": "{{ mine }}", "$two": 1}
    growth.check(bench.scope(), bench.scope().where, tree, ("body",), ())
    assert [fault.code for fault in bench.faults] == ["too-large"]


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.parent.name != "directives"], ids=lambda path: str(path.relative_to(ROOM))
)
def test_no_module_beside_the_directives_knows_a_key_of_one(path):
    keys = {key for item in DIRECTIVES.values() for key in (item.key, *item.needed, *item.optional)}
    texts = [
        (node.lineno, node.value)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in keys
    ]
    assert texts == []
