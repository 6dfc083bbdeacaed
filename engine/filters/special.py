"""Filters and tests for what may not be there, and for what a document lists: defaults, tables, members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.filters.operations import as_text, case_of, contains
from engine.filters.record import Filter, HandsOn, Literal, Question, QuestionForm


def _default(value: Any, other: Any) -> Any:
    return other if value is None else value


def _lookup(value: Any, table: Mapping[str, Any], name: str, report: list[tuple[str, str]]) -> Any:
    key = case_of(value)
    if key is not None and key in table:
        return table[key]
    if "_" not in table:
        report.append((name, f"has no word for {as_text(value)[:80]!r}"))
    return table.get("_")


def _in(value: Any, container: Any) -> bool:
    return contains(value, container)


FILTERS = (
    Filter(
        "default",
        _default,
        "any",
        "any",
        "another value in place of nothing or null",
        (("none | default(1)", 1), ("0 | default(1)", 0), ("'' | default('a')", "")),
        ("value",),
        elsewhere=("d",),
        alternative=True,
        hands_on=HandsOn.WHOLE,
    ),
    Filter(
        "lookup",
        _lookup,
        "any",
        "any",
        "what the document's table says; else its entry `_`; else nothing, with a line in the loss report",
        (),
        ("table",),
        cost=0,
        literals=(Literal.TABLE,),
        reports=True,
    ),
)

TESTS = (
    Question(
        "in",
        _in,
        "is it in the list, map or text",
        (("1 is in([1, 2])", True),),
        ("container",),
        asks=QuestionForm.MEMBER,
    ),
)
