"""The kind of call that sends one body and gets one back: JSON or a form up; JSON, bytes or events that pass down.

Embeddings, pictures, sound, moderations, completions, and whatever else a document alone tells. Between formats of one
family the caller's bytes go up with what has to differ, and the provider's come back under the model's name that was
asked for; formats of one hub are mapped to each other. Where the provider tells no usage, the request is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from engine.jsonbytes import dumps
from engine.kinds.kept import owned
from engine.kinds.needed import needed
from engine.kinds.plain import later
from engine.kinds.plain.batches import joined, summed
from engine.kinds.plain.call import PlainCall, PlainOutbound, hub_of
from engine.kinds.plain.encode import encode, encode_part
from engine.kinds.plain.form import MEDIA_TYPE, read_form
from engine.kinds.plain.metering import complete, counted, meter
from engine.kinds.plain.passing import Passing
from engine.ledger.counting.weights import BYTES_PER_TOKEN
from engine.relay.call import Reply
from engine.relay.dialect import JSON, STREAM_HEADERS
from engine.relay.ingress.asks import most_output
from engine.relay.ingress.body import asked_model, check_schema, framing, receive, streams, take
from engine.relay.kind import Estimate, Kind
from engine.relay.upstream.answer import accepted, headers_back, note_id, read_whole
from engine.relay.upstream.failure import UNREADABLE, UpstreamFailure
from engine.relay.upstream.patches import answer_patched
from engine.relay.upstream.refusal import unreadable
from engine.relay.upstream.send import send
from engine.relay.upstream.splice import splice
from engine.transport.framing import of_media_type

if TYPE_CHECKING:
    from engine.routing.attempt import Attempt
    from engine.transport.leg import Answer, Handle
    from engine.transport.waiting import Waiting


class Plain(Kind[PlainCall, PlainOutbound]):
    """See the module."""

    name = "plain"
    call = PlainCall

    def read(self, call: PlainCall, environ: dict[str, Any]) -> Reply | None:
        kind = call.headers.get("content-type", "")
        if call.format.form and (not call.format.form_or_json or kind.lower().lstrip().startswith(MEDIA_TYPE)):
            self._read_form(call, environ, kind)
        elif (elsewhere := take(self.services, call, environ)) is not None:
            return elsewhere
        check_schema(call, call.body)
        owned.bind(self.services.db, call)
        return None

    def _read_form(self, call: PlainCall, environ: dict[str, Any], kind: str) -> None:
        settings = self.services.settings
        call.form = read_form(receive(environ, settings.max_request_body, settings.data), kind)
        call.body = call.form.fields()
        call.asked = asked_model(call, call.endpoint)
        call.stream = streams(call, call.endpoint)
        call.framing = framing(call)

    def estimate(self, call: PlainCall) -> Estimate:
        if call.form is not None:
            return Estimate(counted(call, call.asked, hasty=True).tokens, most_output(call.format.asks, call.body, 0))
        return Estimate(len(call.raw) // BYTES_PER_TOKEN, most_output(call.format.asks, call.body, 0))

    def count(self, call: PlainCall, estimated: Estimate) -> int:
        return counted(call, call.asked, hasty=True).tokens

    def order(self, call: PlainCall, attempts: list[Attempt]) -> list[Attempt]:
        return needed(call, attempts)

    def encode(self, call: PlainCall, attempt: Attempt) -> PlainOutbound:
        return encode(call, attempt)

    def deliver(
        self,
        call: PlainCall,
        attempt: Attempt,
        out: PlainOutbound,
        answer: Answer,
        handle: Handle,
        unwatch: Callable[[], None],
        *,
        spare: bool,
    ) -> Waiting[Reply]:
        note_id(attempt, answer.headers)
        media_type = answer.headers.get("content-type", "")
        kind = of_media_type(media_type) if out.same and (call.stream or attempt.format.any_answer) else None
        if kind is not None or (attempt.format.any_answer and not _is_json(media_type)):
            return self._passing(call, attempt, answer, media_type, kind, handle, unwatch)
        raw = yield from read_whole(answer, 0.0)
        attempt.outcome.first_byte = time.monotonic()
        body = accepted(call, attempt, answer.status, answer.headers, raw)
        body = later.finished(self.services, call, attempt, answer.headers, body, handle)
        try:
            patched = answer_patched(attempt, body)
            raw, body = splice(raw, body, patched), patched
            meter(call, attempt, body, answer.headers)
            if out.same:
                data = _told(call, attempt, raw, body)
            else:
                hub = _decoded(call, attempt, out, answer, body)
                if out.rest:
                    hub = joined([hub, *(yield from self._others(call, attempt, out, handle))])
                data = dumps(_mapped(call, attempt, out, hub))
        except UNREADABLE as ex:
            raise UpstreamFailure(unreadable(ex, call, attempt)) from ex
        unwatch()
        return Reply(200, [("content-type", JSON), *headers_back(call, attempt, answer.headers, same=out.same)], data)

    def _others(
        self, call: PlainCall, attempt: Attempt, first: PlainOutbound, handle: Handle
    ) -> Waiting[list[dict[str, Any]]]:
        """The answers to the rest of a request, in the hub's form; what all of them used is the attempt's."""
        answers, used = [], [attempt.outcome.usage]
        for hub in first.rest:
            out = encode_part(call, attempt, hub)
            answer = yield from send(self.services, call, attempt, out, handle)
            raw = yield from read_whole(answer, 0.0)
            body = accepted(call, attempt, answer.status, answer.headers, raw)
            body = answer_patched(attempt, later.finished(self.services, call, attempt, answer.headers, body, handle))
            meter(call, attempt, body, answer.headers)
            used.append(attempt.outcome.usage)
            attempt.outcome.usage = summed(used)
            answers.append(_decoded(call, attempt, out, answer, body))
        return answers

    def _passing(
        self,
        call: PlainCall,
        attempt: Attempt,
        answer: Answer,
        media_type: str,
        kind: str | None,
        handle: Handle,
        unwatch: Callable[[], None],
    ) -> Reply:
        """What comes is neither held nor looked at as a whole: it goes on as it arrives."""
        pieces = Passing(self.services, call, attempt, answer, kind).run(handle, unwatch)
        try:
            first = next(pieces)
        except StopIteration:
            raise UpstreamFailure({"meaning": "cut", "message": "the provider's answer held nothing"}) from None
        back = headers_back(call, attempt, answer.headers, same=True)
        beside = STREAM_HEADERS if kind is not None else ()
        return Reply(200, [("content-type", media_type), *beside, *back], stream=_from(first, pieces))

    def left(self, call: PlainCall, attempt: Attempt) -> None:
        complete(call, attempt)


def _is_json(media_type: str) -> bool:
    return media_type.partition(";")[0].strip().lower() in (JSON, "")


def _from(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield first
        yield from rest
    finally:
        rest.close()  # type: ignore[attr-defined]  # a generator: the caller may leave before the first piece is gone


def _decoded(
    call: PlainCall, attempt: Attempt, out: PlainOutbound, answer: Answer, body: dict[str, Any]
) -> dict[str, Any]:
    """The answer in the hub's form."""
    decode = attempt.format.decode_response
    if decode is None or hub_of(attempt.format) == attempt.format.passthrough_as:
        return body
    hub_body: dict[str, Any] = decode(attempt.outcome.report, body, answer.headers, out.hub, call.ctx(attempt))
    return hub_body


def _mapped(call: PlainCall, attempt: Attempt, out: PlainOutbound, body: dict[str, Any]) -> dict[str, Any]:
    """An answer in the hub's form as the caller's, under the model's name that was asked for."""
    encode_back = call.format.encode_response
    if encode_back is not None and hub_of(call.format) != call.format.passthrough_as:
        body = encode_back(attempt.outcome.report, body, out.hub, call.ctx(attempt))
    for path in call.format.model_at:
        if len(path) == 1:
            body = {**body, path[0]: call.asked}
    return {**_beside(call, attempt), **body}


def _told(call: PlainCall, attempt: Attempt, raw: bytes, body: dict[str, Any]) -> bytes:
    """The answer's bytes, with another name of the model and what the provider leaves out."""
    after = {**_beside(call, attempt), **body} if call.format.beside is not None else body
    if attempt.model != call.asked:
        for path in attempt.format.model_at:
            if len(path) == 1 and isinstance(after.get(path[0]), str):
                after = {**after, path[0]: call.asked}
    return splice(raw, body, after)


def _beside(call: PlainCall, attempt: Attempt) -> dict[str, Any]:
    make = call.format.beside
    return {} if make is None else make([], attempt.outcome.usage) or {}
