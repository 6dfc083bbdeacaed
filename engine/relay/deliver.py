"""Deliver: the upstream's answer becomes the caller's, whole or as a stream, in the same format or through the hub.

Either side may be streaming or not. A fault before the first byte for the caller raises ``UpstreamFailure``, and the
loop over attempts decides what follows; after it, the caller gets an error event in its own format, never a clean end.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from engine.relay import cutshort
from engine.relay.answers import Answered, Whole, through_hub
from engine.relay.call import Reply
from engine.relay.dialect import FAILED, JSON
from engine.relay.losses import loss_header
from engine.relay.masking import masked, masked_headers
from engine.relay.send import failure
from engine.relay.settle import settle
from engine.relay.splice import splice
from engine.relay.streams import Across, Stream, ping_every
from engine.relay.through import Through
from engine.relay.translate import dumps
from engine.relay.upstream import EMPTY, UNREADABLE, UpstreamFailure, parse, refusal, unreadable
from engine.relay.way import way
from engine.transport import faults
from engine.transport.answer import over_limit
from engine.transport.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from engine.relay.call import Attempt, Call
    from engine.relay.state import RelayState
    from engine.relay.translate import Outbound
    from engine.transport.leg import Answer, Handle
    from engine.transport.waiting import Waiting

log = logging.getLogger(__name__)
_STREAMS = {
    "text/event-stream": "sse",
    "application/x-ndjson": "ndjson",
    "application/vnd.amazon.eventstream": "aws-eventstream",
}
_UPSTREAM_ID = ("x-request-id", "request-id", "x-oneapi-request-id")
_OPENING = 16
"""Pieces of a stream that are held back at most while nothing is said in them."""
SSE_HEADERS = (("cache-control", "no-cache"), ("x-accel-buffering", "no"))


def deliver(
    state: RelayState,
    call: Call,
    attempt: Attempt,
    out: Outbound,
    answer: Answer,
    handle: Handle,
    unwatch: Callable[[], None],
    *,
    spare: bool,
) -> Waiting[Reply]:
    """Return the reply to the caller, giving way each time that a ping is due before it has anything.

    ``unwatch`` ends the watch on the caller's socket at the last byte. ``spare``: another attempt would follow if
    nothing was said in this answer.
    """
    outcome = attempt.outcome
    outcome.upstream_id = next((answer.headers[name] for name in _UPSTREAM_ID if name in answer.headers), "")
    kind = _framing(answer.headers.get("content-type", ""), attempt)
    answered = Answered(state, call, attempt, out, answer.headers)
    tick = ping_every(state, call) if call.stream else 0.0
    if kind is not None and call.stream:
        kind_of_stream = Through if out.same and not out.turned else Across
        stream: Stream = kind_of_stream(answered, _pump(answered, answer, tick), kind)
        pieces = _guarded(state, answered, stream, handle, unwatch, spare)
        while (first := next(pieces)) is None:
            yield
        headers = [("content-type", stream.encoder.content_type), *SSE_HEADERS, *_told(state, answered)]
        return Reply(200, headers, stream=_from(first, pieces))
    if kind is None:
        reply = _whole(state, answered, answer.status, (yield from _read(answer, tick)), spare)
    else:
        reply = _gathered(state, answered, _pump(answered, answer, 0.0), spare)
    unwatch()
    return reply


def _framing(content_type: str, attempt: Attempt) -> str | None:
    """The framing of a streamed answer, by what the upstream says that it is; None for a whole one."""
    name = content_type.partition(";")[0].strip().lower()
    kind = _STREAMS.get(name)
    declared = attempt.format.stream.framing.get("type") if attempt.format.stream else None
    return declared if kind == "sse" and declared is None else kind


def _pump(answered: Answered, answer: Answer, tick: float) -> Iterator[bytes | None]:
    """Pieces of the upstream's body as they come; None each time that a ping is due while nothing came."""
    outcome = answered.outcome
    for piece in answer.pieces(tick):
        if piece and outcome.first_byte is None:
            outcome.first_byte = time.monotonic()
        yield piece or None


def _guarded(
    state: RelayState, answered: Answered, stream: Stream, handle: Handle, unwatch: Callable[[], None], spare: bool
) -> Iterator[bytes | None]:
    """The caller's bytes, or None where a ping is due before it has any; a call that had bytes is settled here, once.

    The piece that completes the answer is held until the call is in the journal. However the stream ends, the
    upstream's connection is given up.
    """
    call, outcome = answered.call, answered.outcome
    ended = False
    place: int | None = None
    try:
        for piece in _once_it_speaks(stream) if spare else stream.run():
            if piece is None:
                yield stream.encoder.ping() if outcome.delivered else None
                continue
            if not outcome.delivered:
                outcome.delivered = True
                place = state.served.begin(cutshort.note(call, answered.attempt))
            if stream.ending and not call.settled:
                stream.note()
                answered.count_missing(stream)
                settle(state, call)
            yield piece
        ended = True
        if not outcome.delivered:
            raise UpstreamFailure({"meaning": "cut", "message": "the provider's answer held nothing"})
    except UpstreamFailure:
        ended = True
        raise
    except Exception:
        if not outcome.delivered:
            raise
        log.exception("call %s failed inside its stream", call.request_id)
        call.error = FAILED
        yield stream.encoder.error(FAILED)
    finally:
        unwatch()
        if not ended:
            handle.abort()
            outcome.ended = "client_gone" if call.error is None else "error"
        if place is not None:
            _settle(state, answered, stream)
            state.served.end(place, outcome.booked)
            if not outcome.booked:
                log.error("call %s was served and not booked", call.request_id)


def _settle(state: RelayState, answered: Answered, stream: Stream) -> None:
    """Settle a stream that is over, if its last piece was not."""
    call, outcome = answered.call, answered.outcome
    if outcome.ended == "client_gone" and answered.complete:
        outcome.ended = "done"  # who leaves at the last event has all there is
    if not call.settled:
        answered.count_missing(stream)
        settle(state, call)


def _once_it_speaks(stream: Stream) -> Iterator[bytes | None]:
    """The stream's pieces, the beginning held back until something is said; an answer in which nothing is, fails."""
    pieces = stream.run()
    opening: list[bytes] = []
    for piece in pieces:
        if piece is None:
            yield None
            continue
        opening.append(piece)
        if stream.ending or len(opening) == _OPENING or not stream.silent:
            break
    stream.note()
    if stream.empty:
        raise UpstreamFailure(EMPTY)
    if opening:
        yield b"".join(opening)
    yield from pieces


def _from(first: bytes, rest: Iterator[bytes | None]) -> Iterator[bytes]:
    try:
        yield first
        yield from rest  # type: ignore[misc]  # once the caller has bytes, all that follows are bytes
    finally:
        rest.close()  # type: ignore[attr-defined]  # a generator: the caller may leave before the first piece is gone


def _read(answer: Answer, tick: float) -> Waiting[bytes]:
    """The whole body, giving way after each tick of silence."""
    try:
        if not tick:
            return answer.read()
        pieces: list[bytes] = []
        size = 0
        for piece in answer.pieces(tick):
            if not piece:
                yield
            size += len(piece)
            if size > DEFAULT_LIMITS.read_bytes:
                answer.abort()
                raise over_limit(DEFAULT_LIMITS.read_bytes)
            pieces.append(piece)
        return b"".join(pieces)
    except faults.TransportError as ex:
        raise failure(ex) from None


def _whole(state: RelayState, answered: Answered, status: int, raw: bytes, spare: bool) -> Reply:
    """A whole answer: checked against the error maps even under status 200, metered, then given on."""
    call, attempt, outcome = answered.call, answered.attempt, answered.outcome
    outcome.first_byte = time.monotonic()
    body = parse(raw)
    if not isinstance(body, dict):
        shown = masked(raw, attempt, call)[:200].decode("utf-8", "replace")
        raise UpstreamFailure({"meaning": "unknown", "message": f"the provider answered with no JSON object: {shown}"})
    try:
        failed = refusal(call, attempt, status, answered.headers, raw, body)
        if failed is None:
            return _given(state, answered, status, raw, body, spare)
    except UNREADABLE as ex:
        raise UpstreamFailure(unreadable(ex, call, attempt)) from ex
    raise failed


def _given(state: RelayState, answered: Answered, status: int, raw: bytes, body: dict[str, Any], spare: bool) -> Reply:
    """What the caller gets for an answer that is no error; raises one of ``UNREADABLE`` where it is not as they are."""
    call, attempt, outcome = answered.call, answered.attempt, answered.outcome
    at = attempt.format.usage.at
    counts = at([], body, attempt.model) if at else None
    outcome.usage = answered.plan.normalise(counts) if counts else {}
    whole = Whole(answered, body)
    if spare and outcome.usage.get("output_total", 0) <= 1 and whole.empty:
        raise UpstreamFailure(EMPTY)
    answered.count_missing(whole)
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
    return Reply(status, [("content-type", JSON), *_told(state, answered)], data)


def _replayed(state: RelayState, answered: Answered, body: dict[str, Any]) -> Reply:
    """A whole answer to a caller who wanted a stream: told as one."""
    stream = Across(answered, iter(()), "")
    data = b"".join(stream.replay(body))
    headers = [("content-type", stream.encoder.content_type), *SSE_HEADERS, *_told(state, answered)]
    return Reply(200, headers, data)


def _gathered(state: RelayState, answered: Answered, pump: Iterator[bytes | None], spare: bool) -> Reply:
    """A streamed answer to a caller who wanted it whole."""
    stream = Across(answered, pump, "sse")
    try:
        body = stream.gather()
    except UNREADABLE as ex:
        raise UpstreamFailure(unreadable(ex, answered.call, answered.attempt)) from ex
    if spare and stream.empty:
        raise UpstreamFailure(EMPTY)
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
    back = ours.back.of(answered.headers)
    if back:
        back = masked_headers(back, answered.attempt)
    return [*back.items(), *loss_header(answered.outcome.report)]
