"""Waits that give way: a generator that yields nothing each time a tick of silence went by, and returns what came.

Whoever runs one may do something in between (a sign of life for a caller), or go on at once.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
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


def beside(work: Callable[[], T], tick: float) -> Waiting[T]:
    """What a function gives that can't be waited for in steps: a thread runs it, this gives way after each tick."""
    arrived: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(maxsize=1)

    def run() -> None:
        try:
            arrived.put((work(), None))
        except BaseException as ex:  # whatever it is, somebody waits for it
            arrived.put((None, ex))

    threading.Thread(target=run, daemon=True).start()
    while True:
        try:
            result, error = arrived.get(timeout=tick)
        except queue.Empty:
            yield
            continue
        if error is not None:
            raise error
        return result  # type: ignore[return-value]
