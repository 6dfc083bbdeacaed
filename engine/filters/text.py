"""Filters on text."""

from __future__ import annotations

from typing import Any

from engine.filters.operations import GROWTH, as_text, fail
from engine.filters.record import Filter

JOINED = 1 << 24
"""How many characters joining may make beyond the longest piece."""


def joined(pieces: list[str], separator: str = "") -> str:
    """Pieces put together, within bounds."""
    if len(pieces) == 1:  # PERF: most turns are one text
        return pieces[0]
    total = sum(map(len, pieces)) + len(separator) * len(pieces)
    if total > JOINED + max(map(len, pieces), default=0):
        fail("the text grows too long")
    return separator.join(pieces)


def _lower(value: Any) -> str | None:
    return value.lower() if type(value) is str else None


def _upper(value: Any) -> str | None:
    return value.upper() if type(value) is str else None


def _trim(value: Any, characters: Any = None) -> str | None:
    if type(value) is not str or not (characters is None or type(characters) is str):
        return None
    return value.strip(characters)


def _utf8_offset(value: Any, characters: Any) -> int | None:
    if type(value) is not str or type(characters) is not int:
        return None
    return len(value[: max(characters, 0)].encode("utf-8", "surrogatepass"))


def _offset_of(value: Any, piece: Any) -> int | None:
    if type(value) is not str or type(piece) is not str or not piece:
        return None
    place = value.find(piece)
    return None if place < 0 else place


def _join(value: Any, separator: Any = "") -> str | None:
    if type(value) is str:
        return value
    if type(value) is not list or type(separator) is not str:
        return None
    return joined([as_text(item) for item in value if item is not None], separator)


def _split(value: Any, separator: Any = None, times: Any = -1) -> list[str] | None:
    if type(value) is not str or separator == "" or type(times) is not int:
        return None
    return value.split(separator, times) if separator is None or type(separator) is str else None


def _replace(value: Any, old: Any, new: Any) -> str | None:
    if type(value) is not str or type(old) is not str or type(new) is not str or not old:
        return None
    if len(new) > len(old) and value.count(old) * (len(new) - len(old)) > GROWTH:
        fail("the text grows too long")
    return value.replace(old, new)


def _string(value: Any) -> str:
    return as_text(value)


def _startswith(value: Any, *prefixes: Any) -> bool:
    return type(value) is str and value.startswith(tuple(prefix for prefix in prefixes if type(prefix) is str))


def _endswith(value: Any, *suffixes: Any) -> bool:
    return type(value) is str and value.endswith(tuple(suffix for suffix in suffixes if type(suffix) is str))


def _without_prefix(value: Any, prefix: Any) -> str | None:
    if type(value) is not str:
        return None
    return value.removeprefix(prefix) if type(prefix) is str else value


def _without_suffix(value: Any, suffix: Any) -> str | None:
    if type(value) is not str:
        return None
    return value.removesuffix(suffix) if type(suffix) is str else value


FILTERS = (
    Filter("lower", _lower, "text", "text", "small letters", (("'Ab' | lower", "ab"), ("none | lower", None))),
    Filter("upper", _upper, "text", "text", "capital letters", (("'Ab' | upper", "AB"), ("1 | upper", None))),
    Filter(
        "trim",
        _trim,
        "text",
        "text",
        "without white space, or the given characters, at both ends",
        (("' a ' | trim", "a"), ("'/a/' | trim('/')", "a")),
        ("characters?",),
        elsewhere=("strip",),
    ),
    Filter(
        "join",
        _join,
        "list",
        "text",
        "the items as one text, with a separator between",
        (("['a', 1, true] | join('-')", "a-1-true"), ("[] | join", ""), ("none | join", None)),
        ("separator?",),
        cost=8,
    ),
    Filter(
        "split",
        _split,
        "text",
        "list",
        "the pieces between separators (white space if none is given), cut at most so many times",
        (("'a b' | split", ["a", "b"]), ("'a/b/c' | split('/', 1)", ["a", "b/c"])),
        ("separator?", "times?"),
    ),
    Filter(
        "replace",
        _replace,
        "text",
        "text",
        "every occurrence of one text replaced by another",
        (("'a.b' | replace('.', '_')", "a_b"),),
        ("old", "new"),
    ),
    Filter(
        "string",
        _string,
        "any",
        "text",
        "the value as text; structures as compact JSON",
        (("1 | string", "1"), ("true | string", "true"), ("[1, 'é'] | string", '[1,"é"]')),
        cost=4,
        longer=2,
        never_nothing=True,
        elsewhere=("str",),
    ),
    Filter(
        "startswith",
        _startswith,
        "text",
        "boolean",
        "does the text begin with one of these",
        (("'abc' | startswith('ab')", True), ("'abc' | startswith('x', 'y')", False)),
        ("prefixes*",),
        cost=0,
        never_nothing=True,
    ),
    Filter(
        "endswith",
        _endswith,
        "text",
        "boolean",
        "does the text end with one of these",
        (("'abc' | endswith('bc')", True), ("1 | endswith('1')", False)),
        ("suffixes*",),
        cost=0,
        never_nothing=True,
    ),
    Filter(
        "utf8_offset",
        _utf8_offset,
        "text",
        "number",
        "how many bytes of UTF-8 so many characters of the text take",
        (("'Größe' | utf8_offset(4)", 6), ("'abc' | utf8_offset(9)", 3), ("'abc' | utf8_offset(none)", None)),
        ("characters",),
    ),
    Filter(
        "offset_of",
        _offset_of,
        "text",
        "number",
        "how many characters stand before the first occurrence of a piece; nothing if it does not occur",
        (("'Größe da' | offset_of('da')", 6), ("'abc' | offset_of('x')", None), ("'abc' | offset_of(none)", None)),
        ("piece",),
    ),
    Filter(
        "removeprefix",
        _without_prefix,
        "text",
        "text",
        "without this beginning, if it has it",
        (("'models/m' | removeprefix('models/')", "m"), ("'m' | removeprefix('models/')", "m")),
        ("prefix",),
    ),
    Filter(
        "removesuffix",
        _without_suffix,
        "text",
        "text",
        "without this end, if it has it",
        (("'a.png' | removesuffix('.png')", "a"),),
        ("suffix",),
    ),
)
