"""Failover: the loop over a call's attempts. It alone decides whether a failed one ends the call.

Each attempt keeps what came of it; the call is settled by the one that ended it. While nothing has come, a caller who
wants a stream gets signs of life; from the first on its status is 200, so a failure is told as an event of its format.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import CallError, MappingError
from engine.program.refused import for_caller
from engine.relay import dialect
from engine.relay.attempts.continued import Continued, GoneUp
from engine.relay.attempts.pause import pause
from engine.relay.call import Call, Reply
from engine.relay.hedge import Race, UnderWay
from engine.relay.settle import SettleServices, settle
from engine.relay.upstream.failure import EMPTY, UpstreamFailure
from engine.relay.upstream.send import SendServices, ping_every, send
from engine.routing.attempt import Attempt

if TYPE_CHECKING:
    from engine.ledger.served import Served
    from engine.relay.attempts.bonds import Bonds
    from engine.relay.attempts.room import Room
    from engine.relay.kind import Kind, Voice
    from engine.relay.live import Live
    from engine.routing.pulse import Pulse
    from engine.transport.leg import Handle
    from engine.transport.waiting import Waiting

log = logging.getLogger(__name__)
DEEP = "the request body is nested too deep"
_EARLY = 0.5
"""Seconds that a channel may be set aside beyond the time after which it is asked again."""
_STOPPING = "the gateway is stopping; send the request again"


class AttemptServices(SettleServices, SendServices, Protocol):
    """What the loop over attempts takes of a worker's services."""

    @property
    def live(self) -> Live: ...
    @property
    def served(self) -> Served: ...
    @property
    def bonds(self) -> Bonds: ...
    @property
    def room(self) -> Room: ...
    @property
    def pulse(self) -> Pulse: ...


def answer(services: AttemptServices, kind: Kind[Any, Any], call: Call, attempts: list[Attempt]) -> Reply:
    """Return the reply of the first attempt that answers; raises what the last one failed by.

    If a sign of life is due before, the reply is a stream that begins with it.
    """
    loop = _tried(services, kind, call, attempts)
    try:
        next(loop)
    except StopIteration as end:
        reply: Reply = end.value
        return reply
    voice = kind.voice(call)
    headers = [("content-type", voice.content_type), *dialect.STREAM_HEADERS]
    return Reply(200, headers, stream=_awake(services, call, loop, voice))


def ended(services: SettleServices, call: Call, by: BaseException) -> None:
    """Settle a call that ended by an exception, whatever it was: what was held for it is free again."""
    if isinstance(by, GeneratorExit):
        return  # the caller left; whoever gave it signs of life knows what is to be paid
    if isinstance(by, CallError):
        call.error = dialect.error_of(by)
    elif not isinstance(by, UpstreamFailure):
        call.error = dialect.FAILED
    settle(services, call)


def _awake(services: AttemptServices, call: Call, loop: Waiting[Reply], voice: Voice) -> Iterator[bytes]:
    """Signs of life until an attempt answers, then its answer; or an error event."""
    try:
        yield voice.ping()
        while True:
            try:
                next(loop)
            except StopIteration as end:
                reply: Reply = end.value
                break
            yield voice.ping()
        if reply.stream is None:
            yield reply.body
        else:
            yield from reply.stream
    except Exception as ex:
        ended(services, call, ex)
        yield voice.error(_told(call, ex))
    finally:
        loop.close()
        settle(services, call)


def _told(call: Call, ex: Exception) -> dict[str, Any]:
    """The hub error that a caller is told of whatever ended its call."""
    if isinstance(ex, UpstreamFailure):
        return for_caller(ex.error, call.attempt.format if call.attempt else None, call.format)
    if isinstance(ex, CallError):
        return dialect.error_of(ex)
    log.exception("call %s failed", call.request_id)
    return dialect.FAILED


def _tried(services: AttemptServices, kind: Kind[Any, Any], call: Call, attempts: list[Attempt]) -> Waiting[Reply]:
    """Try the attempts in turn until one answers; a failure that no further attempt can mend ends the loop."""
    retry, left, tick = call.snapshot.retry, list(attempts), ping_every(call) if call.stream else 0.0
    most = retry.most(call.account)
    while left:
        # PERF: where no channel has a limit there is always room
        attempt = (yield from _next(services, call, left, tick)) if call.snapshot.limits.channels else left.pop(0)
        call.attempts.append(attempt)
        if len(call.attempts) >= most:
            left.clear()
        same = attempt.again() if retry.same else None
        now = UnderWay(attempt)
        try:
            reply = yield from _first(
                services, kind, call, now, left, tick, _continued(services, kind, call, left, same)
            )
        except UpstreamFailure as ex:
            if now.handle.aborted:
                _ended_from_outside(services, kind, call, now)
                raise
            _failed(services, call, now.attempt, ex)
            if len(call.attempts) >= most:
                raise
            left = yield from _following(services, call, ex, left, same if now.attempt is attempt else None, tick)
        except GeneratorExit:  # the caller left between two signs of life
            now.handle.abort()
            _left(kind, call, now)
            raise
        else:
            _answered(services, call, now.attempt, reply)
            return reply
    raise AssertionError("there is at least one attempt")


def _continued(
    services: AttemptServices, kind: Kind[Any, Any], call: Call, left: list[Attempt], same: Attempt | None
) -> Continued | None:
    """What goes on with the stream of the next attempt if it breaks off; nothing where no Policy wants that."""
    retry = call.snapshot.retry
    if retry.continues is None or not call.stream or not retry.continues.holds(call) or not kind.repeatable(call):
        return None
    tick = ping_every(call)

    def follows(ex: UpstreamFailure, left: list[Attempt], same: Attempt | None) -> Waiting[list[Attempt]]:
        return _following(services, call, ex, left, same if retry.same else None, tick)

    up, failed = partial(_up, services, kind, call), partial(_failed, services, call)
    return Continued(services, kind, call, left, same, retry.most(call.account), up, follows, failed)


def _first(
    services: AttemptServices,
    kind: Kind[Any, Any],
    call: Call,
    now: UnderWay,
    left: list[Attempt],
    tick: float,
    continued: Continued | None,
) -> Waiting[Reply]:
    """The reply of the attempt that is under way, or of one that is made beside it; that is then under way."""
    spare = bool(left) and call.snapshot.retry.again(_EMPTY)
    hedge = call.snapshot.hedge

    def run(under_way: UnderWay) -> Waiting[Reply]:
        attempt = under_way.attempt
        attempt.goes_on = continued.next if continued is not None else None
        return _once(services, kind, call, attempt, under_way.handle, spare=spare)

    if hedge is None or not left or not hedge.when.holds(call) or not kind.repeatable(call):
        return run(now)

    race = Race(services, kind, call, run, partial(_failed, services, call))
    return race.reply(now, left, hedge.after, tick)


def _following(
    services: AttemptServices,
    call: Call,
    ex: UpstreamFailure,
    left: list[Attempt],
    same: Attempt | None,
    tick: float,
) -> Waiting[list[Attempt]]:
    """What may follow the attempt that failed, ``same`` again before others; raises its failure where nothing may."""
    failed = call.attempts[-1]
    left = call.snapshot.retry.others(call.program.models, failed, ex, left)
    if same is not None and (yield from _may_repeat(services, call, ex, tick)):
        left = [same, *left]
    if not left:
        raise ex
    whose = "the same" if left[0] is same else "another"
    log.info("call %s: channel %s failed (%s), trying %s", call.request_id, failed.channel.name, ex, whose)
    return left


def _answered(services: AttemptServices, call: Call, attempt: Attempt, reply: Reply) -> None:
    """Note that an attempt answered. A whole answer is settled here, a stream by itself."""
    if call.bond is not None:
        services.bonds.keep(call.bond, attempt.channel.mark, call.kept, moves=call.snapshot.affinity.moves)
    services.health.worked(attempt)
    if call.snapshot.served_model is not None:
        reply.headers += call.snapshot.served_model.headers(call, call.choice, attempt)
    if reply.stream is None and reply.takes is None:
        attempt.outcome.delivered = True
        settle(services, call)
        services.served.whole(attempt.outcome.booked)


def _next(services: AttemptServices, call: Call, left: list[Attempt], tick: float) -> Waiting[Attempt]:
    """The next attempt, when its channel has room. What failed before is told rather than that the others are full."""
    try:
        return (yield from services.room.next(call, left, tick))
    except CallError:
        last = call.attempt
        if last is None or last.outcome.failure is None:
            raise
        raise last.outcome.failure from None


def _may_repeat(services: AttemptServices, call: Call, ex: UpstreamFailure, tick: float) -> Waiting[bool]:
    """Whether the channel that failed is asked again, after the time that is due; raises where nobody waits for it."""
    seconds = call.snapshot.retry.pause(call.attempts, ex)
    if seconds is None or services.health.until(call.attempts[-1].channel) > time.time() + seconds + _EARLY:
        return False
    if seconds and not (yield from pause(services.live, call, seconds, tick)):
        if services.live.stopping:
            raise CallError("unavailable", _STOPPING, code="stopping")
        raise ex
    return True


def _failed(services: AttemptServices, call: Call, attempt: Attempt, ex: UpstreamFailure) -> None:
    """Note what came of an attempt that failed, and what it means for its channel."""
    outcome = attempt.outcome
    outcome.error, outcome.fee, outcome.failure = ex.error, ex.fee, ex
    if attempt.token and ex.error["meaning"] == "upstream_auth":
        services.tokens.spoil(attempt.channel.provider.auth, (attempt.secret or "").strip(), attempt.token)
    services.pulse.failed(attempt.channel.mark, time.monotonic() - outcome.began)
    services.health.failed(call.snapshot.health, attempt, ex)
    if ex.again is None and not ex.own:  # else an operation of the channel ended it, and nothing went up
        services.troubles.failed(call, attempt, {**ex.error, "message": str(ex)}, ex.status)
    services.limits.leave(call, attempt)
    outcome.usage = outcome.usage if call.snapshot.terms.failed_pays else {}


_EMPTY = UpstreamFailure(EMPTY)


def _once(
    services: AttemptServices, kind: Kind[Any, Any], call: Call, attempt: Attempt, handle: Handle, *, spare: bool
) -> Waiting[Reply]:
    """The reply of one attempt. The watch on the caller ends with it, or with the last byte of its stream."""
    went = yield from _up(services, kind, call, attempt, handle)
    try:
        return (yield from kind.deliver(call, attempt, went.out, went.answer, handle, went.ended, spare=spare))
    except BaseException as ex:
        went.ended()
        _refused(ex)
        raise


def _up(
    services: AttemptServices, kind: Kind[Any, Any], call: Call, attempt: Attempt, handle: Handle
) -> Waiting[GoneUp]:
    """An attempt goes up, and has the head of its answer."""
    ended = _begun(services, call, attempt, handle)
    try:
        out = kind.outbound(call, attempt)
        way = kind.connect(call, attempt, out, handle) if kind.connects else send(services, call, attempt, out, handle)
        answer = yield from way
        if call.capture is not None and not kind.connects:
            answer = call.capture.answer(attempt, out.body, answer)
        services.pulse.answered(attempt.channel.mark, time.monotonic() - attempt.outcome.began)
        return GoneUp(attempt, out, answer, handle, ended)
    except BaseException as ex:
        ended()
        _refused(ex)
        raise


def _refused(by: BaseException) -> None:
    """Raise what the caller is told of a request that can't be made; what an answer does so is a failure already."""
    if isinstance(by, MappingError):
        raise CallError("bad_request", f"{by.path}: {by.why}", param=by.path) from by
    if isinstance(by, RecursionError):
        raise CallError("bad_request", DEEP) from None


def _begun(services: AttemptServices, call: Call, attempt: Attempt, handle: Handle) -> Callable[[], None]:
    """Note that an attempt is under way, and watch its caller; gives what ends both, which may be called again."""
    unwatch, mark, under_way = services.live.enter(handle, call.watch), attempt.channel.mark, [True]
    attempt.outcome.began = time.monotonic()
    services.pulse.enter(mark)

    def ended() -> None:
        unwatch()
        if under_way:
            under_way.clear()
            services.pulse.leave(mark)

    return ended


def _ended_from_outside(services: AttemptServices, kind: Kind[Any, Any], call: Call, now: UnderWay) -> None:
    """The worker stops, which raises what the caller is told; or the caller left."""
    if services.live.stopping:
        raise CallError("unavailable", _STOPPING, code="stopping") from None
    _left(kind, call, now)


def _left(kind: Kind[Any, Any], call: Call, now: UnderWay) -> None:
    """The caller left before it had anything; the provider may have begun to work on what went up."""
    now.attempt.outcome.ended = "client_gone"
    if now.handle.reached and call.snapshot.terms.left_early_pays:
        kind.left(call, now.attempt)
