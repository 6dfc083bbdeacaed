"""Streams on their way to the caller: passed through in complete events, or decoded, assembled and encoded anew.

``Through`` reads only the events that carry a mark (usage, an end, an error); ``Across`` reads every one. Both give
the caller's bytes piece by piece, one for each that the upstream sent. A stream that breaks off ends in an error event.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from engine.errors import MappingError
from engine.hub import replay
from engine.hub import usage as usages
from engine.hub.assembler import Assembler
from engine.relay.answers import Answered, decode_whole, encode_whole, texts
from engine.relay.dialect import error_body
from engine.relay.upstream import UpstreamFailure
from engine.transport import faults, framing

if TYPE_CHECKING:
    from engine.program import Format

Pump = Iterator[bytes | None]
_SEEN_BYTES = 1024 * 1024
_GARBAGE = "the provider sent an event that is no JSON"


class Stream(Protocol):
    """What deliver needs of a stream."""

    content_type: str

    @property
    def ending(self) -> bool:
        """The piece just given completes the answer, properly or by an error event."""
        ...

    def run(self) -> Iterator[bytes]:
        """Give the caller's bytes."""
        ...

    def note(self) -> None:
        """Put what was learned into the call's outcome."""
        ...

    def text(self) -> str:
        """All that the answer said so far."""
        ...


class Encoder:
    """The caller's side: hub events to bytes, pings, and what ends a stream properly or not."""

    def __init__(self, answered: Answered) -> None:
        speaker = answered.call.format
        self._answered = answered
        self._frame = framing.encoder(answered.call.framing)
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
        answered, table, frame = self._answered, self._table, self._frame
        report, request, ctx = answered.report, answered.request, answered.ctx
        out: list[bytes] = []
        for name, event, part, item in emitted:
            function = table.get(name)
            if function is not None:
                for data in function(report, event, part, item, message, request, ctx) or ():
                    out.append(frame.event(data))
        return b"".join(out)

    def data(self, data: dict[str, Any]) -> bytes:
        """Return the bytes of one wire event."""
        return self._frame.event(data)

    def ping(self) -> bytes:
        """What keeps proxies awake in this format; nothing where any byte would be an error."""
        if self._answered.call.framing.get("type") == "json-array":
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
            return self.data(orjson.loads(error_body(self._answered.call.format, error, self._answered.ctx)))
        message: dict[str, Any] = {"parts": [], "items": [], "usage": usages.EMPTY, "finish": None}
        told = [("error", {"type": "error", **error}, None, None)]
        return self.encode(told, message)


def transport_error(ex: faults.TransportError) -> dict[str, Any]:
    """Return the hub error for a connection that broke in the middle of an answer."""
    if ex.kind == "aborted":
        return {
            "meaning": "unavailable",
            "message": "the gateway is stopping; send the request again",
            "code": "stopping",
        }
    meaning = "timeout" if ex.kind.endswith("timeout") else "cut"
    return {"meaning": meaning, "message": f"the provider's answer broke off: {ex}", "code": ex.kind}


def ended_word(error: dict[str, Any]) -> str:
    """The log's word for how a stream ended by ``error``."""
    return error["meaning"] if error["meaning"] in ("cut", "timeout") else "error"


class Through:
    """The same format on both sides: complete events, byte for byte; only marked ones are read."""

    def __init__(self, answered: Answered, pump: Pump, kind: str) -> None:
        self._answered = answered
        self._pump = pump
        self._kind = kind
        self._encoder = Encoder(answered)
        self.content_type = self._encoder.content_type
        source: Format = answered.attempt.format
        stream = source.stream
        if stream is None or stream.decode is None:
            raise TypeError(f"{source.name} does not stream")
        self._decode = stream.decode
        self._ends = marks(stream.marks.get("end"))
        self._errors = marks(stream.marks.get("error"))
        self._renamed = answered.attempt.model != answered.call.asked
        names = [f'"{path[-1]}":' for path in source.model_at] if self._renamed else []
        self._marks = (*marks(stream.marks.get("usage")), *self._ends, *self._errors, *marks(names))
        self._names = marks(names)
        self._usage_only = (
            stream.usage_request.chunk_when if answered.out.usage_added and stream.usage_request else None
        )
        self._tally = usages.UsageTally(source.usage.counts, answered.usage_overrides)
        self._reframed = answered.call.framing.get("type") != kind
        self._final = answered.call.format.stored.final if answered.call.format.stored else None
        self._sent = False
        self._ended = not (stream.ends.get("marker") or stream.ends.get("finish"))
        self._late = not stream.ends.get("marker")
        """A finish reason ends it, and usage may still follow: only what comes last is known to complete it."""
        self._finishing = False
        self._seen: list[bytes] = []
        self._seen_bytes = 0
        self.ending = False

    def run(self) -> Iterator[bytes]:
        """Give complete events as they came."""
        outcome = self._answered.outcome
        try:
            yield from self._last_held(self._passed()) if self._late else self._passed()
            if not self._ended:
                raise faults.TransportError("cut", "its stream ended without its last event")
            if self._reframed:
                yield self._encoder.done()
        except faults.TransportError as ex:
            if ex.kind == "aborted" and not self._answered.stopping:
                outcome.ended = "client_gone"
                return
            yield self._broken(transport_error(ex))
        finally:
            self.note()

    def note(self) -> None:
        """Put usage into the outcome, and whether the answer is whole."""
        outcome = self._answered.outcome
        self._answered.complete = self._ended and bool(self._ends) and outcome.error is None
        if self._tally.changed:
            outcome.usage = self._tally.settle()

    def text(self) -> str:
        """What the events said, read only now; of a long answer its beginning stands for all."""
        answered, found = self._answered, []
        decoder = framing.decoder(answered.attempt.format.stream.framing | {"type": self._kind})  # type: ignore[union-attr]
        for name, raw in decoder.feed(b"".join(self._seen)) + decoder.finish():
            try:
                said = self._decode([], name, _json(raw), answered.headers, answered.request, answered.ctx) or ()
            except (MappingError, ValueError):
                continue
            found += [event.get("fields") or event for event in said if event["type"].startswith("part")]
        return texts(found)

    def _last_held(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        held = b""
        try:
            for piece in pieces:
                if held:
                    yield held
                    held = b""
                if self._finishing:
                    held, self._finishing = piece, False
                else:
                    yield piece
        except faults.TransportError:
            if held:
                yield held
            raise
        if held:
            self.ending = True
            yield held

    def _keep_seen(self, piece: bytes) -> None:
        """PERF: a reference is kept, no copy; most answers tell their usage and nobody reads it again."""
        if self._seen_bytes < _SEEN_BYTES:
            self._seen_bytes += len(piece)
            self._seen.append(piece)

    def _passed(self) -> Iterator[bytes]:
        splitter = framing.splitter(self._kind)
        opening = self._encoder.start() if self._reframed else b""
        if opening:
            yield opening
        for piece in self._pump:
            if piece is None:
                ping = self._encoder.ping()
                if ping:
                    yield ping
                continue
            complete, events = splitter.feed(piece)
            if complete:
                self._keep_seen(complete)
                out = self._scan(complete, events)
                if out:
                    self._sent = True
                    yield out
        rest = splitter.tail()
        if rest.strip():
            yield self._scan(rest, [rest])

    def _broken(self, error: dict[str, Any]) -> bytes:
        outcome = self._answered.outcome
        outcome.error, outcome.ended = error, ended_word(error)
        self.ending = True
        if not self._sent:
            raise UpstreamFailure(error)
        return self._encoder.error(error)

    def _scan(self, complete: bytes, events: list[bytes]) -> bytes:
        """PERF: most pieces hold no mark and leave as they came, unread."""
        if not self._reframed and not any(mark in complete for mark in self._marks):
            return complete
        return b"".join([self._marked(event) for event in events])

    def _marked(self, event: bytes) -> bytes:
        if any(mark in event for mark in self._ends):
            self._ended = self._finishing = True
            self.ending = self.ending or not self._late
        if not self._reframed and not any(mark in event for mark in self._marks):
            return event
        decoder = framing.decoder(self._answered.attempt.format.stream.framing | {"type": self._kind})  # type: ignore[union-attr]
        pairs = decoder.feed(event) + decoder.finish()
        if not pairs:
            return b"" if self._reframed else event
        out = event if not self._reframed else b""
        for name, raw in pairs:
            data = _json(raw)
            self._read(name, data)
            if self._final is not None:
                self._rename(data)
                self._answered.keep_answer(self._final([], data))
            if self._usage_only is not None and self._usage_only([], data):
                out = b""
            elif self._reframed or (self._renamed and any(mark in event for mark in self._names)):
                self._rename(data)
                out = self._encoder.data(data)
        return out

    def _read(self, name: str | None, data: Any) -> None:
        """Take usage and errors from one event."""
        answered = self._answered
        for said in self._decode([], name, data, answered.headers, answered.request, answered.ctx) or ():
            if said["type"] == "usage":
                self._tally.add(said)
            elif said["type"] == "error":
                self._failed(said)

    def _failed(self, error: dict[str, Any]) -> None:
        """The upstream told an error in its stream: before the first byte another channel can be tried."""
        outcome = self._answered.outcome
        error = {
            **error,
            "meaning": error.get("meaning") or "unknown",
            "message": error.get("message") or "the provider failed",
        }
        outcome.error, outcome.ended = error, "error"
        self._ended = self.ending = True
        if not self._sent:
            raise UpstreamFailure(error)

    def _rename(self, data: Any) -> None:
        if not self._renamed or not isinstance(data, dict):
            return
        for path in self._answered.attempt.format.model_at:
            holder: Any = data
            for key in path[:-1]:
                holder = holder.get(key) if isinstance(holder, dict) else None
            if isinstance(holder, dict) and isinstance(holder.get(path[-1]), str):
                holder[path[-1]] = self._answered.call.asked


class Across:
    """Another format on the caller's side: every event goes through the hub, and is encoded before the next is read."""

    def __init__(self, answered: Answered, pump: Pump, kind: str) -> None:
        self._answered = answered
        self._pump = pump
        self._encoder = Encoder(answered)
        self.content_type = self._encoder.content_type
        source = answered.attempt.format.stream
        self._decode = source.decode if source else None
        self._decoder = framing.decoder({**(source.framing if source else {}), "type": kind}) if kind else None
        self._assembler: Assembler = answered.assembler(source if kind else None)
        self._restorer = answered.restorer()
        self._turner = answered.turner()
        # What its calls must bring back is signed thinking, which is none any more when it has been told as text.
        self._untold = Assembler(source) if self._turner and kind else None
        self._sent = False
        self._kept = answered.call.format.stored is None

    def run(self) -> Iterator[bytes]:
        """Give the caller's events, a piece for each of the upstream's that said something."""
        try:
            yield from self._told_pieces()
        finally:  # the caller may leave at any piece
            self.note()
        tail = self._encoder.done() if self._assembler.error is None else b""
        if tail:
            yield self._opened() + tail

    def _told_pieces(self) -> Iterator[bytes]:
        for out in self._pieces():
            if self._assembler.complete and not self._kept:
                self._keep()
            if self._assembler.error is not None and not self._sent:
                # before the caller got a byte this is a failed attempt, not an error event
                raise UpstreamFailure(self._assembler.error)
            if out is None:
                out = self._encoder.ping()
            elif out:
                self._sent = True
            if out:
                yield self._opened() + out

    @property
    def ending(self) -> bool:
        """The piece just given completes the answer."""
        return self._assembler.complete or self._assembler.error is not None

    def text(self) -> str:
        """What the answer said so far."""
        return texts(self._assembler.everything())

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
            raise UpstreamFailure(self._assembler.error)
        body = encode_whole(self._answered, self._assembler)
        self._answered.keep_answer(body)
        return body

    def replay(self, body: dict[str, Any]) -> Iterator[bytes]:
        """Tell a whole answer as a stream."""
        yield self._encoder.start()
        yield self._told(replay.events(decode_whole(self._answered, body)))
        yield self._encode(self._assembler.close(cut=False))
        if not self._kept:
            self._keep()
        self.note()
        yield self._encoder.done()

    def _opened(self) -> bytes:
        return b"" if self._encoder.opened else self._encoder.start()

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
                out = self._fed(decoder.feed(piece))
                yield out + self._told(self._turned([{"type": "end"}])) if decoder.done else out
            out = self._fed(decoder.finish())
            if self._turner:
                out += self._told(self._turner.close())
            yield out + self._encode(assembler.close())
        except faults.TransportError as ex:
            if ex.kind == "aborted" and not self._answered.stopping:
                self._answered.outcome.ended = "client_gone"
                return
            if self._turner and self._sent:
                yield self._told(self._turner.close())
            yield self._encode(assembler.close(error={"type": "error", **transport_error(ex)}))

    def _fed(self, pairs: list[tuple[str | None, bytes]]) -> bytes:
        answered = self._answered
        out: list[bytes] = []
        for name, raw in pairs:
            try:
                events = self._decode([], name, _json(raw), answered.headers, answered.request, answered.ctx)  # type: ignore[misc]
            except (MappingError, ValueError):
                events = [{"type": "error", "meaning": "unknown", "message": _GARBAGE}]
            if events:
                out.append(self._told(self._turned(self._restorer.events(events) if self._restorer else events)))
        return b"".join(out)

    def _turned(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self._turner is None:
            return events
        if self._untold is not None:
            self._untold.feed(events)
        return self._turner.events(events)

    def _told(self, events: list[dict[str, Any]]) -> bytes:
        return self._encode(self._assembler.feed(events))

    def _encode(self, emitted: list[Any]) -> bytes:
        if not emitted:
            return b""
        message = self._assembler.message
        message["model"] = self._answered.call.asked
        if self._answered.own_id:
            message["id"] = self._answered.own_id
        return self._encoder.encode(emitted, message)

    def note(self) -> None:
        """Put what the assembler learned into the call's outcome."""
        outcome, assembler = self._answered.outcome, self._assembler
        self._answered.complete = assembler.complete and assembler.error is None
        used = assembler.usage
        if used.get("total") or used.get("input_total") or used.get("output_total"):
            outcome.usage = used
        outcome.report.extend(line for line in assembler.report if line not in outcome.report)
        self._answered.keep((self._untold or assembler).everything())
        if assembler.error is not None:
            outcome.error, outcome.ended = assembler.error, ended_word(assembler.error)


def marks(declared: str | list[str] | None) -> tuple[bytes, ...]:
    """Return the byte strings to look for; each also with a space after its colons, as some servers write JSON."""
    texts = [declared] if isinstance(declared, str) else declared or []
    spellings = [text for one in texts for text in (one, one.replace('":', '": '))]
    return tuple(dict.fromkeys(text.encode() for text in spellings))


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except ValueError:
        raise MappingError("event", _GARBAGE) from None
