"""Answers that pass as they come: streams of events of which those with usage are read, and bytes of any kind.

The call is settled before its last bytes leave: before the event that ends a stream, before the last piece of bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from engine.jsonbytes import dumps
from engine.kinds.plain.call import PlainCall
from engine.kinds.plain.metering import complete, meter
from engine.relay import cutshort
from engine.relay.settle import settle
from engine.relay.upstream.failure import UNREADABLE
from engine.relay.upstream.masking import masked
from engine.relay.upstream.refusal import event_json
from engine.relay.upstream.send import failure
from engine.transport import faults, framing

if TYPE_CHECKING:
    from engine.relay.services import Services
    from engine.routing.attempt import Attempt
    from engine.transport.leg import Answer, Handle


class Passing:
    """One answer on its way. ``kind`` is the framing of a stream; nothing for bytes."""

    def __init__(self, services: Services, call: PlainCall, attempt: Attempt, answer: Answer, kind: str | None) -> None:
        self._services, self._call, self._attempt, self._answer = services, call, attempt, answer
        declared = attempt.format.stream
        self._framing = {**(declared.framing if declared else {}), "type": kind} if kind else None
        marks = declared.marks if declared else {}
        self._usage, self._errors = _marks(marks.get("usage")), _marks(marks.get("error"))
        done = declared.framing.get("done") if declared else None
        self._ends = _marks(marks.get("end")) or ((str(done).encode(),) if done else ())
        self._renamed = attempt.model != call.asked
        self._splitter = framing.splitter(kind) if kind else None
        self._ended = kind is None
        """Nothing declares how bytes end but the end of the connection."""

    def run(self, handle: Handle, unwatch: Callable[[], None]) -> Iterator[bytes]:
        """The pieces for the caller; raises ``UpstreamFailure`` where nothing came before the answer broke."""
        call, outcome = self._call, self._attempt.outcome
        place: int | None = None
        ended = False
        try:
            for piece in self._pieces():
                if place is None:
                    place = self._services.served.begin(cutshort.note(call, self._attempt))
                    outcome.delivered = True
                yield piece
            ended = True
        except faults.TransportError as ex:
            ended = True
            if not outcome.delivered:
                raise failure(ex) from None
            outcome.error, outcome.ended = failure(ex).error, "cut"
            yield from self._told(outcome.error)
        finally:
            unwatch()
            if not ended:
                handle.abort()
                outcome.ended = "client_gone"
            if place is not None:
                self._settle()
                self._services.served.end(place, outcome.booked)

    def _pieces(self) -> Iterator[bytes]:
        """What the caller gets; the last piece of bytes, and the end of a stream, wait for the journal."""
        outcome, held = self._attempt.outcome, b""
        for piece in self._answer.pieces():
            if outcome.first_byte is None:
                outcome.first_byte = time.monotonic()
            if self._splitter is None:
                if held:
                    yield held
                held = piece
                continue
            complete_bytes, events = self._splitter.feed(piece)
            out = b"".join([self._event(event) for event in events]) if complete_bytes else b""
            if out:
                if self._ended:
                    self._settle()
                yield out
        rest = held if self._splitter is None else self._event(self._splitter.tail())
        if self._framing is not None and self._ends and not self._ended:
            raise faults.TransportError("cut", "its stream ended without its last event")
        self._settle()
        if rest:
            yield rest

    def _event(self, event: bytes) -> bytes:
        """An event as it goes on. PERF: one without a mark is not read."""
        if not event:
            return b""
        if any(mark in event for mark in self._ends):
            self._ended = True
        telling = any(mark in event for mark in self._usage)
        failing = any(mark in event for mark in self._errors)
        if not telling and not failing and not self._renamed:
            return event
        try:
            for raw in framing.data_of(self._framing or "sse", event):
                event = self._read(event, event_json(raw), telling=telling, failing=failing)
        except UNREADABLE:
            return event
        return event

    def _read(self, event: bytes, data: Any, *, telling: bool, failing: bool) -> bytes:
        if not isinstance(data, dict):
            return event
        attempt, call = self._attempt, self._call
        if telling:
            before = attempt.outcome.usage
            meter(call, attempt, data, self._answer.headers)
            if attempt.outcome.usage_source != "upstream" and before:
                attempt.outcome.usage = before
        changed = data
        if failing and data.get("error"):
            changed = masked(data, attempt, call)
            attempt.outcome.error = {"meaning": "unknown", "message": "the provider told an error within its stream"}
            attempt.outcome.ended = "error"
        for path in attempt.format.model_at if self._renamed else ():
            if len(path) == 1 and isinstance(data.get(path[0]), str):
                changed = {**changed, path[0]: call.asked}
        return event if changed is data else framing.encoder(self._framing or "sse").event(changed)

    def _settle(self) -> None:
        if self._call.settled:
            return
        if not self._attempt.outcome.usage:
            complete(self._call, self._attempt)
        settle(self._services, self._call)

    def _told(self, error: dict[str, Any]) -> Iterator[bytes]:
        if self._framing is not None and self._call.format.error.encode is not None:
            body = self._call.format.error.encode([], error, self._call.ctx(self._attempt))
            yield b"data: " + dumps(body) + b"\n\n"


def _marks(declared: Any) -> tuple[bytes, ...]:
    texts = [declared] if isinstance(declared, str) else declared or ()
    return tuple(text.encode() for text in texts)
