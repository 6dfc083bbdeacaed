"""Hedge: a second channel is asked when the first is slow; the first answer wins, the other is given up.

Both run beside one another, each as if it were alone, until one has an answer: whole, or the first bytes of a stream.
What the one that lost costs the operator is told in the log row, and charged to the caller only if a Policy says so.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import CallError
from engine.relay.upstream.failure import OUTRUN, UpstreamFailure
from engine.transport.leg import Handle
from engine.transport.waiting import outcome_of

if TYPE_CHECKING:
    from engine.relay.attempts.limits import Limits
    from engine.relay.attempts.room import Room
    from engine.relay.call import Call, Reply
    from engine.relay.kind import Kind
    from engine.routing.attempt import Attempt
    from engine.routing.pulse import Pulse
    from engine.transport.waiting import Waiting

log = logging.getLogger(__name__)


@dataclass(slots=True)
class UnderWay:
    """The attempt that is under way, or that ended what was; and what ends it from outside."""

    attempt: Attempt
    handle: Handle = field(default_factory=Handle)


class HedgeServices(Protocol):
    """What hedging takes of a worker's services."""

    @property
    def limits(self) -> Limits: ...
    @property
    def room(self) -> Room: ...
    @property
    def pulse(self) -> Pulse: ...


Run = Callable[[UnderWay], "Waiting[Reply]"]
Failed = Callable[["Attempt", UpstreamFailure], None]


class Race:
    """Attempts of one call beside one another. ``run`` makes one; ``failed`` is told of each that another outlives."""

    def __init__(self, services: HedgeServices, kind: Kind[Any, Any], call: Call, run: Run, failed: Failed) -> None:
        self._services, self._kind, self._call = services, kind, call
        self._run, self._failed = run, failed
        self._results: queue.Queue[tuple[UnderWay, Reply | BaseException]] = queue.Queue()
        self._running: list[UnderWay] = []
        self._winner: UnderWay | None = None
        self._over = False
        """Nobody waits for an answer any more."""
        self._claiming = threading.Lock()

    def reply(self, first: UnderWay, left: list[Attempt], after: float, tick: float) -> Waiting[Reply]:
        """The first answer; raises what the last attempt failed by. ``first`` is then what ended the race.

        A second attempt is taken out of ``left`` after so many seconds; gives way after each ``tick`` (0: never).
        """
        self._start(first.attempt, first.handle)
        begins, spoke = time.monotonic() + after, time.monotonic()
        try:
            while True:
                now = time.monotonic()
                if begins and now >= begins:
                    begins = 0.0
                    self._second(left)
                if tick and now - spoke >= tick:
                    spoke = now
                    yield
                ends = [moment for moment in (begins, spoke + tick if tick else 0.0) if moment]
                came = self._next(max(0.0, min(ends) - now) if ends else None)
                if came is not None and self._winner in (None, came[0]):
                    under_way, result = came
                    first.attempt, first.handle = under_way.attempt, under_way.handle
                    if not isinstance(result, BaseException):
                        return result
                    self._ended(under_way, result)
                    first.attempt, first.handle = self._running[0].attempt, self._running[0].handle
        except BaseException:
            last = self._winner or first
            first.attempt, first.handle = last.attempt, last.handle
            self._give_up(first)
            self._over = True
            self._unheard()
            raise

    def _start(self, attempt: Attempt, handle: Handle) -> None:
        under_way = UnderWay(attempt, handle)
        attempt.claims = partial(self._claims, under_way)
        self._running.append(under_way)
        threading.Thread(target=self._work, args=(under_way,), daemon=True).start()

    def _second(self, left: list[Attempt]) -> None:
        """Ask the next channel that has room now; none waits for one."""
        attempt = next((candidate for candidate in left if self._services.room.enter(self._call, candidate)), None)
        if attempt is None:
            return
        if self._winner is not None:  # it has an answer already, which nobody has fetched yet
            self._services.limits.leave(self._call, attempt)
            return
        left.remove(attempt)
        self._call.attempts.append(attempt)
        self._start(attempt, Handle())

    def _work(self, under_way: UnderWay) -> None:
        result: Reply | BaseException
        try:
            result = outcome_of(self._run(under_way))
            if not under_way.attempt.wins:
                result = UpstreamFailure(OUTRUN)
        except BaseException as ex:  # whatever it is, somebody waits for it
            result = ex
        self._results.put((under_way, result))
        if self._over:
            self._unheard()

    def _unheard(self) -> None:
        """Close what answered when nobody waited any more."""
        while (came := self._next(0.0)) is not None:
            stream = getattr(came[1], "stream", None)
            if stream is not None:
                stream.close()

    def _claims(self, under_way: UnderWay) -> bool:
        """Whether an attempt is the first that has an answer; the other is then given up, before anything is booked."""
        with self._claiming:
            first = self._winner is None
            if first:
                self._winner = under_way
        if first:
            self._give_up(under_way)
        return self._winner is under_way

    def _next(self, seconds: float | None) -> tuple[UnderWay, Reply | BaseException] | None:
        try:
            return self._results.get(timeout=seconds) if seconds != 0 else self._results.get_nowait()
        except queue.Empty:
            return None

    def _ended(self, under_way: UnderWay, why: BaseException) -> None:
        """An attempt has failed: the call goes on with the other, if there is one and the caller is still there."""
        self._running.remove(under_way)
        if not self._running or under_way.handle.aborted or under_way is self._winner:
            raise why
        if isinstance(why, UpstreamFailure):
            self._failed(under_way.attempt, why)
            return
        if not isinstance(why, CallError):  # such as a channel that does not take this request
            log.error("call %s: an attempt failed inside", self._call.request_id, exc_info=why)
        under_way.attempt.outcome.lost = True

    def _give_up(self, last: UnderWay) -> None:
        """End all but the attempt that ended the race, which becomes the call's last."""
        self._call.attempts.sort(key=lambda attempt: attempt is last.attempt)
        for under_way in self._running:
            if under_way.attempt is not last.attempt and not under_way.attempt.outcome.lost:
                under_way.handle.abort()
                self._note(under_way)

    def _note(self, under_way: UnderWay) -> None:
        """What has to be known of an attempt that lost: what went up, and that its channel was not fast."""
        attempt = under_way.attempt
        attempt.outcome.lost = True
        if under_way.handle.reached:
            self._kind.left(self._call, attempt)
        self._services.limits.leave(self._call, attempt)
        self._services.pulse.answered(attempt.channel.mark, time.monotonic() - attempt.outcome.began)
