"""Tokens that are counted here because no upstream told them, and a bound on what one tells; the row says so.

``sent`` counts a request, ``missing`` what an answer's usage lacks; an upstream that tells all costs nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from engine.kinds.conversation.translate import hub_or_nothing
from engine.ledger.counting.tokens import Count, Counter
from engine.relay.metering import only_input, within_reason

if TYPE_CHECKING:
    from engine.kinds.conversation.call import ConversationCall
    from engine.routing.attempt import Attempt, Outcome


class Said(Protocol):
    """An answer whose content can be looked at."""

    def parts(self) -> Iterable[dict[str, Any]]:
        """All that it says."""
        ...

    def pending(self) -> str:
        """The id of an answer that its provider goes on to make; nothing for one that has come to its end."""
        ...


class CountedAnswer(Protocol):
    """A request, the attempt that answers it, and what came of that."""

    @property
    def call(self) -> ConversationCall: ...
    @property
    def attempt(self) -> Attempt: ...
    @property
    def outcome(self) -> Outcome: ...


def sent(counter: Counter, call: ConversationCall, model: str, *, hasty: bool = False) -> Count:
    """Return the tokens of a request; of one that no conversation can be made of, those of all that it says.

    ``hasty``: nothing is fetched, and of long texts a part stands for the whole.
    """
    if not counter.count_input:
        return Count(0, "estimated")
    try:
        hub = hub_or_nothing(call)
    except RecursionError:
        hub = {}
    return counter.request(model, hub or _as_it_is(call), stream=call.stream, hasty=hasty)


def alone(counter: Counter, call: ConversationCall, model: str) -> Count:
    """Return the tokens of a request's own body, whatever it goes on from; hasty as above."""
    return counter.request(model, _as_it_is(call), stream=call.stream, hasty=True)


def _as_it_is(call: ConversationCall) -> dict[str, Any]:
    return {"messages": [{"parts": [{"type": "unknown", "value": call.body}]}]}


def functions(outcome: Outcome, priced: frozenset[str], said: Said) -> None:
    """Calls of the caller's own functions that have a price count as those of a provider's tools do."""
    calls = [part.get("name") for part in said.parts() if part.get("type") == "tool_call"]
    counts = {name: calls.count(name) for name in priced if name in calls}
    if counts and outcome.usage:
        outcome.usage = {**outcome.usage, "calls": {**outcome.usage.get("calls", {}), **counts}}


def says_something(parts: Iterable[dict[str, Any]]) -> bool:
    """Whether an answer's parts hold more than texts and thoughts of no letters."""
    return any(part.get("text") or part.get("type") not in ("text", "thinking") for part in parts)


def nothing_said(answer: dict[str, Any]) -> bool:
    """Whether a whole hub answer stopped by itself with no content, and no output that only its usage tells of.

    One token is none: it ends an answer, and formats that tell usage at the start tell one before anything was made.
    """
    reason = (answer.get("finish") or {}).get("reason")
    used = answer.get("usage") or {}
    return (
        reason in (None, "stop")
        and (used.get("output_total") or 0) <= 1
        and not says_something(answer.get("parts") or ())
    )


def left(counter: Counter, call: ConversationCall, attempt: Attempt) -> None:
    """The usage of a call whose caller left before anything came: its input, unless the upstream told more."""
    if not attempt.outcome.usage.get("input_total"):
        only_input(attempt.outcome, sent(counter, call, attempt.model))


def missing(counter: Counter, answered: CountedAnswer, said: Said) -> None:
    """What the upstream did not tell of the usage is counted here, and the row says so; what can't be is cut.

    Of an answer that broke off, or that the caller left, the upstream has told nothing or only how it began, unless
    its format tells with each event what was made until then. The input of a request is never nothing.
    """
    outcome = answered.outcome
    used = outcome.usage = within_reason(outcome.usage, len(answered.call.raw))
    whole = outcome.ended == "done"
    upstream_output = used.get("output_total", 0)
    if upstream_output and whole and used.get("input_total"):
        return
    if "models" in used:
        return
    if upstream_output and (whole or answered.attempt.format.usage.running):
        output = Count(upstream_output, "counted", used.get("output_image", 0))
    else:
        parts = list(said.parts())
        outcome.empty_answer = not says_something(parts)
        if whole and used.get("input_total") and not parts:
            return
        output = counter.answer(answered.attempt.model, parts)
    if upstream_output >= output.tokens and used.get("input_total"):
        return
    how = output.how
    if not used.get("input_total"):
        if outcome.error is not None and not output.tokens:
            return
        request = sent(counter, answered.call, answered.attempt.model)
        how = how if request.how == "counted" else request.how
        used = {**used, "input_fresh": request.tokens, "input_total": request.tokens, "input_image": request.image}
    tokens = max(output.tokens, upstream_output)
    text = tokens - min(used.get("reasoning", 0), tokens)
    outcome.usage = {**used, "output_text": text, "output_total": tokens, "total": used["input_total"] + tokens}
    if output.image:
        outcome.usage["output_image"] = output.image
    outcome.usage_source = how
