"""What delivering needs to know of one answer, and the way of a whole answer through the hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import MappingError
from engine.hub import response, shape, thoughts, validate_decoded
from engine.hub import usage as usages
from engine.hub.stream import replay
from engine.hub.stream.assembler import Assembler
from engine.kinds.conversation import options, token_fallback
from engine.kinds.conversation.stored import thread
from engine.program.refused import ours, words
from engine.relay.upstream.failure import UpstreamFailure
from engine.relay.upstream.masking import masked
from engine.relay.upstream.patches import answer_patched
from engine.relay.upstream.refusal import costly, told_meaning

if TYPE_CHECKING:
    from engine.kinds.conversation.call import ConversationCall, Converted
    from engine.kinds.conversation.remember import Memory
    from engine.kinds.conversation.stored.background import Background
    from engine.program.surviving_fields import LossFinder
    from engine.relay.live import Live
    from engine.routing.attempt import Attempt, Report
    from engine.transport.leg import Handle


class AnswerServices(Protocol):
    """What an answer takes of a worker's services."""

    @property
    def memory(self) -> Memory: ...
    @property
    def live(self) -> Live: ...
    @property
    def background(self) -> Background: ...


class Exchange:
    """An answer that has begun: who asked, who answers, and what is noted of it on the way."""

    __slots__ = (
        "_background",
        "_counter",
        "_ctx",
        "_live",
        "_memory",
        "attempt",
        "call",
        "complete",
        "handle",
        "headers",
        "limit",
        "original",
        "out",
        "outcome",
        "own_id",
        "plan",
        "request",
        "unwatch",
    )

    def __init__(
        self,
        services: AnswerServices,
        call: ConversationCall,
        attempt: Attempt,
        out: Converted,
        headers: Mapping[str, str],
        handle: Handle,
        unwatch: Callable[[], None],
    ) -> None:
        """``handle`` ends it from outside, ``unwatch`` the watch on its caller."""
        self.call = call
        self.handle = handle
        self.unwatch = unwatch
        self.attempt = attempt
        self.out = out
        self.headers = headers
        self.outcome = attempt.outcome
        self._ctx: dict[str, Any] | None = None
        self.request: dict[str, Any] = out.hub or {}
        self.plan = attempt.channel.plan(attempt.format)
        self._memory = services.memory
        self._live = services.live
        self._background = services.background
        self.limit = call.snapshot.stream_bytes
        self.original: dict[str, Any] | None = None
        """The error that the upstream told inside its stream, in its own words, for the log and for retry."""
        self.own_id = thread.own_id(call, attempt)
        """The id that the caller sees, where it is ours to give."""
        self.complete = False
        """Whether the caller was told all of a stream, up to its last event."""
        self._counter = call.snapshot.counter

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
    def may_go_on(self) -> bool:
        """Whether another attempt may go on if this one breaks off: its caller has words of it."""
        return self.attempt.goes_on is not None and self.outcome.delivered

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
            traits = self.call.program.models.traits(self.attempt.model)
            takes = self.attempt.format.shape.get("thinking") or {}
            words = (traits.get("thinking") or {}).get("returns") == "words" or takes.get("signature") == "none"
            seconds = options.of(self.call.snapshot).remember_seconds
            self._memory.keep(self.call.account.token_id, seconds, parts, words=words)

    def as_patched(self, data: Any) -> Any:
        """The data of an event as the provider's document changes it."""
        if not self.attempt.channel.provider.response_patches or not isinstance(data, dict):
            return data
        return answer_patched(self.attempt, data, self.call.program.models.traits(self.attempt.model))

    def keep_answer(self, answer: Any) -> None:
        """Keep the whole answer as the caller saw it, where its format has answers kept."""
        if not self.attempt.unheard and self.attempt.wins:
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

    def untold(self) -> LossFinder | None:
        """Return who finds what a stream says and the caller is not told; None where no stream is read."""
        source = self.attempt.format.stream
        return source.fields.loss_finder(*self.caller(streamed=self.call.stream)) if source else None

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
        else:
            error = {**error, "meaning": told_meaning(self.attempt, self.headers, error, event)}
        message = words(error.get("message")) or "the upstream reported an error"
        error = {**error, "message": message, "meaning": ours(error.get("meaning") or "unknown")}
        self.original = masked(error, self.attempt, self.call)
        return self.original

    def count_missing(self, said: token_fallback.Said) -> None:
        """What the upstream did not tell of the usage is counted here, and calls of functions that have a price."""
        token_fallback.missing(self._counter, self, said)
        if self.call.thread is not None and self.out.same:
            answer_id = said.pending()
            if answer_id:
                self.outcome.successor = partial(self._background.hand_over, answer_id)
        if self.call.rule is not None and self.call.rule.functions:
            token_fallback.functions(self.outcome, self.call.rule.functions, said)


class Whole:
    """An answer that came whole, for counting what it says."""

    def __init__(self, answered: Exchange, body: dict[str, Any]) -> None:
        self._answered = answered
        self._body = body

    @property
    def empty(self) -> bool:
        """Nothing was said in it, and it stopped by itself."""
        return self._answered.attempt.format.decode_response is not None and token_fallback.nothing_said(self._read())

    def parts(self) -> list[dict[str, Any]]:
        """All that the answer says."""
        return self._read().get("parts") or []

    def pending(self) -> str:
        """See ``token_fallback.Said``."""
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


def through_hub(answered: Exchange, body: dict[str, Any]) -> dict[str, Any]:
    """Return the caller's body for a whole answer of another format."""
    decoded = decode_whole(answered, body)
    speaker = answered.call.format
    prepared = replay.prepare(decoded, speaker.stream, native=answered.native, report=answered.report)
    return _encoded(answered, prepared)


def decode_whole(answered: Exchange, body: dict[str, Any]) -> dict[str, Any]:
    """Return the hub response of a whole answer, with usage, and with what shaping had renamed put back."""
    decoded = _decoded(answered, answered.report, body)
    if failure := response.abnormal(decoded.get("finish")):
        raise UpstreamFailure(failure)
    losses = answered.attempt.format.fields.loss_finder(*answered.caller(streamed=answered.call.stream))
    losses.look(body)
    answered.report.extend(losses.lines())
    decoded["usage"] = answered.outcome.usage
    if answered.own_id:
        decoded["id"] = answered.own_id
    _name_calls(decoded)
    answered.keep(decoded.get("parts") or [])
    if answered.out.memo:
        decoded = shape.restore(decoded, answered.out.memo)
    return thoughts.turned(answered.attempt.channel.thinking, decoded, answered.report)


def _name_calls(decoded: dict[str, Any]) -> None:
    """Give calls without an id the one that the caller will see, so that what is kept of them is found by it."""
    for order, part in enumerate(decoded.get("parts") or ()):
        if part.get("type") == "tool_call" and not part.get("id"):
            decoded.setdefault("id", usages.short_hash("gen-", str(id(decoded))))
            part["id"] = usages.short_hash("call_", f"{decoded['id']}/{order}")


def _decoded(answered: Exchange, report: Report, body: dict[str, Any]) -> dict[str, Any]:
    decode = answered.attempt.format.decode_response
    if decode is None:
        raise TypeError(f"{answered.attempt.format.name} has no response.decode")
    return validate_decoded.answer(decode(report, body, answered.headers, answered.request, answered.ctx))


def encode_whole(answered: Exchange, assembler: Assembler) -> dict[str, Any]:
    """Return the caller's body for an answer that an assembler holds."""
    return _encoded(answered, response.response(assembler.message))


def _encoded(answered: Exchange, answer: dict[str, Any]) -> dict[str, Any]:
    encode = answered.call.format.encode_response
    if encode is None:
        raise TypeError(f"{answered.call.format.name} has no response.encode")
    body: dict[str, Any] = encode(
        answered.report, {**answer, "model": answered.call.asked}, answered.request, answered.ctx
    )
    return body
