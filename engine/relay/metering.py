"""What any kind of call makes of the usage that a provider tells: bounded by reason, or by what was sent alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.hub.usage import bounded

if TYPE_CHECKING:
    from engine.ledger.counting.tokens import Count
    from engine.routing.attempt import Outcome

_MOST_TOKENS = 20_000_000
"""Tokens that either side of an answer may have besides those of the request's own bytes.

No context is larger than some millions of tokens; hosted tools, caches, files and earlier turns that the provider
holds fill it more than once in one answer.
"""
_TOKENS_PER_BYTE = 4
"""A byte of a request is a token at most; a provider that goes over it several times may count it as often."""
_MOST_CALLS = 10_000


def within_reason(usage: dict[str, Any], sent_bytes: int) -> dict[str, Any]:
    """The usage cut to what a request of so many bytes can have used, and flagged; the same object where it is less."""
    # PERF: nearly every answer is below what the empty request may have
    if not usage or (
        usage.get("total", 0) <= _MOST_TOKENS and not (usage.get("calls") or usage.get("meters") or "models" in usage)
    ):
        return usage
    return bounded(usage, _MOST_TOKENS + _TOKENS_PER_BYTE * sent_bytes, _MOST_CALLS)


def only_input(outcome: Outcome, request: Count) -> None:
    """Usage of a request, counted here, beside the output that the provider told, if any."""
    output = outcome.usage.get("output_total", 0)
    outcome.usage = {
        **outcome.usage,
        "input_fresh": request.tokens,
        "input_total": request.tokens,
        "input_image": request.image,
        "total": request.tokens + output,
    }
    outcome.usage_source = request.how
