"""Texts crossed out: letters and digits of the same number stand where a person's words stood.

What a document of the program says itself (roles, types, reasons for an end) stays, as do names of members and small
numbers: so a redacted exchange can still be replayed. Texts that are JSON stay JSON.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from engine.turns import give_way

if TYPE_CHECKING:
    from engine.program import Program

_LONGEST_WORD = 64
_LARGEST = 10_000_000
"""Numbers from here on may be somebody's: of a telephone, an account, a card."""
_WORDS: dict[str, frozenset[str]] = {}
_PROGRAMS = 4
"""Programs whose words are kept; by their hashes, as they themselves are large."""
_LETTERS = re.compile(r"[^\W\d_]")


def words_of(program: Program) -> frozenset[str]:
    """What the documents of a program say: the texts in its mappings."""
    if program.hash not in _WORDS:
        while len(_WORDS) >= _PROGRAMS:
            _WORDS.pop(next(iter(_WORDS)), None)
        _WORDS[program.hash] = _said(program)
    return _WORDS[program.hash]


def _said(program: Program) -> frozenset[str]:
    words: set[str] = set()
    for function in program.functions.values():
        code = getattr(function, "__code__", None)
        if code is not None:
            _constants(code.co_consts, words)
    return frozenset(words)


def _constants(values: Any, words: set[str]) -> None:
    for value in values:
        if isinstance(value, str) and len(value) <= _LONGEST_WORD:
            words.add(value)
        elif isinstance(value, tuple | frozenset):
            _constants(value, words)
        elif hasattr(value, "co_consts"):
            _constants(value.co_consts, words)


def redacted(value: Any, words: frozenset[str]) -> Any:
    """A JSON value in which only ``words`` can be read."""
    give_way()
    if isinstance(value, str):
        return _text(value, words)
    if isinstance(value, dict):
        return {name: redacted(inner, words) for name, inner in value.items()}
    if isinstance(value, list):
        return [redacted(inner, words) for inner in value]
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= _LARGEST:
        return 0
    return value


def redacted_body(text: str, words: frozenset[str]) -> str:
    """A body: JSON, events with JSON in them, or else a text that is crossed out whole."""
    data = text.encode("utf-8", "surrogatepass")
    try:
        return orjson.dumps(redacted(orjson.loads(data), words)).decode()
    except (ValueError, TypeError):
        pass
    if not re.match(rb"(event|data|id|retry|:)", data.lstrip()):
        return crossed(text)
    lines = []
    for line in text.split("\n"):
        name, colon, rest = line.partition(":")
        lines.append(f"{name}{colon}{_line(name, rest, words)}" if colon else crossed(line))
    return "\n".join(lines)


def _line(name: str, rest: str, words: frozenset[str]) -> str:
    """What follows the name of a field of an event."""
    said = rest.strip()
    if name != "data" or said in words or not said.strip("[]_"):
        return rest if said in words else crossed(rest)
    try:
        return " " + orjson.dumps(redacted(orjson.loads(said), words)).decode()
    except (ValueError, TypeError):
        return crossed(rest)


def _text(text: str, words: frozenset[str]) -> str:
    if text in words:
        return text
    if text[:1] in ("{", "["):
        try:
            return orjson.dumps(redacted(orjson.loads(text), words)).decode()
        except (ValueError, TypeError):
            pass
    return crossed(text)


def crossed(text: str) -> str:
    """A text with crosses for its letters and ones for its digits."""
    return _LETTERS.sub(_cross, re.sub(r"\d", "1", text))


def _cross(match: re.Match[str]) -> str:
    letter = match[0]
    return "X" if letter.isupper() else "x" if letter < "\u2e80" else "文"
