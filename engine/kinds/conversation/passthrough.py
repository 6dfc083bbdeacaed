"""The same format on both sides of a stream: complete events pass byte for byte, and only marked ones are decoded.

Marks are byte strings that a Format declares (usage, an end, an error). An event that can't be read passes to nobody.
The last event waits until the call is settled.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from engine.errors import MappingError
from engine.hub import usage as usages
from engine.hub import validate_decoded
from engine.hub.stream.assembler import Assembler
from engine.hub.stream.bounds import AnswerBounds
from engine.hub.stream.rules import SourceRules
from engine.kinds.conversation.alike import Alike
from engine.kinds.conversation.answers import Exchange
from engine.kinds.conversation.streamed.encoder import encoder_of
from engine.kinds.conversation.streams import GARBAGE, Pump, TranslatedStream, ended_word, transport_error
from engine.kinds.conversation.token_fallback import nothing_said, says_something
from engine.program.refused import for_caller
from engine.relay.upstream.failure import UNREADABLE, UpstreamFailure
from engine.relay.upstream.masking import masked
from engine.relay.upstream.refusal import event_json, unreadable
from engine.transport import faults, framing

if TYPE_CHECKING:
    from engine.hub.types import Event
    from engine.program import Format

_SEEN_BYTES = 1024 * 1024


class Passthrough:
    """The same format on both sides: complete events, byte for byte; only marked ones are read."""

    def __init__(self, answered: Exchange, pump: Pump, kind: str) -> None:
        self._answered = answered
        self._pump = pump
        self._kind = kind
        self.encoder = encoder_of(answered)
        source: Format = answered.attempt.format
        stream = source.stream
        if stream is None or stream.decode is None:
            raise TypeError(f"{source.name} does not stream")
        self._decode = stream.decode
        self._ends = marks(stream.marks.get("end"))
        self._errors = marks(stream.marks.get("error"))
        self._renamed = answered.attempt.model != answered.call.asked
        names = [f'"{path[-1]}":' for path in source.model_at] if self._renamed else []
        self._marks = (
            *marks(stream.marks.get("usage")),
            *self._ends,
            *self._errors,
            *marks(stream.marks.get("finish")),
            *marks(names),
        )
        self._names = marks(names)
        self._usage_only = (
            stream.usage_request.chunk_when if answered.out.usage_added and stream.usage_request else None
        )
        self._tally = usages.UsageTally(answered.plan)
        self._framing_here = {**stream.framing, "type": kind}
        self._reframed = answered.call.framing.get("type") != kind
        self._final = answered.call.format.stored.final if answered.call.format.stored else None
        self._alike = Alike(self._marks, self._event_data)
        self._patched = bool(answered.attempt.channel.provider.response_patches)
        self._opening = self.encoder.start() if self._reframed else b""
        self._finishes: list[Event] = []
        self._ended = False
        self._late = not stream.ends.get("marker")
        """A finish reason ends it, and usage may still follow: only what comes last is known to complete it."""
        self._unmarked = not self._ends
        """Nothing is declared by which its end could be found: every event is read for it."""
        self._finishing = False
        self._seen: list[bytes] = []
        self._seen_bytes = 0
        self.ending = False

    def run(self) -> Iterator[bytes | None]:
        """Give complete events as they came; None each time that a ping is due."""
        try:
            yield from self._last_held(self._passed()) if self._late else self._passed()
            unmarked = not self._ended
            if unmarked:
                if not self._finished().is_complete(None):
                    raise faults.TransportError("cut", "its stream ended without its last event")
                self._ended = self.ending = True
            tail = self.encoder.done() if unmarked or self._reframed else b""
            if tail:
                yield tail
        except faults.TransportError as ex:
            if ex.kind == "aborted" and not self._answered.stopping:
                self._answered.left()
                return
            yield self._broken(transport_error(ex))
        except MappingError as ex:
            yield self._broken({"meaning": "unknown", "message": ex.why if ex.path == "event" else GARBAGE})
        except UNREADABLE as ex:
            yield self._broken(unreadable(ex, self._answered.call, self._answered.attempt))
        finally:
            self.note()

    def note(self) -> None:
        """Put usage into the outcome, and whether the answer is whole."""
        outcome = self._answered.outcome
        self._answered.complete = self._ended and outcome.error is None
        if self._tally.changed:
            outcome.usage = self._tally.settle()

    @property
    def silent(self) -> bool:
        """See ``Stream``."""
        return not says_something(self.parts())

    @property
    def empty(self) -> bool:
        """See ``Stream``."""
        outcome = self._answered.outcome
        if not self._ended or outcome.error is not None:
            return False
        return nothing_said({"parts": self.parts(), "usage": outcome.usage, "finish": self._finished().finish})

    def parts(self) -> list[dict[str, Any]]:
        """What the events said, read only now; of a long answer its beginning stands for all."""
        return self._read_again().so_far()

    said = parts
    turned = False
    """Its thinking passes as it came."""

    def pending(self) -> str:
        """See ``token_fallback.Said``."""
        return str(self._read_again().message.get("id") or "") if self._answered.goes_on else ""

    @property
    def _may_go_on(self) -> bool:
        """All that the caller was told is known, and no end of it."""
        return self._answered.may_go_on and self._seen_bytes < _SEEN_BYTES and not self._finishes

    @property
    def answered(self) -> Exchange:
        """See ``Stream``."""
        return self._answered

    def translated(self, request: dict[str, Any]) -> TranslatedStream:
        """The same stream, read: what its caller was told is known, and what follows is told anew."""
        self._answered.request = request
        stream = TranslatedStream(self._answered, iter(()), self._kind)
        stream.retell(b"".join(self._seen))
        return stream

    def _read_again(self) -> Assembler:
        answered = self._answered
        assembler, decoder = Assembler(answered.attempt.format.stream), self._decoder()
        for name, raw in decoder.feed(b"".join(self._seen)) + decoder.finish():
            try:
                events = self._decode([], name, _sound(raw), answered.headers, answered.request, answered.ctx)
            except (MappingError, ValueError):
                continue
            if validate_decoded.not_events(events or []) is None:
                assembler.feed(events or [])
        return assembler

    def _finished(self) -> AnswerBounds:
        """What was said of the end; by it a stream without its end mark is whole or not, on every way to the caller."""
        bounds = AnswerBounds(SourceRules.of(self._answered.attempt.format.stream))
        for event in self._finishes:
            bounds.end(event)
        return bounds

    def _decoder(self) -> framing.Decoder:
        return framing.decoder(self._framing_here, self._answered.limit)

    def _last_held(self, pieces: Iterator[bytes | None]) -> Iterator[bytes | None]:
        held = b""
        try:
            for piece in pieces:
                if piece is None:
                    yield None
                    continue
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

    def _passed(self) -> Iterator[bytes | None]:
        splitter = framing.splitter(self._kind, self._answered.limit)
        for piece in self._pump:
            if piece is None:
                yield None
                continue
            complete, events = splitter.feed(piece)
            if complete:
                out = self._scan(complete, events)
                self._keep_seen(complete)
                if out:
                    yield self._opened(out) if self._opening else out
        rest = self._last(splitter.tail())
        if rest:
            yield self._opened(rest)

    def _opened(self, out: bytes) -> bytes:
        """The bytes, after what stands before the first event of another framing."""
        if self._opening:
            out, self._opening = self._opening + out, b""
        return out

    def _last(self, rest: bytes) -> bytes:
        """What stood after the last complete event, if it only lacks its end; half an event is passed to nobody."""
        decoder = self._decoder()
        whole = [_sound(raw) for _, raw in decoder.feed(rest) + decoder.finish()]
        return self._scan(rest, [rest]) if whole or decoder.done else b""

    def _broken(self, error: dict[str, Any]) -> bytes:
        outcome = self._answered.outcome
        outcome.error, outcome.ended = error, ended_word(error)
        if not outcome.delivered or self._may_go_on:
            raise UpstreamFailure(error)
        self.ending = True
        return self.encoder.error(error)

    def _scan(self, complete: bytes, events: list[bytes]) -> bytes:
        """PERF: most pieces are one event like the one before, or some, and leave as they came."""
        if self._patched:
            return b"".join(map(self._marked, events))
        alike = self._alike.of
        if len(events) == 1 and alike(complete):
            return complete
        return b"".join([event if alike(event) else self._looked_through(event) for event in events])

    def _looked_through(self, event: bytes) -> bytes:
        if not self._reframed and not self._unmarked:
            for mark in self._marks:
                if event.find(mark) >= 0:  # PERF: `in` costs the making of an error
                    break
            else:
                self._event_data(event)
                self._alike.learn(event)
                return event
        return self._marked(event)

    def _event_data(self, event: bytes) -> Any:
        """The data of an event that passes; raises ``MappingError`` where it is no JSON, None where there is none."""
        data = None
        for raw in framing.data_of(self._framing_here, event):
            data = _sound(raw)
        return data

    def _marked(self, event: bytes) -> bytes:
        # A mark is a hint: that it is the end, the event itself says. Of another framing all events are read.
        may_end = self._unmarked or self._reframed or any(mark in event for mark in self._ends)
        decoder = self._decoder()
        pairs = decoder.feed(event) + decoder.finish()
        if decoder.done and may_end:
            self._complete()
        if not pairs:
            return b"" if self._reframed else event
        out = event if not self._reframed else b""
        for name, raw in pairs:
            parsed = _sound(raw)
            data, before = self._answered.as_patched(parsed), self._answered.original
            self._read(name, data, may_end)
            error = self._answered.original
            if error is before:
                error, clean = None, data
            else:
                clean = masked(data, self._answered.attempt, self._answered.call)
            if self._final is not None:
                self._rename(clean)
                self._answered.keep_answer(self._final([], clean))
            if self._usage_only is not None and self._usage_only([], data):
                out = b""
            elif self._reframed or clean is not parsed or self._names_model(event):
                self._rename(clean)
                out = self.encoder.data(clean)
            if error is not None and (caller_error := for_caller(error)) is not error:
                out = self.encoder.error(caller_error)
        return out

    def _names_model(self, event: bytes) -> bool:
        return self._renamed and any(mark in event for mark in self._names)

    def _complete(self) -> None:
        self._ended = self._finishing = True
        self.ending = self.ending or not self._late

    def _read(self, name: str | None, data: Any, may_end: bool) -> None:
        """Take usage and errors from one event, and whether it ends the answer."""
        answered = self._answered
        events = self._decode([], name, data, answered.headers, answered.request, answered.ctx) or []
        why = validate_decoded.not_events(events)
        if why is not None:
            raise MappingError("event", why)
        for event in events:
            if event["type"] == "usage":
                self._tally.add(event)
            elif event["type"] == "error":
                self._failed(answered.failed(event, data))
            elif event["type"] == "finish":
                self._finishes.append(event)
                if may_end:
                    self._complete()
            elif event["type"] == "end" and may_end:
                self._complete()

    def _failed(self, error: dict[str, Any]) -> None:
        """The upstream told an error in its stream: before the first byte another channel can be tried."""
        outcome = self._answered.outcome
        outcome.error, outcome.ended = error, "error"
        if not outcome.delivered or self._may_go_on:
            raise UpstreamFailure(error, fee=outcome.fee)
        self._ended = self.ending = True

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
    spellings = [text for mark in texts for text in (mark, mark.replace('":', '": '))]
    return tuple(dict.fromkeys(text.encode() for text in spellings))


def _sound(raw: bytes) -> Any:
    try:
        return event_json(raw)
    except ValueError:
        raise MappingError("event", GARBAGE) from None
