"""Deliver: the upstream's answer becomes the caller's, whole or as a stream, in the same format or through the hub.

Either side may be streaming or not. A fault before the first byte for the caller raises ``UpstreamFailure``, so that
another channel can be tried; after it, the caller gets an error event in its own format, never a clean end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from engine.errors import MappingError
from engine.relay.answers import Answered, Whole, through_hub
from engine.relay.call import Reply
from engine.relay.dialect import JSON
from engine.relay.losses import loss_header
from engine.relay.send import failure
from engine.relay.settle import Outcome, settle
from engine.relay.splice import splice
from engine.relay.streams import Across, Stream
from engine.relay.through import Through
from engine.relay.translate import dumps
from engine.relay.upstream import UpstreamFailure, parse, refusal
from engine.relay.way import way
from engine.transport import faults

if TYPE_CHECKING:
    from engine.relay.call import Attempt, Call
    from engine.relay.state import RelayState
    from engine.relay.translate import Outbound
    from engine.transport.leg import Answer, Handle

_STREAMS = {
    "text/event-stream": "sse",
    "application/x-ndjson": "ndjson",
    "application/vnd.amazon.eventstream": "aws-eventstream",
}
_UPSTREAM_ID = ("x-request-id", "request-id", "x-oneapi-request-id")
_SSE_HEADERS = (("cache-control", "no-cache"), ("x-accel-buffering", "no"))


def deliver(
    state: RelayState,
    call: Call,
    attempt: Attempt,
    out: Outbound,
    answer: Answer,
    handle: Handle,
    outcome: Outcome,
    unwatch: Callable[[], None],
) -> Reply:
    """Return the reply to the caller; ``unwatch`` ends the watch on its socket at the last byte."""
    outcome.upstream_id = next((answer.headers[name] for name in _UPSTREAM_ID if name in answer.headers), "")
    kind = _framing(answer.headers.get("content-type", ""), attempt)
    answered = Answered(state, call, attempt, out, answer.headers, outcome)
    if kind is None:
        reply = _whole(state, answered, answer)
        unwatch()
        settle(state, call, outcome)
        return reply
    if not call.stream:
        reply = _gathered(state, answered, _pump(answered, answer))
        unwatch()
        settle(state, call, outcome)
        return reply
    stream: Stream = (Through if out.same and not out.turned else Across)(answered, _pump(answered, answer), kind)
    pieces = _guarded(state, answered, stream, handle, unwatch)
    first = next(pieces)  # what fails before it raises UpstreamFailure, and another channel can be tried
    headers = [("content-type", stream.content_type), *_SSE_HEADERS, *_told(state, answered)]
    return Reply(200, headers, stream=_from(first, pieces))


def _framing(content_type: str, attempt: Attempt) -> str | None:
    """The framing of a streamed answer, by what the upstream says that it is; None for a whole one."""
    name = content_type.partition(";")[0].strip().lower()
    kind = _STREAMS.get(name)
    declared = attempt.format.stream.framing.get("type") if attempt.format.stream else None
    return declared if kind == "sse" and declared is None else kind


def _pump(answered: Answered, answer: Answer) -> Iterator[bytes | None]:
    """Pieces of the upstream's body as they come; None each time that a ping is due while nothing came."""
    outcome = answered.outcome
    for piece in answer.pieces(answered.ping_every):
        if piece and outcome.first_byte is None:
            outcome.first_byte = time.monotonic()
        yield piece or None


def _guarded(
    state: RelayState, answered: Answered, stream: Stream, handle: Handle, unwatch: Callable[[], None]
) -> Iterator[bytes]:
    """The caller's bytes; however the stream ends, the upstream's connection is given up and the call settled once.

    The piece that completes the answer is held until the call is in the journal.
    """
    outcome = answered.outcome
    ended = False
    try:
        for piece in stream.run():
            if stream.ending and not outcome.settled:
                stream.note()
                answered.count_missing(stream)
                settle(state, answered.call, outcome)
            yield piece
        ended = True
    except UpstreamFailure:
        ended = True
        raise
    finally:
        unwatch()
        if not ended:
            handle.abort()
            outcome.ended = "client_gone"
        if outcome.ended == "client_gone" and answered.complete:
            outcome.ended = "done"  # who leaves at the last event has all there is
        if not (outcome.error and outcome.first_byte is None) and not outcome.settled:
            answered.count_missing(stream)
            settle(state, answered.call, outcome)


def _from(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield first
        yield from rest
    finally:
        rest.close()  # type: ignore[attr-defined]  # a generator: the caller may leave before the first piece is gone


def _whole(state: RelayState, answered: Answered, answer: Answer) -> Reply:
    """A whole answer: checked against the error maps even under status 200, metered, then given on."""
    call, attempt, outcome = answered.call, answered.attempt, answered.outcome
    try:
        raw = answer.read()
    except faults.TransportError as ex:
        raise failure(ex) from None
    outcome.first_byte = time.monotonic()
    body = parse(raw)
    if not isinstance(body, dict):
        shown = raw[:200].decode("utf-8", "replace")
        raise UpstreamFailure({"meaning": "unknown", "message": f"the provider answered with no JSON object: {shown}"})
    failed = refusal(attempt, answer.status, answer.headers, raw, body)
    if failed is not None:
        raise failed
    at = attempt.format.usage.at
    counts = at([], body) if at else None
    outcome.usage = answered.plan.normalise(counts) if counts else {}
    answered.count_missing(Whole(answered, body))
    try:
        if call.stream:
            return _replayed(state, answered, body)
        if answered.out.same and not answered.out.turned:
            data = _renamed(answered, raw, body)
            if call.format.stored is not None:
                answered.keep_answer(parse(data))
        else:
            made = through_hub(answered, body)
            answered.keep_answer(made)
            data = dumps(made)
    except MappingError as ex:
        message = f"the provider's answer could not be read: {ex}"
        raise UpstreamFailure({"meaning": "unknown", "message": message}) from ex
    return Reply(answer.status, [("content-type", JSON), *_told(state, answered)], data)


def _replayed(state: RelayState, answered: Answered, body: dict[str, Any]) -> Reply:
    """A whole answer to a caller who wanted a stream: told as one."""
    stream = Across(answered, iter(()), "")
    data = b"".join(stream.replay(body))
    headers = [("content-type", stream.content_type), *_SSE_HEADERS, *_told(state, answered)]
    return Reply(200, headers, data)


def _gathered(state: RelayState, answered: Answered, pump: Iterator[bytes | None], kind: str = "sse") -> Reply:
    """A streamed answer to a caller who wanted it whole."""
    stream = Across(answered, pump, kind)
    body = stream.gather()
    answered.count_missing(stream)
    return Reply(200, [("content-type", JSON), *_told(state, answered)], dumps(body))


def _renamed(answered: Answered, raw: bytes, body: dict[str, Any]) -> bytes:
    """The answer under the name that was asked for, where an alias or a mapping sent another."""
    call, attempt = answered.call, answered.attempt
    if attempt.model == call.asked:
        return raw
    after = body
    for path in attempt.format.model_at:
        if len(path) == 1 and isinstance(body.get(path[0]), str):
            after = {**after, path[0]: call.asked}
    return splice(raw, body, after)


def _told(state: RelayState, answered: Answered) -> list[tuple[str, str]]:
    """The upstream's headers that the caller may see, as the format (same hop) or the provider lists; the losses."""
    ours = way(state, answered.call, answered.attempt, same=answered.out.same)
    return [*ours.back.of(answered.headers).items(), *loss_header(answered.outcome.report)]
