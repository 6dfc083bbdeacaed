"""Continued: a stream that broke off when its caller had words of it is gone on with by another attempt.

The kind finds that a stream broke off, and tells the caller the rest; which attempt makes that rest is chosen here, by
the rules of the loop over attempts. Where none may or can, the attempt that broke off ends the call, as without this.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import CallError
from engine.relay.upstream.failure import UpstreamFailure
from engine.transport.leg import Answer, Handle

if TYPE_CHECKING:
    from engine.relay.attempts.health import Health
    from engine.relay.attempts.limits import Limits
    from engine.relay.attempts.room import Room
    from engine.relay.call import Call
    from engine.relay.kind import Kind
    from engine.relay.upstream.troubles import Troubles
    from engine.routing.attempt import Attempt
    from engine.transport.waiting import Waiting

log = logging.getLogger(__name__)


@dataclass(slots=True)
class GoneUp:
    """An attempt that went up: what went, what comes back, what ends it from outside, and what ends its watch."""

    attempt: Attempt
    out: Any
    answer: Answer
    handle: Handle
    ended: Callable[[], None]


class ContinuedServices(Protocol):
    """What going on takes of a worker's services."""

    @property
    def health(self) -> Health: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def room(self) -> Room: ...
    @property
    def troubles(self) -> Troubles: ...


Up = Callable[["Attempt", Handle], "Waiting[GoneUp]"]
Follows = Callable[[UpstreamFailure, "list[Attempt]", "Attempt | None"], "Waiting[list[Attempt]]"]
Failed = Callable[["Attempt", UpstreamFailure], None]


@dataclass(slots=True)
class Continued:
    """What may follow one call's attempts. ``left``: what was not tried yet; ``most``: how many are tried in all.

    ``same``: the last attempt once more. ``up`` makes an attempt; ``follows`` gives what may follow the last one, and
    raises where nothing may; ``failed`` is told of each that said nothing.
    """

    services: ContinuedServices
    kind: Kind[Any, Any]
    call: Call
    left: list[Attempt]
    same: Attempt | None
    most: int
    up: Up
    follows: Follows
    failed: Failed

    def next(self, error: dict[str, Any]) -> Waiting[GoneUp | None]:
        """The attempt that goes on where the last one broke off by ``error``; None where there is none."""
        call = self.call
        broken = call.attempts[-1]
        failure = UpstreamFailure(error)
        went: GoneUp | None = None
        try:
            while went is None and len(call.attempts) < self.most:
                self.left = yield from self.follows(failure, self.left, self.same)
                attempt = self._first_that_can()
                if attempt is None:
                    return None
                call.attempts.append(attempt)
                try:
                    went = yield from self._made(attempt)
                except UpstreamFailure as ex:
                    failure = ex
        except UpstreamFailure:
            return None
        finally:
            if went is None:  # the call ends by what its caller had
                call.attempts.sort(key=lambda attempt: attempt is broken)
        if went is not None:
            self._took_over(broken, error)
        return went

    def _first_that_can(self) -> Attempt | None:
        """The first whose format goes on from what was said, and whose channel has room; none waits for room."""
        while self.left:
            attempt = self.left.pop(0)
            if self.kind.goes_on(self.call, attempt) and self.services.room.enter(self.call, attempt):
                return attempt
        return None

    def _made(self, attempt: Attempt) -> Waiting[GoneUp]:
        handle = Handle()
        self.same = attempt.again()
        try:
            went = yield from self.up(attempt, handle)
        except UpstreamFailure as ex:
            if handle.aborted:  # the caller left, or the worker stops: nothing follows
                self.left, self.same = [], None
                attempt.outcome.lost = True
                if handle.reached:
                    self.kind.left(self.call, attempt)
            else:
                self.failed(attempt, ex)
            raise
        except CallError as ex:  # a channel that does not take this request, which another one took
            attempt.outcome.lost = True
            raise UpstreamFailure({"meaning": "unknown", "message": str(ex)}) from ex
        except GeneratorExit:  # the caller left meanwhile
            handle.abort()
            raise
        attempt.goes_on = self.next
        return went

    def _took_over(self, broken: Attempt, error: dict[str, Any]) -> None:
        broken.outcome.gone_on = True
        self.services.health.failed(self.call.snapshot.health, broken, UpstreamFailure(error))
        self.services.troubles.failed(self.call, broken, error, None)
        self.services.limits.leave(self.call, broken, broken.outcome.usage.get("total", 0))
        log.info(
            "call %s: channel %s broke off (%s), channel %s goes on",
            self.call.request_id, broken.channel.name, error["meaning"], self.call.attempts[-1].channel.name,
        )  # fmt: skip
