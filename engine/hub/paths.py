"""Where a count stands in a usage object: ``a.b``, ``list[modality=AUDIO].count``, ``list[*].count`` (summed).

Takes JSON data and a declared path; gives an integer or nothing. Anything that isn't a whole number is nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
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


Reader = Callable[[Any], int | None]


def reader(path: str | list[str], *, past_zeros: bool = False) -> Reader:
    """What reads the sum of the whole numbers at a path; of several paths the first that has any.

    ``past_zeros``: the first that tells more than 0, as servers that speak a format by several names fill the names
    that they don't use with zeros. PERF: most paths are a key or two; following them so costs a fifth of walking steps.
    """
    if not isinstance(path, str):
        if not any(sign in one for one in path for sign in ".["):
            return partial(_first_member, tuple(path), past_zeros)
        readers = [reader(one) for one in path]
        return partial(_first, readers, past_zeros)
    steps = compiled(path)
    keys = [detail or "" for what, detail in steps if what == "key"]
    return _by_keys(keys) if keys and len(keys) == len(steps) else partial(_count, path)


def reader_of_all(declared: Mapping[str, str | list[str]]) -> Callable[[Any], dict[str, int]]:
    """What reads the counts at several paths, by name; of several paths for one the first that tells more than 0.

    PERF: most paths lead below one of a few members, and a usage object has few of them.
    """
    below: dict[str, list[tuple[str, Reader]]] = {}
    """By the first key; under "" those that begin otherwise."""
    for name, path in declared.items():
        first, _, rest = path.partition(".") if isinstance(path, str) and "[" not in path else ("", "", "")
        below.setdefault(first, []).append(
            (name, reader(rest or path, past_zeros=True) if rest or not first else whole)
        )
    members = list(below.items())

    def read_all(data: Any) -> dict[str, int]:
        found: dict[str, int] = {}
        if not isinstance(data, dict):
            return found
        for first, readers in members:
            value = data.get(first) if first else data
            if value is not None:
                for name, read in readers:
                    number = read(value)
                    if number is not None:
                        found[name] = number
        return found

    return read_all


def _first_member(names: tuple[str, ...], past_zeros: bool, data: Any) -> int | None:
    """The same for members of the object itself. PERF: most lists are such."""
    zero = None
    if isinstance(data, dict):
        for name in names:
            value = data.get(name)
            if value is not None:
                number = value if type(value) is int else whole(value)
                if number or (number is not None and not past_zeros):
                    return number
                zero = number if zero is None else zero
    return zero


def _first(readers: list[Reader], past_zeros: bool, data: Any) -> int | None:
    zero = None
    for read in readers:
        number = read(data)
        if number or (number is not None and not past_zeros):
            return number
        zero = number if zero is None else zero
    return zero


def _by_keys(keys: list[str]) -> Reader:
    first, rest = keys[0], keys[1:]

    def read(data: Any) -> int | None:
        value = data.get(first) if isinstance(data, dict) else None
        for key in rest:
            if value is None:
                return None
            value = value.get(key) if isinstance(value, dict) else None
        return value if type(value) is int else whole(value)

    return read


def _count(path: str, data: Any) -> int | None:
    numbers = [number for number in map(whole, values(data, path)) if number is not None]
    return sum(numbers) if numbers else None
