"""Streams on their way to the caller that are decoded, assembled and encoded anew.

``TranslatedStream`` reads every event; ``passthrough.Passthrough`` passes them and reads few. Both give the caller's
bytes piece by piece, one for each that the upstream sent. A stream that breaks off ends in an error event.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from engine.errors import MappingError
from engine.hub import usage as usages
from engine.hub import validate_decoded
from engine.hub.stream import replay
from engine.hub.stream.assembler import Assembler
from engine.kinds.conversation.answers import Exchange, decode_whole, encode_whole
from engine.kinds.conversation.repeats import Repeats
from engine.kinds.conversation.streamed.encoder import encoder_of
from engine.kinds.conversation.token_fallback import nothing_said, says_something
from engine.program.refused import for_caller
from engine.relay.upstream.failure import UNREADABLE, UpstreamFailure
from engine.relay.upstream.refusal import event_json, unreadable
from engine.transport import faults, framing

if TYPE_CHECKING:
    from engine.kinds.conversation.streamed.prefix import Prefix
    from engine.routing.attempt import Report

Pump = Iterator[bytes | None]
_MOST_LOSSES = 100
"""Lines that decode reports of one stream; of more, nobody reads the rest."""
GARBAGE = "the provider sent an event that is no JSON"


def transport_error(ex: faults.TransportError) -> dict[str, Any]:
    """Return the hub error for a connection that broke in the middle of an answer."""
    if ex.kind == "aborted":
        return {
            "meaning": "unavailable",
            "message": "the gateway is stopping; send the request again",
            "code": "stopping",
        }
    meaning = "timeout" if ex.kind.endswith("timeout") else "cut"
    return {"meaning": meaning, "message": f"the provider's answer broke off: {ex.public}", "code": ex.kind}


def ended_word(error: dict[str, Any]) -> str:
    """The log's word for how a stream ended by ``error``."""
    return error["meaning"] if error["meaning"] in ("cut", "timeout") else "error"


class TranslatedStream:
    """Another format on the caller's side: every event goes through the hub, and is encoded before the next is read."""

    def __init__(self, answered: Exchange, pump: Pump, kind: str) -> None:
        self.encoder = encoder_of(answered)
        source = answered.attempt.format.stream
        self._assembler: Assembler = answered.assembler(source if kind else None)
        self._turner = answered.turner()
        # What its calls must bring back is signed thinking, which is none any more when it has been told as text.
        self._untold = Assembler(source) if self._turner and kind else None
        self._reported: list[tuple[str, str]] = []
        self._losses: dict[tuple[str, str], None] = {}
        """What decode reported of all events, each line once."""
        self._kept = answered.call.format.stored is None
        self._prefix: Prefix | None = None
        self._begun: dict[str, Any] = {}
        """What those used that began the answer."""
        self._reads(answered, pump, kind)

    def _reads(self, answered: Exchange, pump: Pump, kind: str) -> None:
        """Read this upstream's answer from here on."""
        self._answered, self._pump = answered, pump
        source = answered.attempt.format.stream
        self._decode = source.decode if source else None
        self._given = (answered.headers, answered.request, answered.ctx)
        patched = bool(answered.attempt.channel.provider.response_patches)
        self._repeats = Repeats(source.texts if source and not patched else frozenset(), self._decoded)
        self._decoder = (
            framing.decoder({**(source.framing if source else {}), "type": kind}, answered.limit) if kind else None
        )
        self._restorer = answered.restorer()
        self._lost = answered.untold()

    def go_on(self, answered: Exchange, pump: Pump, kind: str, prefix: Prefix) -> None:
        """Another upstream goes on where this one broke off, after ``prefix``; ``run`` then tells the rest."""
        used = self._answered.outcome.usage
        self._begun = used if self._prefix is None else usages.joined(self._begun, used)
        self._prefix = prefix
        self._reads(answered, pump, kind)
        self._assembler.go_on(answered.attempt.format.stream, answered.plan, self._begun)

    def retell(self, seen: bytes) -> None:
        """Take up what its caller was told of the answer by another way."""
        if self._decoder is not None:
            self._events(self._decoder.feed(seen))
        self.encoder.opened = True

    @property
    def answered(self) -> Exchange:
        """See ``Stream``."""
        return self._answered

    def run(self) -> Iterator[bytes | None]:
        """Give the caller's events, a piece for each of the upstream's that said something."""
        assembler, encoder = self._assembler, self.encoder
        try:
            for out in self._pieces():
                if assembler.over:
                    self._settled()
                if out:
                    yield out if encoder.opened else encoder.start() + out
                elif out is None:
                    yield None
                if assembler.error is not None and self._broke_off:
                    raise self._failure(assembler.error)
        finally:  # the caller may leave at any piece
            self.note()
        tail = encoder.done() if assembler.error is None else b""
        if tail:
            yield tail if encoder.opened else encoder.start() + tail

    def _settled(self) -> None:
        """All is told, or an error: before the caller got a byte that is a failed attempt, not an error event."""
        if self._assembler.complete and not self._kept:
            self._keep()
        if self._assembler.error is not None and not self._answered.outcome.delivered:
            raise self._failure(self._assembler.error)

    @property
    def ending(self) -> bool:
        """The piece just given completes the answer."""
        return self._assembler.over and not self._broke_off

    @property
    def silent(self) -> bool:
        """See ``Stream``."""
        return not says_something(self.parts())

    @property
    def _broke_off(self) -> bool:
        """It ended in an error, and another attempt may go on."""
        return self._assembler.error is not None and self._answered.may_go_on

    @property
    def turned(self) -> bool:
        """Its thinking is told another way, which no other upstream can go on with."""
        return self._turner is not None

    @property
    def empty(self) -> bool:
        """See ``Stream``."""
        return self._assembler.complete and nothing_said(self._assembler.message)

    def parts(self) -> list[dict[str, Any]]:
        """What the answer said so far; where another one began it, what was said since."""
        parts = self._assembler.so_far()
        return parts if self._prefix is None else self._prefix.since(parts)

    def said(self) -> list[dict[str, Any]]:
        """All that its caller was told so far, whoever made it."""
        return self._assembler.so_far()

    def pending(self) -> str:
        """See ``token_fallback.Said``."""
        return str(self._assembler.message.get("id") or "") if self._answered.goes_on else ""

    def _keep(self) -> None:
        """Keep the answer, before the caller hears that it is complete and may go on from it."""
        self._kept = True
        self._answered.keep_answer(encode_whole(self._answered, self._assembler))

    def gather(self) -> dict[str, Any]:
        """Take the stream to its end and return the caller's body for the whole answer."""
        for _ in self._pieces():
            pass
        self.note()
        if self._assembler.error is not None:
            raise self._failure(self._assembler.error)
        body = encode_whole(self._answered, self._assembler)
        self._answered.keep_answer(body)
        return body

    def replay(self, body: dict[str, Any]) -> Iterator[bytes]:
        """Tell a whole answer as a stream."""
        yield self.encoder.start()
        yield self._told(replay.events(decode_whole(self._answered, body)))
        yield self._encode(self._assembler.close(cut=False))
        if not self._kept:
            self._keep()
        self.note()
        yield self.encoder.done()

    def _failure(self, error: dict[str, Any]) -> UpstreamFailure:
        """A failed attempt, told in the upstream's own words where it had any."""
        return UpstreamFailure(self._answered.original or error, fee=self._answered.outcome.fee)

    def _pieces(self) -> Iterator[bytes | None]:
        """What to tell the caller for each piece of the upstream's body; None where a ping is due."""
        decoder, assembler = self._decoder, self._assembler
        if decoder is None:
            raise TypeError("a whole answer has no pieces; replay it")
        try:
            for piece in self._pump:
                if piece is None:
                    yield None
                    continue
                events = decoder.feed(piece)
                out = self._event(*events[0]) if len(events) == 1 else self._events(events)
                yield out + self._told(self._as_told([{"type": "end"}])) if decoder.done else out
            out = self._events(decoder.finish())
            if self._turner:
                out += self._told(self._turner.close())
            yield out + self._encode(assembler.close())
        except faults.TransportError as ex:
            if ex.kind == "aborted" and not self._answered.stopping:
                self._answered.left()
                return
            if self._turner and self._answered.outcome.delivered:
                yield self._told(self._turner.close())
            yield self._encode(assembler.close(error={"type": "error", **transport_error(ex)}))
        except UNREADABLE as ex:
            failure = unreadable(ex, self._answered.call, self._answered.attempt)
            yield self._encode(assembler.close(error={"type": "error", **failure}))

    def _events(self, events: framing.Events) -> bytes:
        return b"".join([self._event(name, raw) for name, raw in events])

    def _event(self, name: str | None, raw: bytes) -> bytes:
        """What to tell the caller for one event of the upstream's."""
        events = self._repeats.of(name, raw)
        if events is not None:
            return self._told(self._as_told(events))
        data: Any = None
        try:
            data = self._answered.as_patched(event_json(raw))
            events = self._decoded(self._reported, name, data)
        except (MappingError, ValueError):
            events = [{"type": "error", "meaning": "unknown", "message": GARBAGE}]
        else:
            if self._lost is not None:
                self._lost.look(data)
        if self._reported:
            if len(self._losses) < _MOST_LOSSES:
                self._losses.update(dict.fromkeys(self._reported))
            self._reported.clear()
        elif events:
            self._repeats.learn(name, raw, events)
        return self._said(events, data) if events else b""

    def _decoded(self, report: Report, name: str | None, data: Any) -> list[dict[str, Any]]:
        return self._decode(report, name, data, *self._given)  # type: ignore[misc, no-any-return]

    def _said(self, events: list[dict[str, Any]], data: Any) -> bytes:
        """Tell the caller what an event said; ``data`` is it."""
        try:
            failed = next((at for at, event in enumerate(events) if event["type"] == "error"), None)
            if failed is not None:
                rest = [event for event in events[failed + 1 :] if event["type"] == "usage"]
                answered = self._answered
                error = for_caller(answered.failed(events[failed], data), answered.attempt.format, answered.call.format)
                events = [*events[:failed], *rest, error]
            return self._told(self._as_told(events))
        except (TypeError, KeyError, AttributeError):
            why = validate_decoded.not_events(events)
            if why is None:
                raise
            return self._told([{"type": "error", "meaning": "unknown", "message": why}])

    def _as_told(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The events with the caller's own names, and with thinking as its channel has it told."""
        if self._prefix is not None:
            events = self._prefix.fitted(events)
        if self._restorer is not None:
            events = self._restorer.events(events)
        if self._turner is None:
            return events
        if self._untold is not None:
            self._untold.feed(events)
        events = [_ended(event) if event["type"] == "rest" else event for event in events]
        return self._turner.events(events)

    def _told(self, events: list[dict[str, Any]]) -> bytes:
        return self._encode(self._assembler.feed(events))

    def _encode(self, emitted: list[Any]) -> bytes:
        if self._broke_off:  # the error is told once nothing else goes on
            emitted = [told for told in emitted if told[0] != "error"]
        return self.encoder.encode(emitted, self._assembler.message) if emitted else b""

    def note(self) -> None:
        """Put what the assembler learned into the call's outcome."""
        outcome, assembler = self._answered.outcome, self._assembler
        self._answered.complete = assembler.complete
        used = assembler.usage
        if used.get("total") or (assembler.error is None and (used.get("calls") or used.get("meters"))):
            outcome.usage = used
        lines = [*self._losses, *assembler.report] + (self._lost.lines() if self._lost is not None else [])
        outcome.report.extend(line for line in lines if line not in outcome.report)
        self._answered.keep((self._untold or assembler).everything())
        if assembler.error is not None:
            outcome.error = self._answered.original or assembler.error
            outcome.ended = ended_word(assembler.error)


def _ended(event: dict[str, Any]) -> dict[str, Any]:
    """What is told anew is taken from the deltas: of text that comes whole after them only its end."""
    if event.get("kind") not in ("text", "thinking"):
        return event
    return {"type": "part_end", "key": event.get("key"), "kind": event["kind"]}
