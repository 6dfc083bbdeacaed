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
    level = [data]
    for what, detail in compiled(path):
        following: list[Any] = []
        for here in level:
            if what == "key":
                if isinstance(here, dict) and detail in here:
                    following.append(here[detail])
            elif isinstance(here, list):
                following.extend(_selected(here, what, detail or ""))
        level = following
    return level


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
    if isinstance(path, str):
        keys = _keys(path)
        return partial(_count, path) if keys is None else partial(_at_keys, (keys,), past_zeros)
    several = tuple(keys for candidate in path if (keys := _keys(candidate)) is not None)
    if len(several) == len(path):
        return partial(_at_keys, several, past_zeros)
    return partial(_first, [reader(candidate) for candidate in path], past_zeros)


def reader_of_all(declared: Mapping[str, str | list[str]]) -> Callable[[Any], dict[str, int]]:
    """What reads the counts at several paths, by name; of several paths for one the first that tells more than 0.

    PERF: most paths lead below one of a few members, and a usage object has few of them.
    """
    direct: list[tuple[str, list[str]]] = []
    """Counts that are members of the object itself."""
    below: dict[str, list[tuple[str, Reader]]] = {}
    """By the first key; under "" those that begin otherwise."""
    for name, path in declared.items():
        names = [path] if isinstance(path, str) else path
        if not any(sign in candidate for candidate in names for sign in ".["):
            direct.append((name, names))
            continue
        first, _, rest = path.partition(".") if isinstance(path, str) and "[" not in path else ("", "", "")
        below.setdefault(first, []).append((name, reader(rest or path, past_zeros=True)))
    return partial(_read_all, direct, list(below.items()))


def _read_all(
    direct: list[tuple[str, list[str]]], below: list[tuple[str, list[tuple[str, Reader]]]], data: Any
) -> dict[str, int]:
    counts: dict[str, int] = {}
    if not isinstance(data, dict):
        return counts
    for name, keys in direct:
        for key in keys:
            value = data.get(key)
            number = value if value is None or type(value) is int else whole(value)
            if number:
                counts[name] = number
                break
            if number is not None:
                counts.setdefault(name, number)
    for first, readers in below:
        value = data.get(first) if first else data
        if value is not None:
            counts |= {name: number for name, read in readers if (number := read(value)) is not None}
    return counts


def _keys(path: str) -> tuple[str, ...] | None:
    """The keys of a path that has nothing but keys."""
    steps = compiled(path)
    keys = tuple(detail or "" for what, detail in steps if what == "key")
    return keys if keys and len(keys) == len(steps) else None


def _at_keys(places: tuple[tuple[str, ...], ...], past_zeros: bool, data: Any) -> int | None:
    """The same for paths of nothing but keys. PERF: nearly all are such, so this is one call for all of them."""
    zero = None
    for keys in places:
        value = data
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
            if value is None:
                break
        else:
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


def _count(path: str, data: Any) -> int | None:
    numbers = [number for number in map(whole, values(data, path)) if number is not None]
    return sum(numbers) if numbers else None
