"""Mirror: a call is made at another channel too, whose answer nobody is told, as a Route's ``shadow`` asks.

It begins after the call itself has gone up, holds nothing of the caller's and is bounded in number. What it used and
what it costs the operator is a row of its own, which is charged to nobody.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import CallError
from engine.relay.settle import SettleServices, settle
from engine.relay.upstream.failure import UpstreamFailure
from engine.relay.upstream.send import SendServices, send
from engine.transport.leg import Handle
from engine.transport.waiting import outcome_of

if TYPE_CHECKING:
    from engine.relay.attempts.room import Room
    from engine.relay.call import Call
    from engine.relay.kind import Kind
    from engine.relay.live import Live
    from engine.routing.attempt import Attempt

log = logging.getLogger(__name__)
_AFTER = 0.02
"""Seconds that the call itself is ahead."""


class MirrorServices(SettleServices, SendServices, Protocol):
    """What mirroring takes of a worker's services."""

    @property
    def live(self) -> Live: ...
    @property
    def room(self) -> Room: ...
    @property
    def mirrors(self) -> threading.Semaphore: ...


def mirror(services: MirrorServices, kind: Kind[Any, Any], call: Call, attempt: Attempt) -> None:
    """Make a call at another channel, beside it, where there is room for it. Never waits, and fails nothing."""
    if not kind.repeatable(call) or not services.mirrors.acquire(blocking=False):
        return
    attempt.unheard = True
    mirrored = call.mirrored()
    mirrored.attempts.append(attempt)
    if services.room.enter(mirrored, attempt):
        threading.Thread(target=_run, args=(services, kind, mirrored, attempt), daemon=True).start()
    else:
        services.mirrors.release()


def _run(services: MirrorServices, kind: Kind[Any, Any], call: Call, attempt: Attempt) -> None:
    try:
        time.sleep(_AFTER)
        _made(services, kind, call, attempt)
    except Exception:
        log.exception("call %s could not be mirrored", call.mirrors)
    finally:
        services.limits.leave(call, attempt)
        services.mirrors.release()


def _made(services: MirrorServices, kind: Kind[Any, Any], call: Call, attempt: Attempt) -> None:
    """Make the attempt, take its answer to its end, and book it."""
    handle, outcome = Handle(), attempt.outcome
    leave = services.live.enter(handle, None)
    outcome.began = call.started = time.monotonic()
    try:
        out = kind.outbound(call, attempt)
        call.account = None  # who asked has no part in what follows
        answer = outcome_of(send(services, call, attempt, out, handle))
        reply = outcome_of(kind.deliver(call, attempt, out, answer, handle, leave, spare=False))
        for _ in reply.stream or ():
            pass
        outcome.delivered = True
        services.health.worked(attempt)
    except UpstreamFailure as ex:
        if not handle.aborted:
            outcome.error = ex.error
            services.health.failed(call.snapshot.health, attempt, ex)
    except CallError as ex:  # such as a channel that does not take this request
        log.info("call %s can't be mirrored at channel %s: %s", call.mirrors, attempt.channel.name, ex)
        return
    finally:
        leave()
    call.account = None
    settle(services, call)
