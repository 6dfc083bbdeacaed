"""Room: which of the attempts that are left goes next, where channels have limits of their own.

One whose channel is full is passed over, which is no try. When all are full the call waits in a line, for so long and
beside so many others as a Policy says; who has fewer calls in it is before who has more. Then it is refused with 429.
"""

from __future__ import annotations

import math
import time
from bisect import insort
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from engine.errors import CallError

if TYPE_CHECKING:
    from engine.relay.attempts.limits import Limits
    from engine.relay.call import Call
    from engine.routing.attempt import Attempt
    from engine.routing.channel import LiveChannel
    from engine.transport.waiting import Waiting

_LOOKS = 0.02
"""Seconds after which the first of a line looks again."""
Place = tuple[int, int, str]
"""How many calls of the same key were in the line before, the number of the call, and whose it is."""


class Room:
    """The lines of one worker. ``free``: a channel's keys that may be asked; ``noted`` is told how many more wait."""

    def __init__(
        self, limits: Limits, free: Callable[[LiveChannel], tuple[str, ...]], noted: Callable[[int], None]
    ) -> None:
        self._limits, self._free, self._noted = limits, free, noted
        self._lines: dict[frozenset[str], list[Place]] = {}
        self._numbers = count()
        self.waiting = 0

    def next(self, call: Call, left: list[Attempt], tick: float) -> Waiting[Attempt]:
        """Take the next attempt out of ``left``; gives way each time that a sign of life is due.

        Raises ``CallError`` (429) where none has room in time.
        """
        rules = call.snapshot.limits
        if not rules.channels:
            return left.pop(0)
        marks = frozenset(attempt.channel.mark for attempt in left)
        wait = math.inf
        if marks not in self._lines:
            attempt, wait = self._entered(call, left)
            if attempt is not None:
                return attempt
        if self.waiting >= rules.queue or not rules.wait:
            raise _full(call, wait)
        return (yield from self._in_line(marks, call, left, tick))

    def enter(self, call: Call, attempt: Attempt) -> bool:
        """Take the room of one attempt, if its channel has some now."""
        return not call.snapshot.limits.channels or not self._limits.enter(call, attempt, self._free)

    def _in_line(self, marks: frozenset[str], call: Call, left: list[Attempt], tick: float) -> Waiting[Attempt]:
        line = self._lines.setdefault(marks, [])
        key = str(call.account.token_id) if call.account is not None else ""
        place = (sum(other[2] == key for other in line), next(self._numbers), key)
        insort(line, place)
        self.waiting += 1
        self._noted(1)
        spoke = time.monotonic()
        end, wait = spoke + call.snapshot.limits.wait, math.inf
        try:
            while True:
                time.sleep(_LOOKS)
                now = time.monotonic()
                if line[0] is place:
                    attempt, wait = self._entered(call, left)
                    if attempt is not None:
                        call.waited = now - end + call.snapshot.limits.wait
                        return attempt
                if now >= end:
                    raise _full(call, wait)
                if tick and now - spoke >= tick:
                    spoke = now
                    yield
        finally:
            self.waiting -= 1
            self._noted(-1)
            line.remove(place)
            if not line:
                self._lines.pop(marks, None)

    def _entered(self, call: Call, left: list[Attempt]) -> tuple[Attempt | None, float]:
        """The first that has room, which it takes; else the seconds until one may have."""
        least = math.inf
        for attempt in left:
            wait = self._limits.enter(call, attempt, self._free)
            if not wait:
                left.remove(attempt)
                return attempt, 0.0
            least = min(least, wait)
        return None, least


def _full(call: Call, wait: float) -> CallError:
    seconds = max(1, math.ceil(wait)) if math.isfinite(wait) else 1
    return CallError(
        "rate_limit",
        f"all channels of the model {call.asked!r} are used as much as they may be; try again in {seconds} s",
        code="channels_full",
        wait=seconds,
    )
