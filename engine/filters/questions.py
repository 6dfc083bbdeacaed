"""The tests of expressions: what may stand after ``is``."""

from __future__ import annotations

from typing import Any

from engine.filters.encoding import FILTERS as _ENCODING
from engine.filters.record import Question, QuestionForm
from engine.filters.text import FILTERS as _TEXT

_BY_NAME = {item.name: item.function for item in (*_TEXT, *_ENCODING)}


def _present(value: Any) -> bool:
    return value is not None


def _absent(value: Any) -> bool:
    return value is None


def _string(value: Any) -> bool:
    return type(value) is str


def _number(value: Any) -> bool:
    return type(value) is int or type(value) is float


def _integer(value: Any) -> bool:
    return type(value) is int


def _boolean(value: Any) -> bool:
    return type(value) is bool


def _list(value: Any) -> bool:
    return type(value) is list


def _map(value: Any) -> bool:
    return type(value) is dict


def _empty(value: Any) -> bool:
    return value is None or (type(value) in (str, list, dict) and not value)


def _true(value: Any) -> bool:
    return value is True


def _false(value: Any) -> bool:
    return value is False


TESTS = (
    Question(
        "present",
        _present,
        "is it something",
        (("0 is present", True), ("none is present", False)),
        same_for_texts=True,
        asks=QuestionForm.PRESENT,
        elsewhere=("defined",),
    ),
    Question(
        "absent",
        _absent,
        "is it nothing",
        (("none is absent", True), ("'' is absent", False)),
        same_for_texts=True,
        asks=QuestionForm.ABSENT,
        elsewhere=("undefined", "none", "null"),
    ),
    Question(
        "string",
        _string,
        "is it a text",
        (("'a' is string", True), ("1 is string", False)),
        same_for_texts=True,
        asks=QuestionForm.TYPE,
        types=(str,),
        elsewhere=("text",),
    ),
    Question(
        "number",
        _number,
        "is it a number",
        (("1.5 is number", True), ("true is number", False)),
        same_for_texts=True,
        asks=QuestionForm.TYPE,
        types=(int, float),
    ),
    Question(
        "integer",
        _integer,
        "is it a whole number",
        (("1 is integer", True), ("1.0 is integer", False)),
        same_for_texts=True,
        asks=QuestionForm.TYPE,
        types=(int,),
    ),
    Question(
        "boolean",
        _boolean,
        "is it true or false",
        (("false is boolean", True), ("0 is boolean", False)),
        same_for_texts=True,
        asks=QuestionForm.TYPE,
        types=(bool,),
        elsewhere=("bool",),
    ),
    Question(
        "list",
        _list,
        "is it a list",
        (("[] is list", True), ("{} is list", False)),
        same_for_texts=True,
        asks=QuestionForm.TYPE,
        types=(list,),
        elsewhere=("sequence", "iterable", "array"),
    ),
    Question(
        "map",
        _map,
        "is it a map",
        (("{} is map", True), ("none is map", False)),
        same_for_texts=True,
        asks=QuestionForm.TYPE,
        types=(dict,),
        elsewhere=("dict", "object"),
    ),
    Question(
        "mapping",
        _map,
        "the same as `map`",
        (("{} is mapping", True), ("[] is mapping", False)),
        same_for_texts=True,
        asks=QuestionForm.TYPE,
        types=(dict,),
    ),
    Question(
        "empty",
        _empty,
        "is it nothing, or without content",
        (("[] is empty", True), ("0 is empty", False)),
        same_for_texts=True,
    ),
    Question("true", _true, "is it exactly true", (("true is true", True), ("1 is true", False)), same_for_texts=True),
    Question(
        "false", _false, "is it exactly false", (("false is false", True), ("0 is false", False)), same_for_texts=True
    ),
    Question(
        "startswith",
        _BY_NAME["startswith"],
        "does the text begin with one of these",
        (("'abc' is startswith('ab')", True), ("none is startswith('a')", False)),
        ("prefixes*",),
    ),
    Question(
        "endswith",
        _BY_NAME["endswith"],
        "does the text end with one of these",
        (("'abc' is endswith('bc')", True), ("'abc' is endswith('x', 'y')", False)),
        ("suffixes*",),
    ),
    Question("data_url", _BY_NAME["is_data_url"], "is it a data URL", (("'data:,a' is data_url", True),)),
)
