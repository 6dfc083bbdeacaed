"""Streams on their way to the caller: what every stream has, and those that are decoded, assembled and encoded anew.

``Across`` reads every event; ``through.Through`` passes them and reads few. Both give the caller's bytes piece by
piece, one for each that the upstream sent. A stream that breaks off ends in an error event.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from engine.errors import MappingError
from engine.hub import given, replay
from engine.hub import usage as usages
from engine.hub.assembler import Assembler
from engine.program.refused import for_caller
from engine.relay.answers import Answered, decode_whole, encode_whole
from engine.relay.dialect import error_body
from engine.relay.repeats import Repeats
from engine.relay.tally import nothing_said, says_something
from engine.relay.upstream import UNREADABLE, UpstreamFailure, event_json, unreadable
from engine.transport import faults, framing

if TYPE_CHECKING:
    from engine.relay.call import Call, Report
    from engine.relay.state import RelayState

Pump = Iterator[bytes | None]
_MOST_LOSSES = 100
"""Lines that decode reports of one stream; of more, nobody reads the rest."""
GARBAGE = "the provider sent an event that is no JSON"


class Stream(Protocol):
    """What deliver needs of a stream."""

    encoder: Encoder

    @property
    def ending(self) -> bool:
        """The piece just given completes the answer, properly or by an error event."""
        ...

    @property
    def silent(self) -> bool:
        """No word, no thought and no call came so far."""
        ...

    @property
    def empty(self) -> bool:
        """It came to its end as an answer should, and nothing was said in it."""
        ...

    def run(self) -> Iterator[bytes | None]:
        """Give the caller's bytes; None each time that a ping is due. A fault raises as long as the caller has none."""
        ...

    def note(self) -> None:
        """Put what was learned into the call's outcome."""
        ...

    def parts(self) -> list[dict[str, Any]]:
        """All that the answer said so far."""
        ...

    def pending(self) -> str:
        """See ``tally.Said``: of an answer in the background, that its stream broke off is no end."""
        ...


class Encoder:
    """The caller's side: hub events to bytes, pings, and what ends a stream properly or not."""

    def __init__(self, call: Call, report: Report, request: dict[str, Any], ctx: dict[str, Any]) -> None:
        speaker = call.format
        self._call = call
        self._given = (report, request, ctx)
        self._frame = framing.encoder(call.framing)
        self._write = self._frame.event
        self._table = speaker.stream.encode if speaker.stream else {}
        self._ping = speaker.stream.ping if speaker.stream else {}
        self.content_type = self._frame.content_type
        self.opened = False

    def start(self) -> bytes:
        """What stands before the first event."""
        self.opened = True
        return self._frame.start()

    def encode(self, emitted: list[Any], message: dict[str, Any]) -> bytes:
        """Return the bytes of what the assembler emitted."""
        table, write = self._table, self._write
        report, request, ctx = self._given
        out: list[bytes] = []
        for name, event, part, item in emitted:
            function = table.get(name)
            if function is not None:
                for data in function(report, event, part, item, message, request, ctx) or ():
                    out.append(write(data))
        return b"".join(out)

    def data(self, data: dict[str, Any]) -> bytes:
        """Return the bytes of one wire event."""
        return self._write(data)

    def ping(self) -> bytes:
        """What keeps proxies awake in this format; nothing where any byte would be an error."""
        if self._call.framing.get("type") == "json-array":
            return self._frame.ping()
        if self._ping.get("comment") is not None:
            return self._frame.ping(comment=self._ping["comment"])
        if self._ping.get("data") is not None:
            return self._frame.ping(data=self._ping["data"])
        return self._frame.ping() if self._ping and not self._ping.get("none") else b""

    def done(self) -> bytes:
        """What stands after the last event."""
        return self._frame.done()

    def error(self, error: dict[str, Any]) -> bytes:
        """Return the caller's error event."""
        function = self._table.get("error")
        if function is None:
            return self.data(orjson.loads(error_body(self._call.format, error, self._given[2])))
        message: dict[str, Any] = {"parts": [], "items": [], "usage": usages.EMPTY, "finish": None}
        told = [("error", {"type": "error", **error}, None, None)]
        return self.encode(told, message)


def encoder_of(answered: Answered) -> Encoder:
    """The caller's side of an answer that has begun."""
    return Encoder(answered.call, answered.report, answered.request, answered.ctx)


def ping_every(state: RelayState, call: Call) -> float:
    """Seconds of silence after which a caller gets a sign of life; 0 where its format has none, or wants no stream."""
    if not call.stream or call.format.stream is None:
        return 0.0
    ping = call.format.stream.ping
    if call.framing.get("type") != "json-array" and (not ping or ping.get("none")):
        return 0.0
    return float(ping.get("every") or state.ping_every) if state.ping_every else 0.0


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


class Across:
    """Another format on the caller's side: every event goes through the hub, and is encoded before the next is read."""

    def __init__(self, answered: Answered, pump: Pump, kind: str) -> None:
        self._answered = answered
        self._pump = pump
        self.encoder = encoder_of(answered)
        source = answered.attempt.format.stream
        self._decode = source.decode if source else None
        self._given = (answered.headers, answered.request, answered.ctx)
        self._repeats = Repeats(source.texts if source else frozenset(), self._decoded)
        self._decoder = (
            framing.decoder({**(source.framing if source else {}), "type": kind}, answered.limit) if kind else None
        )
        self._assembler: Assembler = answered.assembler(source if kind else None)
        self._restorer = answered.restorer()
        self._turner = answered.turner()
        # What its calls must bring back is signed thinking, which is none any more when it has been told as text.
        self._untold = Assembler(source) if self._turner and kind else None
        self._lost = answered.untold()
        self._reported: list[tuple[str, str]] = []
        self._losses: dict[tuple[str, str], None] = {}
        """What decode reported of all events, each line once."""
        self._kept = answered.call.format.stored is None

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
        return self._assembler.over

    @property
    def silent(self) -> bool:
        """See ``Stream``."""
        return not says_something(self.parts())

    @property
    def empty(self) -> bool:
        """See ``Stream``."""
        return self._assembler.complete and nothing_said(self._assembler.message)

    def parts(self) -> list[dict[str, Any]]:
        """What the answer said so far."""
        return self._assembler.so_far()

    def pending(self) -> str:
        """See ``tally.Said``."""
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
            told = unreadable(ex, self._answered.call, self._answered.attempt)
            yield self._encode(assembler.close(error={"type": "error", **told}))

    def _events(self, events: framing.Events) -> bytes:
        return b"".join([self._event(name, raw) for name, raw in events])

    def _event(self, name: str | None, raw: bytes) -> bytes:
        """What to tell the caller for one event of the upstream's."""
        events = self._repeats.of(name, raw)
        if events is not None:
            return self._told(self._as_told(events))
        data: Any = None
        try:
            data = event_json(raw)
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
            if events[-1]["type"] == "error":
                events = [*events[:-1], for_caller(self._answered.failed(events[-1], data))]
            return self._told(self._as_told(events))
        except (TypeError, KeyError, AttributeError):
            why = given.not_events(events)
            if why is None:
                raise
            return self._told([{"type": "error", "meaning": "unknown", "message": why}])

    def _as_told(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The events with the caller's own names, and with thinking as its channel has it told."""
        if self._restorer is not None:
            events = self._restorer.events(events)
        if self._turner is None:
            return events
        if self._untold is not None:
            self._untold.feed(events)
        return self._turner.events(events)

    def _told(self, events: list[dict[str, Any]]) -> bytes:
        return self._encode(self._assembler.feed(events))

    def _encode(self, emitted: list[Any]) -> bytes:
        return self.encoder.encode(emitted, self._assembler.message) if emitted else b""

    def note(self) -> None:
        """Put what the assembler learned into the call's outcome."""
        outcome, assembler = self._answered.outcome, self._assembler
        self._answered.complete = assembler.complete
        used = assembler.usage
        if used.get("total") or (assembler.error is None and (used.get("calls") or used.get("meters"))):
            outcome.usage = used
        told = [*self._losses, *assembler.report] + (self._lost.lines() if self._lost is not None else [])
        outcome.report.extend(line for line in told if line not in outcome.report)
        self._answered.keep((self._untold or assembler).everything())
        if assembler.error is not None:
            outcome.error = self._answered.original or assembler.error
            outcome.ended = ended_word(assembler.error)
