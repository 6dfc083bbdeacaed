"""Filters and tests that the compiler writes itself: their arguments are names, patterns or left alone if not needed.

The records stand here for lists, checks and examples; how each becomes code is in engine.compiler.calls.
"""

from __future__ import annotations

from typing import Any

from engine.filters.record import Filter, Question


def _compiled(*_: Any) -> Any:
    raise NotImplementedError("written by the compiler")


FILTERS = (
    Filter(
        "default",
        _compiled,
        "any",
        "any",
        "another value in place of nothing or null",
        (("none | default(1)", 1), ("0 | default(1)", 0), ("'' | default('a')", "")),
        ("value",),
    ),
    Filter(
        "lookup",
        _compiled,
        "any",
        "any",
        "what the document's table says; else its entry `_`; else nothing, with a line in the loss report",
        (),
        ("table",),
    ),
    Filter(
        "matches",
        _compiled,
        "text",
        "boolean",
        "does the pattern (RE2, written as a text) fit anywhere",
        (("'abc' | matches('^a.c$')", True), ("1 | matches('1')", False)),
        ("pattern",),
    ),
    Filter(
        "replace_re",
        _compiled,
        "text",
        "text",
        "each place where the pattern fits replaced",
        (("'a1b22' | replace_re('[0-9]+', '#')", "a#b#"), (r"'ab' | replace_re('(a)(b)', '\\2\\1')", "ba")),
        ("pattern", "new"),
    ),
    Filter(
        "capture",
        _compiled,
        "text",
        "map",
        "the named groups of the first place where the pattern fits",
        (("'m-high' | capture('-(?P<effort>[a-z]+)$')", {"effort": "high"}), ("'m' | capture('(?P<a>x)')", None)),
        ("pattern",),
    ),
    Filter(
        "fromjson_object",
        _compiled,
        "text",
        "map",
        "JSON text as a map; anything else is {} with a line in the loss report (empty text is just {})",
        (("'{\"a\": 1}' | fromjson_object", {"a": 1}), ("'[1]' | fromjson_object", {}), ("'' | fromjson_object", {})),
    ),
)

TESTS = (
    Question(
        "matches",
        _compiled,
        "does the pattern (RE2, written as a text) fit anywhere",
        (("'abc' is matches('b')", True), ("none is matches('b')", False)),
        ("pattern",),
    ),
    Question("in", _compiled, "is it in the list, map or text", (("1 is in([1, 2])", True),), ("container",)),
)
