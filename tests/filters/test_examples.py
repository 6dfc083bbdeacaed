"""Filters and tests do what their records say; the records are all there is to know of them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from engine.errors import MappingError
from engine.filters import FILTERS, TESTS, Filter, Question
from tests.compiler.workbench import value

RECORDS: list[Filter | Question] = [*FILTERS.values(), *TESTS.values()]
EXAMPLES = [(expression, result) for record in RECORDS for expression, result in record.examples]
PLAIN = [item for item in FILTERS.values() if not (item.literals or item.reports)]
ODD: list[Any] = [
    0,
    -1,
    1.5,
    True,
    "",
    "text",
    "\ud800",
    [],
    [None],
    [[1], {"type": 5}],
    {},
    {"a": None},
    10**30,
    1e300,
]


def same(left: Any, right: Any) -> bool:
    """Equal, and of one type: 1 is neither 1.0 nor true."""
    return type(left) is type(right) and left == right


@pytest.mark.parametrize(("expression", "result"), EXAMPLES, ids=[expression for expression, _ in EXAMPLES])
def test_example_of_a_record_gives_its_result(expression: str, result: Any) -> None:
    assert same(value(expression), result)


@pytest.mark.parametrize("record", [item for item in RECORDS if item.name != "lookup"], ids=lambda item: item.name)
def test_every_record_has_words_and_an_example_that_uses_it(record: Filter | Question) -> None:
    assert record.words
    assert any(record.name in expression for expression, _ in record.examples)


@pytest.mark.parametrize("record", PLAIN, ids=lambda item: item.name)
def test_declared_arguments_are_those_of_the_function(record: Filter) -> None:
    parameters = list(inspect.signature(record.function).parameters.values())[1:]
    required = [item for item in parameters if item.default is item.empty and item.kind is not item.VAR_POSITIONAL]
    variable = any(item.kind is item.VAR_POSITIONAL for item in parameters)
    assert record.least >= len(required)
    assert variable or record.most == len(parameters)


@pytest.mark.parametrize("record", PLAIN, ids=lambda item: item.name)
def test_odd_input_gives_nothing_or_a_mapping_error_and_never_another_failure(record: Filter) -> None:
    count = record.most if record.most is not None else record.least
    for given in ODD:
        for argument in [None, *ODD]:
            try:
                record.function(given, *[argument] * count)
            except MappingError as ex:
                assert ex.why  # noqa: PT017 - most combinations do not fail


@pytest.mark.parametrize("name", [item.name for item in FILTERS.values() if not item.alternative and item.examples])
def test_filter_on_nothing_is_nothing(name: str) -> None:
    arguments = ", ".join(["'a'"] * FILTERS[name].least)
    assert value(f"body.missing | {name}({arguments})", {}) is None


def test_filters_leave_their_input_as_it_is() -> None:
    given = {"a": [2, 1], "b": {"c": 1}}
    value("body.a | concat([3]) | sort | reverse", given)
    value("body.b | merge({'d': 1}) | without('c')", given)
    assert given == {"a": [2, 1], "b": {"c": 1}}


def test_joining_a_list_that_was_multiplied_is_bounded() -> None:
    with pytest.raises(MappingError, match="grows too long"):
        value("body | join('" + "x" * 1000 + "')", ["a"] * 20_000)


def test_replacing_can_not_blow_a_text_up() -> None:
    with pytest.raises(MappingError, match="grows too long"):
        value("body | replace('a', '" + "b" * 1000 + "')", "a" * 5000)
