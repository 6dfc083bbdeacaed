"""Failover: the loop over a call's attempts. It alone decides whether a failed one ends the call.

Each attempt keeps what came of it; the call is settled by the one that ended it. While nothing has come, a caller who
wants a stream gets signs of life; from the first on its status is 200, so a failure is told as an event of its format.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.errors import CallError, MappingError
from engine.program.refused import for_caller
from engine.relay import dialect, tally
from engine.relay.call import Attempt, Call, Reply
from engine.relay.deliver import SSE_HEADERS, deliver
from engine.relay.send import send
from engine.relay.settle import settle
from engine.relay.streams import Encoder
from engine.relay.translate import Outbound, Recall, translate
from engine.relay.upstream import EMPTY, UpstreamFailure
from engine.transport.leg import Handle

if TYPE_CHECKING:
    from engine.relay.state import RelayState
    from engine.transport.waiting import Waiting

log = logging.getLogger(__name__)
DEEP = "the request body is nested too deep"
_STOPPING = "the gateway is stopping; send the request again"


def answer(state: RelayState, call: Call, attempts: list[Attempt]) -> Reply:
    """Return the reply of the first attempt that answers; raises what the last one failed by.

    If a sign of life is due before, the reply is a stream that begins with it.
    """
    loop = _tried(state, call, attempts)
    try:
        next(loop)
    except StopIteration as end:
        reply: Reply = end.value
        return reply
    voice = Encoder(call, [], {}, call.ctx(call.attempt))
    headers = [("content-type", voice.content_type), *SSE_HEADERS]
    return Reply(200, headers, stream=_awake(state, call, loop, voice))


def ended(state: RelayState, call: Call, by: BaseException) -> None:
    """Settle a call that ended by an exception, whatever it was: what was held for it is free again."""
    if isinstance(by, GeneratorExit):
        return  # the caller left; whoever gave it signs of life knows what is to be paid
    if isinstance(by, CallError):
        call.error = dialect.error_of(by)
    elif not isinstance(by, UpstreamFailure):
        call.error = dialect.FAILED
    settle(state, call)


def _awake(state: RelayState, call: Call, loop: Waiting[Reply], voice: Encoder) -> Iterator[bytes]:
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
        ended(state, call, ex)
        yield voice.error(_told(call, ex))
    finally:
        loop.close()
        settle(state, call)


def _told(call: Call, ex: Exception) -> dict[str, Any]:
    """The hub error that a caller is told of whatever ended its call."""
    if isinstance(ex, UpstreamFailure):
        return for_caller(ex.error)
    if isinstance(ex, CallError):
        return dialect.error_of(ex)
    log.exception("call %s failed", call.request_id)
    return dialect.FAILED


def _tried(state: RelayState, call: Call, attempts: list[Attempt]) -> Waiting[Reply]:
    """Try the attempts in turn until one answers; a failure that another channel can't mend ends the loop."""
    recall = partial(state.memory.recall, call.account.token_id) if call.account else None
    for number, attempt in enumerate(attempts, 1):
        last = number == len(attempts)
        call.attempts.append(attempt)
        handle = Handle()
        try:
            reply = yield from _once(state, call, attempt, recall, handle, spare=not last and state.again(_EMPTY))
        except UpstreamFailure as ex:
            if handle.aborted:
                if state.live.stopping:
                    raise CallError("unavailable", _STOPPING, code="stopping") from None
                _left(state, call, attempt, handle)
                raise
            outcome = attempt.outcome
            outcome.error, outcome.fee = ex.error, ex.fee
            outcome.usage = outcome.usage if state.terms.failed_pays else {}
            if last or not state.again(ex):
                raise
            log.info("call %s: channel %s failed (%s), trying another", call.request_id, attempt.channel.name, ex)
        except GeneratorExit:  # the caller left between two signs of life
            handle.abort()
            _left(state, call, attempt, handle)
            raise
        else:
            if reply.stream is None:
                attempt.outcome.delivered = True
                settle(state, call)
                state.served.whole(attempt.outcome.booked)
            return reply
    raise AssertionError("there is at least one attempt")


_EMPTY = UpstreamFailure(EMPTY)


def _once(
    state: RelayState, call: Call, attempt: Attempt, recall: Recall | None, handle: Handle, *, spare: bool
) -> Waiting[Reply]:
    """The reply of one attempt. The watch on the caller ends with it, or with the last byte of its stream."""
    ended = state.live.enter(handle, call.watch)
    try:
        out = _translated(call, attempt, state, recall)
        attempt.outcome.report = out.report
        answer = yield from send(state, call, attempt, out, handle)
        return (yield from deliver(state, call, attempt, out, answer, handle, ended, spare=spare))
    except MappingError as ex:
        ended()
        raise CallError("bad_request", f"{ex.path}: {ex.why}", param=ex.path) from ex
    except BaseException:
        ended()
        raise


def _left(state: RelayState, call: Call, attempt: Attempt, handle: Handle) -> None:
    """The caller left before it had anything; the provider may have begun to work on what went up."""
    attempt.outcome.ended = "client_gone"
    if handle.reached and state.terms.left_early_pays:
        tally.left(state.counter, call, attempt)


def _translated(call: Call, attempt: Attempt, state: RelayState, recall: Recall | None) -> Outbound:
    try:
        return translate(call, attempt, state.fetch_all, recall)
    except RecursionError:
        raise CallError("bad_request", DEEP) from None
