"""Deliver: the upstream's answer becomes the caller's, whole or as a stream, in the same format or through the hub.

Either side may be streaming or not. A fault before the first byte for the caller raises ``UpstreamFailure``, and the
loop over attempts decides what follows; after it, the caller gets an error event in its own format, never a clean end.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from engine.jsonbytes import dumps
from engine.kinds.conversation.answers import AnswerServices, Exchange, Whole, through_hub
from engine.kinds.conversation.opening import held_back
from engine.kinds.conversation.passthrough import Passthrough
from engine.kinds.conversation.streamed.unbroken import Unbroken
from engine.kinds.conversation.streams import TranslatedStream
from engine.relay import cutshort
from engine.relay.call import Reply
from engine.relay.dialect import FAILED, JSON, STREAM_HEADERS
from engine.relay.settle import SettleServices, settle
from engine.relay.upstream.answer import accepted, headers_back, note_id, read_whole, renamed
from engine.relay.upstream.failure import EMPTY, OUTRUN, UNREADABLE, UpstreamFailure
from engine.relay.upstream.patches import answer_patched
from engine.relay.upstream.refusal import parse, unreadable
from engine.relay.upstream.send import ping_every
from engine.relay.upstream.splice import splice
from engine.transport import framing

if TYPE_CHECKING:
    from engine.kinds.conversation.call import ConversationCall, Converted
    from engine.kinds.conversation.streamed.stream import Stream
    from engine.kinds.conversation.streams import Pump
    from engine.ledger.served import Served
    from engine.relay.attempts.continued import GoneUp
    from engine.routing.attempt import Attempt, Outcome
    from engine.transport.leg import Answer, Handle
    from engine.transport.waiting import Waiting

log = logging.getLogger(__name__)


class DeliverServices(SettleServices, AnswerServices, Protocol):
    """What delivering takes of a worker's services."""

    @property
    def served(self) -> Served: ...


def deliver(
    services: DeliverServices,
    call: ConversationCall,
    attempt: Attempt,
    out: Converted,
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
    note_id(attempt, answer.headers)
    media_type = answer.headers.get("content-type", "")
    kind = None if media_type == JSON else _framing(media_type, attempt)  # PERF: as nearly all whole answers say
    answered = Exchange(services, call, attempt, out, answer.headers, handle, unwatch)
    tick = ping_every(call) if call.stream else 0.0
    if kind is not None and call.stream:
        stream = _stream(services, answered, _pump(answered, answer, tick), kind, tick)
        chunks = held_back(call, attempt, stream, answer, spare=spare) if spare or attempt.speaks_by else stream.run()
        pieces = _guarded(services, answered, stream, chunks)
        while (first := next(pieces)) is None:
            yield
        headers = [("content-type", stream.encoder.content_type), *STREAM_HEADERS, *_headers_back(answered)]
        return Reply(200, headers, stream=_from(first, pieces))
    if kind is None:
        reply = _whole(answered, answer.status, (yield from read_whole(answer, tick)), spare)
    else:
        reply = _gathered(answered, _pump(answered, answer, 0.0), spare)
    unwatch()
    return reply


def _stream(services: DeliverServices, answered: Exchange, pump: Pump, kind: str, tick: float) -> Stream:
    """The caller's stream of an answer; where a Policy wants that, one which others go on with."""
    out = answered.out
    stream = (Passthrough if out.same and not out.turned else TranslatedStream)(answered, pump, kind)
    if answered.attempt.goes_on is None:
        return stream

    def begin(went: GoneUp) -> tuple[Exchange, Pump, str | None]:
        headers = went.answer.headers
        note_id(went.attempt, headers)
        more = Exchange(services, answered.call, went.attempt, went.out, headers, went.handle, went.ended)
        return more, _pump(more, went.answer, tick), _framing(headers.get("content-type", ""), went.attempt)

    return Unbroken(stream, begin)


def _framing(content_type: str, attempt: Attempt) -> str | None:
    """The framing of a streamed answer, by what the upstream says that it is; None for a whole one."""
    kind = framing.of_media_type(content_type)
    declared = attempt.format.stream.framing.get("type") if attempt.format.stream else None
    return declared if kind == "sse" and declared is None else kind


def _pump(answered: Exchange, answer: Answer, tick: float) -> Iterator[bytes | None]:
    """Pieces of the upstream's body as they come; None each time that a ping is due while nothing came."""
    outcome = answered.outcome
    for piece in answer.pieces(tick):
        if piece and outcome.first_byte is None:
            outcome.first_byte = time.monotonic()
        yield piece or None


def _guarded(
    services: DeliverServices,
    answered: Exchange,
    stream: Stream,
    pieces: Iterator[bytes | None],
) -> Iterator[bytes | None]:
    """The caller's bytes, or None where a ping is due before it has any; a call that had bytes is settled here, once.

    The piece that completes the answer is held until the call is in the journal. However the stream ends, the
    upstream's connection is given up.
    """
    call, outcome = answered.call, answered.outcome
    ended = False
    place: int | None = None
    try:
        for piece in pieces:
            if piece is None:
                yield stream.encoder.ping() if outcome.delivered else None
                continue
            if not outcome.delivered:
                place = _begun(services, answered)
            if stream.ending and not call.settled:
                stream.note()
                _settle(services, stream)
            yield piece
        ended = True
        _must_have_begun(outcome)
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
        last = stream.answered
        last.unwatch()
        if not ended:
            _leave(last)
        if place is not None:
            _close(services, stream, place)


def _begun(services: DeliverServices, answered: Exchange) -> int | None:
    """The caller is given its first bytes: the place of the note of that, kept for who would die before the end.

    None where no caller has them.
    """
    if not answered.attempt.wins:
        raise UpstreamFailure(OUTRUN)
    answered.outcome.delivered = True
    if answered.attempt.unheard:
        return None
    return services.served.begin(cutshort.note(answered.call, answered.attempt))


def _must_have_begun(outcome: Outcome) -> None:
    if not outcome.delivered:
        raise UpstreamFailure({"meaning": "cut", "message": "the provider's answer held nothing"})


def _leave(answered: Exchange) -> None:
    """Give the upstream up: the caller has gone, or the gateway failed."""
    answered.handle.abort()
    answered.outcome.ended = "client_gone" if answered.call.error is None else "error"


def _close(services: DeliverServices, stream: Stream, place: int) -> None:
    """Book a stream whose caller had bytes; ``place`` is that of its note, kept for who would die before."""
    answered = stream.answered
    call, outcome = answered.call, answered.outcome
    if outcome.ended == "client_gone" and answered.complete:
        outcome.ended = "done"  # who leaves at the last event has all there is
    _settle(services, stream)
    services.served.end(place, outcome.booked)
    if not outcome.booked:
        log.error("call %s was served and not booked", call.request_id)


def _settle(services: DeliverServices, stream: Stream) -> None:
    """Settle a stream, once: with its last piece, or when it is over."""
    answered = stream.answered
    if not answered.call.settled:
        answered.count_missing(stream)
        settle(services, answered.call)


def _from(first: bytes, rest: Iterator[bytes | None]) -> Iterator[bytes]:
    try:
        yield first
        yield from rest  # type: ignore[misc]  # once the caller has bytes, all that follows are bytes
    finally:
        rest.close()  # type: ignore[attr-defined]  # a generator: the caller may leave before the first piece is gone


def _whole(answered: Exchange, status: int, raw: bytes, spare: bool) -> Reply:
    """A whole answer: checked against the error maps even under status 200, metered, then given on."""
    call, attempt = answered.call, answered.attempt
    attempt.outcome.first_byte = time.monotonic()
    body = accepted(call, attempt, status, answered.headers, raw)
    try:
        patched = answer_patched(attempt, body, call.snapshot.program.models.traits(attempt.model))
        return _given(answered, status, splice(raw, body, patched), patched, spare)
    except UNREADABLE as ex:
        raise UpstreamFailure(unreadable(ex, call, attempt)) from ex


def _given(answered: Exchange, status: int, raw: bytes, body: dict[str, Any], spare: bool) -> Reply:
    """What the caller gets for an answer that is no error; raises one of ``UNREADABLE`` where it is not as they are."""
    call, attempt, outcome = answered.call, answered.attempt, answered.outcome
    at = attempt.format.usage.at
    counts = at([], body, attempt.model, answered.headers) if at else None
    outcome.usage = answered.plan.normalise(counts) if counts else {}
    whole = Whole(answered, body)
    if spare and outcome.usage.get("output_total", 0) <= 1 and whole.empty:
        raise UpstreamFailure(EMPTY)
    answered.count_missing(whole)
    if call.stream:
        return _replayed(answered, body)
    if answered.out.same and not answered.out.turned:
        data = renamed(call, attempt, raw, body)
        if call.format.stored is not None:
            answered.keep_answer(parse(data))
    else:
        caller_body = through_hub(answered, body)
        answered.keep_answer(caller_body)
        data = dumps(caller_body)
    return Reply(status, [("content-type", JSON), *_headers_back(answered)], data)


def _replayed(answered: Exchange, body: dict[str, Any]) -> Reply:
    """A whole answer to a caller who wanted a stream: told as one."""
    stream = TranslatedStream(answered, iter(()), "")
    data = b"".join(stream.replay(body))
    headers = [("content-type", stream.encoder.content_type), *STREAM_HEADERS, *_headers_back(answered)]
    return Reply(200, headers, data)


def _gathered(answered: Exchange, pump: Iterator[bytes | None], spare: bool) -> Reply:
    """A streamed answer to a caller who wanted it whole."""
    stream = TranslatedStream(answered, pump, "sse")
    try:
        body = stream.gather()
    except UNREADABLE as ex:
        raise UpstreamFailure(unreadable(ex, answered.call, answered.attempt)) from ex
    if spare and stream.empty:
        raise UpstreamFailure(EMPTY)
    answered.count_missing(stream)
    return Reply(200, [("content-type", JSON), *_headers_back(answered)], dumps(body))


def _headers_back(answered: Exchange) -> list[tuple[str, str]]:
    return headers_back(answered.call, answered.attempt, answered.headers, same=answered.out.same)
