"""Waits that give way: a generator that yields nothing each time a tick of silence went by, and returns what came.

Whoever runs one may do something in between (a sign of life for a caller), or go on at once.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")
Waiting = Generator[None, None, T]


def outcome_of(waiting: Waiting[T]) -> T:
    """Run a wait to its end, whatever it gives way for."""
    while True:
        try:
            next(waiting)
        except StopIteration as end:
            result: T = end.value
            return result
