"""How fast channels answer, and how many calls are under way at each: what one worker sees, and forgets.

A peak EWMA: a slower answer counts at once, faster ones bit by bit, and what is long ago little. Channels are known by
their marks. Nothing is shared: each worker's own calls tell enough, and cost no look elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import exp

_DECAY = 10.0
"""Seconds after which an answer counts for a third."""
_FAILED = 1.0
"""Seconds that a failed attempt counts at least: one that fails at once is not fast."""
_MOST = 10_000


class _Beat:
    __slots__ = ("at", "ewma", "under_way")

    def __init__(self) -> None:
        self.at, self.ewma, self.under_way = 0.0, 0.0, 0


class Pulse:
    """See the module."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._beats: dict[str, _Beat] = {}

    def enter(self, mark: str) -> None:
        """A call goes to a channel."""
        beat = self._beats.get(mark)
        if beat is None:
            if len(self._beats) >= _MOST:
                self._beats = {name: other for name, other in self._beats.items() if other.under_way}
            beat = self._beats[mark] = _Beat()
        beat.under_way += 1

    def leave(self, mark: str) -> None:
        """It is over."""
        beat = self._beats.get(mark)
        if beat is not None and beat.under_way:
            beat.under_way -= 1

    def answered(self, mark: str, seconds: float) -> None:
        """Its first byte came after so long."""
        beat = self._beats.get(mark)
        if beat is None:
            return
        now = self._clock()
        old = exp((beat.at - now) / _DECAY) if beat.at else 0.0
        beat.ewma = seconds if seconds > beat.ewma else beat.ewma * old + seconds * (1 - old)
        beat.at = now

    def failed(self, mark: str, seconds: float) -> None:
        """It failed after so long."""
        beat = self._beats.get(mark)
        if beat is not None:
            self.answered(mark, max(seconds, _FAILED, 2 * beat.ewma))

    def latency(self, mark: str) -> float:
        """Seconds that a call more is likely to wait for its first byte; 0 where nobody knows."""
        beat = self._beats.get(mark)
        if beat is None:
            return 0.0
        return beat.ewma * exp((beat.at - self._clock()) / _DECAY / 6) * (beat.under_way + 1)

    def outstanding(self, mark: str) -> int:
        """Calls under way."""
        beat = self._beats.get(mark)
        return 0 if beat is None else beat.under_way
