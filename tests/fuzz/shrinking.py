"""The smallest form of a value that still shows a fault: parts are taken away as long as it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def shrunk(value: Any, fails: Callable[[Any], bool], most: int = 300) -> Any:
    """Take away members and items, greatest first, in at most ``most`` tries."""
    tries = 0
    smaller = True
    while smaller and tries < most:
        smaller = False
        for candidate in _smaller(value):
            tries += 1
            if tries > most:
                break
            if fails(candidate):
                value, smaller = candidate, True
                break
    return value


def _smaller(value: Any) -> Iterator[Any]:
    """The value without one of its parts, or with one part made smaller."""
    if isinstance(value, dict):
        keys = list(value)
        for key in keys:
            yield {other: value[other] for other in keys if other != key}
        for key in keys:
            for part in _smaller(value[key]):
                yield {**value, key: part}
    elif isinstance(value, tuple):  # an event: its name stays
        yield from ((value[0], data) for data in _smaller(value[1]))
    elif isinstance(value, list):
        for place in range(len(value)):
            yield [*value[:place], *value[place + 1 :]]
        for place in range(len(value)):
            for part in _smaller(value[place]):
                yield [*value[:place], part, *value[place + 1 :]]
    elif isinstance(value, str) and len(value) > 20:
        yield value[:10]
