"""Where a count stands in a usage object: ``a.b``, ``list[modality=AUDIO].count``, ``list[*].count`` (summed).

Takes JSON data and a declared path; gives an integer or nothing. Anything that isn't a whole number is nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

_SEGMENT = re.compile(r"([^.\[\]]+)((?:\[[^\]]*\])*)")
_BRACKET = re.compile(r"\[([^\]]*)\]")

Step = tuple[str, str | None]


@lru_cache(maxsize=2048)
def compiled(path: str) -> tuple[Step, ...]:
    """The steps of a path: ("key", name), ("all", None), ("where", "key=value")."""
    steps: list[Step] = []
    for name, brackets in _SEGMENT.findall(path):
        steps.append(("key", name))
        for inner in _BRACKET.findall(brackets):
            steps.append(("all", None) if inner == "*" else ("where", inner))
    return tuple(steps)


def whole(value: Any) -> int | None:
    """An integer, also when written as a float; nothing for all else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def values(data: Any, path: str) -> list[Any]:
    """All values that a path leads to."""
    found = [data]
    for what, detail in compiled(path):
        following: list[Any] = []
        for here in found:
            if what == "key":
                if isinstance(here, dict) and detail in here:
                    following.append(here[detail])
            elif isinstance(here, list):
                following.extend(_selected(here, what, detail or ""))
        found = following
    return found


def _selected(here: list[Any], what: str, detail: str) -> list[Any]:
    if what == "all":
        return here
    key, _, wanted = detail.partition("=")
    return [entry for entry in here if isinstance(entry, dict) and str(entry.get(key)) == wanted]


def count(data: Any, path: str | list[str]) -> int | None:
    """The sum of the whole numbers at a path; of several paths the first that has any."""
    for one in [path] if isinstance(path, str) else path:
        numbers = [number for number in map(whole, values(data, one)) if number is not None]
        if numbers:
            return sum(numbers)
    return None
