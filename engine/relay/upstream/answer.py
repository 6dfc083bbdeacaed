"""A provider's whole answer as any kind of call takes it: read, checked for an error under status 200, told back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.relay.losses import loss_header
from engine.relay.upstream.failure import UNREADABLE, UpstreamFailure
from engine.relay.upstream.masking import masked, masked_headers
from engine.relay.upstream.refusal import parse, refusal, unreadable
from engine.relay.upstream.send import failure
from engine.relay.upstream.splice import splice
from engine.routing.upstream_profile import upstream_profile
from engine.transport import faults
from engine.transport.answer import over_limit
from engine.transport.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from engine.relay.call import Call
    from engine.routing.attempt import Attempt
    from engine.transport.leg import Answer
    from engine.transport.waiting import Waiting

_UPSTREAM_ID = ("x-request-id", "request-id", "x-oneapi-request-id")


def note_id(attempt: Attempt, headers: Mapping[str, str]) -> None:
    """Note the provider's own id of the call."""
    for name in _UPSTREAM_ID:
        if name in headers:
            attempt.outcome.upstream_id = headers[name]
            return


def read_whole(answer: Answer, tick: float) -> Waiting[bytes]:
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


def accepted(call: Call, attempt: Attempt, status: int, headers: Mapping[str, str], raw: bytes) -> dict[str, Any]:
    """The JSON object of an answer that is no error; raises ``UpstreamFailure`` for one that is, or that is none."""
    body = parse(raw)
    if not isinstance(body, dict):
        shown = masked(raw, attempt, call)[:200].decode("utf-8", "replace")
        raise UpstreamFailure({"meaning": "unknown", "message": f"the provider answered with no JSON object: {shown}"})
    try:
        failed = refusal(call, attempt, status, headers, raw, body)
    except UNREADABLE as ex:
        raise UpstreamFailure(unreadable(ex, call, attempt)) from ex
    if failed is not None:
        raise failed
    return body


def renamed(call: Call, attempt: Attempt, raw: bytes, body: dict[str, Any]) -> bytes:
    """The answer under the name that was asked for, where an alias or a mapping sent another."""
    if attempt.model == call.asked:
        return raw
    after = body
    for path in attempt.format.model_at:
        if len(path) == 1 and isinstance(body.get(path[0]), str):
            after = {**after, path[0]: call.asked}
    return splice(raw, body, after)


def headers_back(call: Call, attempt: Attempt, headers: Mapping[str, str], *, same: bool) -> list[tuple[str, str]]:
    """The headers that the caller may see, as the format (``same`` hop) or the provider lists; the losses."""
    back = upstream_profile(call.snapshot.time_limits, call, attempt, same=same).back.of(headers)
    if back:
        back = masked_headers(back, attempt)
    report = attempt.outcome.report
    return [*back.items(), *(loss_header(report) if report else ())]
