"""Regular expressions in linear time (RE2), with patterns that are known when a document is compiled."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import re2

from engine.filters.operations import GROWTH, fail
from engine.filters.record import Filter, Literal, Question

MEMORY = 4 << 20
"""Bytes that one compiled pattern may take; ``x{1000}{1000}`` needs more and is refused."""
LONGEST = 2000
"""Characters in a pattern."""
PLACES = 20_000
"""How many places of one text are replaced (7 us each)."""
_SHORT = 100
_REMEMBERED = 500

Template = tuple[str | int, ...]


class Pattern:
    """A compiled pattern that remembers its answers for short texts.

    PERF: model names and the like come again and again; asking the library takes 5 us, remembering 0.1 us.
    """

    __slots__ = ("_answers", "compiled")

    def __init__(self, compiled: Any) -> None:
        self.compiled = compiled
        self._answers: dict[str, bool] = {}

    def found(self, text: str) -> bool:
        """Does it fit anywhere in the text?"""
        if len(text) > _SHORT:
            return self.first(text) is not None
        answer = self._answers.get(text)
        if answer is None:
            if len(self._answers) >= _REMEMBERED:
                self._answers.clear()
            answer = self._answers[text] = self.first(text) is not None
        return answer

    def first(self, text: str) -> Any:
        """The first place where it fits, as a match object; None for text that is no Unicode."""
        try:
            return self.compiled.search(text)
        except UnicodeEncodeError:
            return None


@lru_cache(maxsize=4096)
def pattern(text: str) -> Pattern:
    """A compiled pattern; ValueError with the reason if it is none."""
    if len(text) > LONGEST:
        raise ValueError(f"the pattern has more than {LONGEST} characters")
    options = re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    try:
        return Pattern(re2.compile(text, options=options))
    except re2.error as ex:
        reason = ex.args[0] if ex.args else "not a pattern"
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from ex


def template(new: str, groups: int) -> Template:
    r"""A replacement in pieces: text, and for ``\1`` the group's number; ``\\`` is a backslash."""
    pieces: list[str | int] = []
    for piece in re.split(r"(\\.?)", new, flags=re.DOTALL):
        if not piece.startswith("\\"):
            pieces.append(piece)
        elif piece == "\\\\":
            pieces.append("\\")
        elif piece[1:].isdecimal() and int(piece[1:]) <= groups:
            pieces.append(int(piece[1:]))
        else:
            raise ValueError(f"{piece} is no group of the pattern, which has {groups}")
    return tuple(piece for piece in pieces if piece != "")


def matches(value: Any, compiled: Pattern) -> bool:
    """Is the pattern found anywhere in the text?"""
    return type(value) is str and compiled.found(value)


def replaced(value: Any, compiled: Pattern, new: Template) -> str | None:
    """The text with each place where the pattern fits replaced."""
    if type(value) is not str:
        return None
    pieces: list[str] = []
    end = size = 0
    try:
        for count, match in enumerate(compiled.compiled.finditer(value)):
            put = "".join(piece if type(piece) is str else match[piece] or "" for piece in new)
            size += len(put)
            if count >= PLACES or size > GROWTH + len(value):
                fail("too much of the text would be replaced")
            pieces += (value[end : match.start()], put)
            end = match.end()
    except UnicodeEncodeError:
        return value
    return "".join(pieces) + value[end:]


def captured(value: Any, compiled: Pattern) -> dict[str, str] | None:
    """The named groups of the first place where the pattern fits; nothing if it does not."""
    match = compiled.first(value) if type(value) is str else None
    if match is None:
        return None
    return {name: text for name, text in match.groupdict().items() if text is not None}


_FITS = "does the pattern (RE2, written as a text) fit anywhere"

FILTERS = (
    Filter(
        "matches",
        matches,
        "text",
        "boolean",
        _FITS,
        (("'abc' | matches('^a.c$')", True), ("1 | matches('1')", False)),
        ("pattern",),
        never_nothing=True,
        literals=(Literal.PATTERN,),
    ),
    Filter(
        "replace_re",
        replaced,
        "text",
        "text",
        "each place where the pattern fits replaced",
        (("'a1b22' | replace_re('[0-9]+', '#')", "a#b#"), (r"'ab' | replace_re('(a)(b)', '\\2\\1')", "ba")),
        ("pattern", "new"),
        literals=(Literal.PATTERN, Literal.REPLACEMENT),
    ),
    Filter(
        "capture",
        captured,
        "text",
        "map",
        "the named groups of the first place where the pattern fits",
        (("'m-high' | capture('-(?P<effort>[a-z]+)$')", {"effort": "high"}), ("'m' | capture('(?P<a>x)')", None)),
        ("pattern",),
        literals=(Literal.PATTERN,),
    ),
)

TESTS = (
    Question(
        "matches",
        matches,
        _FITS,
        (("'abc' is matches('b')", True), ("none is matches('b')", False)),
        ("pattern",),
        cost=1,
        literals=(Literal.PATTERN,),
    ),
)
