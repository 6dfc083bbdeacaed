"""The same format on both sides of a stream: complete events pass byte for byte, and only marked ones are read.

Marks are byte strings that a Format declares (usage, an end, an error). The last event waits until the call is settled.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from engine.errors import MappingError
from engine.hub import given
from engine.hub import usage as usages
from engine.hub.assembler import Assembler
from engine.relay.answers import Answered
from engine.relay.streams import GARBAGE, Encoder, Pump, ended_word, transport_error
from engine.relay.upstream import UpstreamFailure
from engine.transport import faults, framing

if TYPE_CHECKING:
    from engine.program import Format

_SEEN_BYTES = 1024 * 1024


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
        self._framing = stream.framing
        self._ends = marks(stream.marks.get("end"))
        self._errors = marks(stream.marks.get("error"))
        self._renamed = answered.attempt.model != answered.call.asked
        names = [f'"{path[-1]}":' for path in source.model_at] if self._renamed else []
        self._marks = (*marks(stream.marks.get("usage")), *self._ends, *self._errors, *marks(names))
        self._names = marks(names)
        self._usage_only = (
            stream.usage_request.chunk_when if answered.out.usage_added and stream.usage_request else None
        )
        self._tally = usages.UsageTally(answered.plan)
        self._reframed = answered.call.framing.get("type") != kind
        self._final = answered.call.format.stored.final if answered.call.format.stored else None
        self._sent = False
        self._ended = False
        self._late = not stream.ends.get("marker")
        """A finish reason ends it, and usage may still follow: only what comes last is known to complete it."""
        self._unmarked = not self._ends
        """Nothing is declared by which its end could be found: every event is read for it."""
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
        except MappingError as ex:
            yield self._broken({"meaning": "unknown", "message": ex.why if ex.path == "event" else GARBAGE})
        finally:
            self.note()

    def note(self) -> None:
        """Put usage into the outcome, and whether the answer is whole."""
        outcome = self._answered.outcome
        self._answered.complete = self._ended and outcome.error is None
        if self._tally.changed:
            outcome.usage = self._tally.settle()

    def parts(self) -> list[dict[str, Any]]:
        """What the events said, read only now; of a long answer its beginning stands for all."""
        answered = self._answered
        assembler, decoder = Assembler(answered.attempt.format.stream), self._decoder()
        for name, raw in decoder.feed(b"".join(self._seen)) + decoder.finish():
            try:
                said = self._decode([], name, _event_json(raw), answered.headers, answered.request, answered.ctx)
            except (MappingError, ValueError):
                continue
            if given.not_events(said or []) is None:
                assembler.feed(said or [])
        return assembler.so_far()

    def _decoder(self) -> framing.Decoder:
        return framing.decoder({**self._framing, "type": self._kind})

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
        rest = self._last(splitter.tail())
        if rest:
            yield rest

    def _last(self, rest: bytes) -> bytes:
        """What stood after the last complete event, if it only lacks its end; half an event is passed to nobody."""
        decoder = self._decoder()
        whole = [_event_json(raw) for _, raw in decoder.feed(rest) + decoder.finish()]
        return self._scan(rest, [rest]) if whole or decoder.done else b""

    def _broken(self, error: dict[str, Any]) -> bytes:
        outcome = self._answered.outcome
        outcome.error, outcome.ended = error, ended_word(error)
        self.ending = True
        if not self._sent:
            raise UpstreamFailure(error)
        return self._encoder.error(error)

    def _scan(self, complete: bytes, events: list[bytes]) -> bytes:
        """PERF: most pieces hold no mark and leave as they came, unread."""
        if not self._reframed and not self._unmarked and not any(mark in complete for mark in self._marks):
            return complete
        return b"".join([self._marked(event) for event in events])

    def _marked(self, event: bytes) -> bytes:
        if any(mark in event for mark in self._ends):
            self._complete()
        if not self._reframed and not self._unmarked and not any(mark in event for mark in self._marks):
            return event
        decoder = self._decoder()
        pairs = decoder.feed(event) + decoder.finish()
        if decoder.done and self._unmarked:
            self._complete()
        if not pairs:
            return b"" if self._reframed else event
        out = event if not self._reframed else b""
        for name, raw in pairs:
            data = _event_json(raw)
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

    def _complete(self) -> None:
        self._ended = self._finishing = True
        self.ending = self.ending or not self._late

    def _read(self, name: str | None, data: Any) -> None:
        """Take usage and errors from one event; its end too, where no mark tells that."""
        answered = self._answered
        events = self._decode([], name, data, answered.headers, answered.request, answered.ctx) or []
        why = given.not_events(events)
        if why is not None:
            raise MappingError("event", why)
        for said in events:
            if said["type"] == "usage":
                self._tally.add(said)
            elif said["type"] == "error":
                self._failed(answered.failed(said, data))
            elif self._unmarked and said["type"] in ("end", "finish"):
                self._complete()

    def _failed(self, error: dict[str, Any]) -> None:
        """The upstream told an error in its stream: before the first byte another channel can be tried."""
        outcome = self._answered.outcome
        outcome.error, outcome.ended = error, "error"
        self._ended = self.ending = True
        if not self._sent:
            raise UpstreamFailure(error, fee=outcome.fee)

    def _rename(self, data: Any) -> None:
        if not self._renamed or not isinstance(data, dict):
            return
        for path in self._answered.attempt.format.model_at:
            holder: Any = data
            for key in path[:-1]:
                holder = holder.get(key) if isinstance(holder, dict) else None
            if isinstance(holder, dict) and isinstance(holder.get(path[-1]), str):
                holder[path[-1]] = self._answered.call.asked


def marks(declared: str | list[str] | None) -> tuple[bytes, ...]:
    """Return the byte strings to look for; each also with a space after its colons, as some servers write JSON."""
    texts = [declared] if isinstance(declared, str) else declared or []
    spellings = [text for one in texts for text in (one, one.replace('":', '": '))]
    return tuple(dict.fromkeys(text.encode() for text in spellings))


def _event_json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except ValueError:
        raise MappingError("event", GARBAGE) from None
