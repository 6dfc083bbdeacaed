"""Comparison: where two JSON values part, in words that a reader can act on.

Takes what was expected and what came; gives an empty text if they agree. Numbers compare by value, true and 1 do not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from engine.compiler.diagnostics import path_text
from engine.compiler.positions import Path

_MOST = 12


def difference(expected: Any, found: Any, *, partly: bool = False) -> str:
    """Every spot where the values differ, a line or two each. ``partly``: maps may hold more than was expected."""
    lines: list[str] = []
    for count, (path, wanted, got) in enumerate(_differences(expected, found, (), partly)):
        if count == _MOST:
            lines.append("… and more")
            break
        lines += [f"at {path_text(path) or 'the top'}:", f"  - {wanted}", f"  + {got}"]
    return "\n".join(lines)


def _differences(expected: Any, found: Any, path: Path, partly: bool) -> Iterator[tuple[Path, str, str]]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in expected:
            if key not in found:
                yield (*path, key), _shown(expected[key]), "(absent)"
            else:
                yield from _differences(expected[key], found[key], (*path, key), partly)
        for key in () if partly else found:
            if key not in expected:
                yield (*path, key), "(absent)", _shown(found[key])
    elif isinstance(expected, list) and isinstance(found, list):
        for index in range(max(len(expected), len(found))):
            if index >= len(found):
                yield (*path, index), _shown(expected[index]), "(absent)"
            elif index >= len(expected):
                yield (*path, index), "(absent)", _shown(found[index])
            else:
                yield from _differences(expected[index], found[index], (*path, index), partly)
    elif not _same(expected, found):
        yield path, _shown(expected), _shown(found)


def _same(expected: Any, found: Any) -> bool:
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    return bool(expected == found)


def _shown(value: Any, most: int = 400) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= most else text[: most - 1] + "…"
