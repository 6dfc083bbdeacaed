"""Comparison: where two JSON values part, in words that a reader can act on.

Takes what was expected and what came; gives an empty text if they agree. Numbers compare by value, true and 1 do not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from engine.compiler.diagnostics import path_text
from engine.compiler.documents.positions import Path

_MOST = 12
_ABSENT: Any = object()


def difference(expected: Any, found: Any, *, partly: bool = False) -> str:
    """Every spot where the values differ, a line or two each. ``partly``: maps may hold more than was expected."""
    lines: list[str] = []
    for count, (path, wanted, actual) in enumerate(_differences(expected, found, (), partly)):
        if count == _MOST:
            lines.append("… and more")
            break
        lines += [f"at {path_text(path) or 'the top'}:", f"  - {wanted}", f"  + {actual}"]
    return "\n".join(lines)


def _differences(expected: Any, actual: Any, path: Path, partly: bool) -> Iterator[tuple[Path, str, str]]:
    if isinstance(expected, dict) and isinstance(actual, dict):
        more = () if partly else [key for key in actual if key not in expected]
        for key in (*expected, *more):
            yield from _member(expected.get(key, _ABSENT), actual.get(key, _ABSENT), (*path, key), partly)
    elif isinstance(expected, list) and isinstance(actual, list):
        for index, (left, right) in enumerate(zip_longest(expected, actual, fillvalue=_ABSENT)):
            yield from _member(left, right, (*path, index), partly)
    elif not _same(expected, actual):
        yield path, _shown(expected), _shown(actual)


def _member(expected: Any, actual: Any, path: Path, partly: bool) -> Iterator[tuple[Path, str, str]]:
    if expected is _ABSENT or actual is _ABSENT:
        yield path, _shown(expected), _shown(actual)
    else:
        yield from _differences(expected, actual, path, partly)


def _same(expected: Any, actual: Any) -> bool:
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    return bool(expected == actual)


def _shown(value: Any, most: int = 400) -> str:
    if value is _ABSENT:
        return "(absent)"
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= most else text[: most - 1] + "…"
