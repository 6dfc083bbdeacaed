"""Tally: tokens that are counted here because no upstream told them, and a bound on what one tells; the row says so.

``sent`` counts a request, ``missing`` what an answer's usage lacks; an upstream that tells all costs nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from engine.hub.usage import bounded
from engine.ledger.counting import Count, Counter
from engine.relay.translate import hub_or_nothing

if TYPE_CHECKING:
    from engine.relay.answers import Answered
    from engine.relay.call import Attempt, Call, Outcome

_MOST_TOKENS = 20_000_000
"""Tokens that either side of an answer may have besides those of the request's own bytes.

No context is larger than some millions of tokens; hosted tools, caches, files and earlier turns that the provider
holds fill it more than once in one answer.
"""
_TOKENS_PER_BYTE = 4
"""A byte of a request is a token at most; a provider that goes over it several times may count it as often."""
_MOST_CALLS = 10_000


class Said(Protocol):
    """An answer whose content can be looked at."""

    def parts(self) -> Iterable[dict[str, Any]]:
        """All that it says."""
        ...

    def pending(self) -> str:
        """The id of an answer that its provider goes on to make; nothing for one that has come to its end."""
        ...


def sent(counter: Counter, call: Call, model: str, *, hasty: bool = False) -> Count:
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


def alone(counter: Counter, call: Call, model: str) -> Count:
    """Return the tokens of a request's own body, whatever it goes on from; hasty as above."""
    return counter.request(model, _as_it_is(call), stream=call.stream, hasty=True)


def _as_it_is(call: Call) -> dict[str, Any]:
    return {"messages": [{"parts": [{"type": "unknown", "value": call.body}]}]}


def functions(outcome: Outcome, priced: frozenset[str], said: Said) -> None:
    """Calls of the caller's own functions that have a price count as those of a provider's tools do."""
    calls = [part.get("name") for part in said.parts() if part.get("type") == "tool_call"]
    found = {name: calls.count(name) for name in priced if name in calls}
    if found and outcome.usage:
        outcome.usage = {**outcome.usage, "calls": {**outcome.usage.get("calls", {}), **found}}


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


def left(counter: Counter, call: Call, attempt: Attempt) -> None:
    """The usage of a call whose caller left before anything came: its input, unless the upstream told more."""
    outcome = attempt.outcome
    if outcome.usage.get("input_total"):
        return
    request = sent(counter, call, attempt.model)
    told = outcome.usage.get("output_total", 0)
    outcome.usage = {
        **outcome.usage,
        "input_fresh": request.tokens,
        "input_total": request.tokens,
        "input_image": request.image,
        "total": request.tokens + told,
    }
    outcome.usage_source = request.how


def within_reason(usage: dict[str, Any], sent_bytes: int) -> dict[str, Any]:
    """The usage cut to what a request of so many bytes can have used, and flagged; the same object where it is less."""
    # PERF: nearly every answer is below what the empty request may have
    if not usage or (
        usage.get("total", 0) <= _MOST_TOKENS and not (usage.get("calls") or usage.get("meters") or "models" in usage)
    ):
        return usage
    return bounded(usage, _MOST_TOKENS + _TOKENS_PER_BYTE * sent_bytes, _MOST_CALLS)


def missing(counter: Counter, answered: Answered, said: Said) -> None:
    """What the upstream did not tell of the usage is counted here, and the row says so; what can't be is cut.

    Of an answer that broke off, or that the caller left, the upstream has told nothing or only how it began, unless
    its format tells with each event what was made until then. The input of a request is never nothing.
    """
    outcome = answered.outcome
    used = outcome.usage = within_reason(outcome.usage, len(answered.call.raw))
    whole = outcome.ended == "done"
    told = used.get("output_total", 0)
    if told and whole and used.get("input_total"):
        return
    if "models" in used:
        return
    if told and (whole or answered.attempt.format.usage.running):
        output = Count(told, "counted", used.get("output_image", 0))
    else:
        parts = list(said.parts())
        outcome.barren = not says_something(parts)
        if whole and used.get("input_total") and not parts:
            return
        output = counter.answer(answered.attempt.model, parts)
    if told >= output.tokens and used.get("input_total"):
        return
    how = output.how
    if not used.get("input_total"):
        if outcome.error is not None and not output.tokens:
            return
        request = sent(counter, answered.call, answered.attempt.model)
        how = how if request.how == "counted" else request.how
        used = {**used, "input_fresh": request.tokens, "input_total": request.tokens, "input_image": request.image}
    got = max(output.tokens, told)
    text = got - min(used.get("reasoning", 0), got)
    outcome.usage = {**used, "output_text": text, "output_total": got, "total": used["input_total"] + got}
    if output.image:
        outcome.usage["output_image"] = output.image
    outcome.usage_source = how
