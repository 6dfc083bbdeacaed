"""Values of assertions: what a place holds is compared with a value itself, or with a map of words that all hold.

``fault(value, wanted, other)`` gives nothing where it holds, else what is wrong in a few words; ``other`` looks up
another place for the words that compare two. Words and their meaning: the page beside the cases of reports.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from typing import Any


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()
"""What a place holds that is not there."""
Look = Callable[[str], Any]
_SHOWN = 600
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")


def fault(value: Any, wanted: Any, other: Look) -> str | None:
    """Nothing, or how the value differs from what is wanted."""
    if not _is_words(wanted):
        return None if _same(value, wanted) else f"{_shown(value)} is not {_shown(wanted)}"
    for word, told in wanted.items():
        if not _WORDS[word](value, told, other):
            return f"{_shown(value)}: not {word} {_shown(told)}"
    return None


def _is_words(wanted: Any) -> bool:
    if not isinstance(wanted, dict) or not wanted:
        return False
    known = wanted.keys() & _WORDS.keys()
    if known and known != wanted.keys():
        raise ValueError(f"unknown words of an assertion: {sorted(wanted.keys() - known)}")
    return bool(known)


def _same(value: Any, wanted: Any) -> bool:
    """Equal as JSON is: true is not 1, and 1.0 is 1."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, dict) and isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(_same(value[key], wanted[key]) for key in wanted)
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(_same, value, wanted))
    return bool(value == wanted)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def texts(value: Any) -> tuple[str, ...]:
    """A value as it is searched: as JSON, and a text as it stands, too."""
    if value is ABSENT:
        return ("",)
    as_json = json.dumps(value, ensure_ascii=False)
    return (value, as_json) if isinstance(value, str) else (as_json,)


def _contains(value: Any, text: str) -> bool:
    return any(text in form for form in texts(value))


def _decoded(value: Any) -> Iterator[str]:
    """The value's texts, and what its base64 holds."""
    for form in texts(value):
        yield form
        for found in _BASE64.findall(form):
            plain = found.rstrip("=").replace("-", "+").replace("_", "/")
            try:
                yield base64.b64decode(plain + "=" * (-len(plain) % 4)).decode("utf-8", "replace")
            except (binascii.Error, ValueError):
                continue


def _maps(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _maps(member)


def _all(told: Any) -> list[Any]:
    return told if isinstance(told, list) else [told]


def _none(value: Any, told: Any, other: Look) -> bool:
    return fault(value, told, other) is not None


_WORDS: dict[str, Callable[[Any, Any, Look], bool]] = {
    "absent": lambda value, told, _: (value is ABSENT) is told,
    "present": lambda value, told, _: (value is not ABSENT) is told,
    "one_of": lambda value, told, other: any(fault(value, each, other) is None for each in told),
    "not": _none,
    "length": lambda value, told, _: hasattr(value, "__len__") and len(value) == told,
    "max_length": lambda value, told, _: hasattr(value, "__len__") and len(value) <= told,
    "at_most": lambda value, told, _: _number(value) and value <= told,
    "at_least": lambda value, told, _: _number(value) and value >= told,
    "contains_text": lambda value, told, _: all(_contains(value, text) for text in _all(told)),
    "contains_one": lambda value, told, _: any(_contains(value, text) for text in _all(told)),
    "lacks_text": lambda value, told, _: not any(_contains(value, text) for text in _all(told)),
    "decoded_contains": lambda value, told, _: all(
        any(text in form for form in _decoded(value)) for text in _all(told)
    ),
    "matches": lambda value, told, _: isinstance(value, str) and re.search(told, value) is not None,
    "not_path": lambda value, told, other: not _same(value, other(told)),
    "same_path": lambda value, told, other: value is not ABSENT and _same(value, other(told)),
    "not_keys_together": lambda value, told, _: not any(set(told) <= each.keys() for each in _maps(value)),
}


def _shown(value: Any) -> str:
    text = repr(value) if value is ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"
