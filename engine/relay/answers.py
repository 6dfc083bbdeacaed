"""What delivering needs to know of one answer, and the way of a whole answer through the hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.errors import MappingError
from engine.hub import given, replay, response, shape, thoughts
from engine.hub.assembler import Assembler
from engine.program.refused import ours, words
from engine.relay import tally, thread
from engine.relay.masking import masked
from engine.relay.upstream import UpstreamFailure, costly

if TYPE_CHECKING:
    from engine.program.untold import Untold
    from engine.relay.call import Attempt, Call, Report
    from engine.relay.state import RelayState
    from engine.relay.translate import Outbound


class Answered:
    """An answer that has begun: who asked, who answers, and what is noted of it on the way."""

    __slots__ = (
        "_counter",
        "_ctx",
        "_live",
        "_memory",
        "attempt",
        "call",
        "complete",
        "headers",
        "limit",
        "original",
        "out",
        "outcome",
        "own_id",
        "plan",
        "request",
    )

    def __init__(
        self,
        state: RelayState,
        call: Call,
        attempt: Attempt,
        out: Outbound,
        headers: Mapping[str, str],
    ) -> None:
        self.call = call
        self.attempt = attempt
        self.out = out
        self.headers = headers
        self.outcome = attempt.outcome
        self._ctx: dict[str, Any] | None = None
        self.request: dict[str, Any] = out.hub or {}
        self.plan = attempt.channel.plan(attempt.format)
        self._memory = state.memory
        self._live = state.live
        self.limit = state.stream_bytes
        self.original: dict[str, Any] | None = None
        """The error that the upstream told inside its stream, in its own words, for the log and for retry."""
        self.own_id = thread.own_id(call, attempt)
        """The id that the caller sees, where it is ours to give."""
        self.complete = False
        """Whether the caller was told all of a stream, up to its last event."""
        self._counter = state.counter

    @property
    def ctx(self) -> dict[str, Any]:
        """The ``ctx`` variable of mappings. PERF: what passes through needs none."""
        if self._ctx is None:
            self._ctx = self.call.ctx(self.attempt)
        return self._ctx

    @property
    def goes_on(self) -> bool:
        """Whether an answer in the background goes on although its stream is over, as no end of it was told."""
        thread = self.call.thread
        return thread is not None and thread.background and not self.complete and self.original is None

    @property
    def stopping(self) -> bool:
        """Whether the worker has to stop, and ended the call for that."""
        return self._live.stopping

    def left(self) -> None:
        """The caller went away: note it, or raise ``UpstreamFailure`` where it had nothing of this answer yet."""
        if not self.outcome.delivered:
            raise UpstreamFailure({"meaning": "cut", "message": "the caller left before the answer began"})
        self.outcome.ended = "client_gone"

    @property
    def report(self) -> Report:
        """The call's loss report."""
        return self.outcome.report

    def assembler(self, source: Any) -> Assembler:
        """Return an assembler from ``source`` (stream rules, or None for a whole answer) to the caller's format."""
        known = {"model": self.call.asked}
        if self.own_id:
            known["id"] = self.own_id
        return Assembler(
            source,
            self.call.format.stream,
            plan=self.plan,
            native=self.native,
            limit_bytes=self.limit,
            known=known,
        )

    def keep(self, parts: list[dict[str, Any]]) -> None:
        """Keep what the caller's format can't bring back of an answer's calls."""
        if self.call.account is not None:
            self._memory.keep(self.call.account.token_id, parts)

    def keep_answer(self, answer: Any) -> None:
        """Keep the whole answer as the caller saw it, where its format has answers kept."""
        thread.keep(self.call, self.attempt, answer, self.out.same, self.report)

    @property
    def native(self) -> tuple[str, ...]:
        """The formats whose opaque parts the caller understands."""
        return (self.call.format.name, self.call.format.passthrough_as)

    def caller(self, *, streamed: bool) -> tuple[str, str, frozenset[str]]:
        """The caller's format, its family, and the hub's words that it is told an answer in."""
        speaker = self.call.format
        says = speaker.stream.says if streamed and speaker.stream else speaker.says
        return speaker.name, speaker.passthrough_as, says

    def untold(self) -> Untold | None:
        """Return who finds what a stream says and the caller is not told; None where no stream is read."""
        source = self.attempt.format.stream
        return source.fields.untold(*self.caller(streamed=self.call.stream)) if source else None

    def restorer(self) -> shape.Restorer | None:
        """Return what puts the names back that shaping had changed in a stream; None where it changed none."""
        return shape.Restorer(self.out.memo) if self.out.memo else None

    def turner(self) -> thoughts.Turner | None:
        """Return what turns thinking into text in a stream, or the reverse; None where the channel asks for neither."""
        return thoughts.turner(self.attempt.channel.thinking, self.report)

    def failed(self, error: dict[str, Any], event: Any) -> dict[str, Any]:
        """The error that the upstream told inside its stream, by ``event``; one that costs is noted with its fee.

        Without the secrets that it may repeat.
        """
        rule = costly(self.attempt, self.headers, event)
        if rule is not None:
            self.outcome.fee = rule.fee
            error = {**error, "meaning": rule.meaning}
        said = words(error.get("message")) or "the upstream reported an error"
        error = {**error, "message": said, "meaning": ours(error.get("meaning") or "unknown")}
        self.original = masked(error, self.attempt, self.call)
        return self.original

    def count_missing(self, said: tally.Said) -> None:
        """What the upstream did not tell of the usage is counted here, and calls of functions that have a price."""
        tally.missing(self._counter, self, said)
        if self.call.thread is not None and self.out.same:
            self.outcome.pending = said.pending()
        if self.call.rule is not None and self.call.rule.functions:
            tally.functions(self.outcome, self.call.rule.functions, said)


class Whole:
    """An answer that came whole, for counting what it says."""

    def __init__(self, answered: Answered, body: dict[str, Any]) -> None:
        self._answered = answered
        self._body = body

    @property
    def empty(self) -> bool:
        """Nothing was said in it, and it stopped by itself."""
        return self._answered.attempt.format.decode_response is not None and tally.nothing_said(self._read())

    def parts(self) -> list[dict[str, Any]]:
        """All that the answer says."""
        return self._read().get("parts") or []

    def pending(self) -> str:
        """See ``tally.Said``."""
        rules = self._answered.call.format.stored
        if rules is None or rules.pending is None or not rules.pending([], self._body):
            return ""
        return str(self._body.get(rules.id) or "")

    def _read(self) -> dict[str, Any]:
        """The hub answer; an empty one where nothing reads it."""
        if self._answered.attempt.format.decode_response is None:
            return {}
        try:
            return _decoded(self._answered, [], self._body)
        except MappingError:
            return {"finish": {"reason": "unreadable"}}


def through_hub(answered: Answered, body: dict[str, Any]) -> dict[str, Any]:
    """Return the caller's body for a whole answer of another format."""
    decoded = decode_whole(answered, body)
    speaker = answered.call.format
    prepared = replay.prepare(decoded, speaker.stream, native=answered.native, report=answered.report)
    return _encoded(answered, prepared)


def decode_whole(answered: Answered, body: dict[str, Any]) -> dict[str, Any]:
    """Return the hub response of a whole answer, with usage, and with what shaping had renamed put back."""
    decoded = _decoded(answered, answered.report, body)
    untold = answered.attempt.format.fields.untold(*answered.caller(streamed=answered.call.stream))
    untold.look(body)
    answered.report.extend(untold.lines())
    decoded["usage"] = answered.outcome.usage
    if answered.own_id:
        decoded["id"] = answered.own_id
    answered.keep(decoded.get("parts") or [])
    if answered.out.memo:
        decoded = shape.restore(decoded, answered.out.memo)
    return thoughts.turned(answered.attempt.channel.thinking, decoded, answered.report)


def _decoded(answered: Answered, report: Report, body: dict[str, Any]) -> dict[str, Any]:
    decode = answered.attempt.format.decode_response
    if decode is None:
        raise TypeError(f"{answered.attempt.format.name} has no response.decode")
    return given.answer(decode(report, body, answered.headers, answered.request, answered.ctx))


def encode_whole(answered: Answered, assembler: Assembler) -> dict[str, Any]:
    """Return the caller's body for an answer that an assembler holds."""
    return _encoded(answered, response.response(assembler.message))


def _encoded(answered: Answered, answer: dict[str, Any]) -> dict[str, Any]:
    encode = answered.call.format.encode_response
    if encode is None:
        raise TypeError(f"{answered.call.format.name} has no response.encode")
    body: dict[str, Any] = encode(
        answered.report, {**answer, "model": answered.call.asked}, answered.request, answered.ctx
    )
    return body
