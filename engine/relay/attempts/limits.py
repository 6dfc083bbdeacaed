"""Limit: what a call takes of the limits that bind it, before anything is spent on it; refuses with 429.

Amounts of tokens are taken by an estimate and settled by what was used. What callers are told of it stands in headers
of their own dialect. Counts are ``engine.cluster``'s, rules ``engine.routing.limits.rules``'.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from engine.cluster.rates import Ask, Seen, Verdict
from engine.errors import CallError
from engine.routing.limits.rules import REQUESTS, SERVED, TOKENS
from engine.routing.limits.taken import Taken

if TYPE_CHECKING:
    from engine.cluster.redis import Command
    from engine.relay.call import Call
    from engine.routing.attempt import Attempt
    from engine.routing.channel import LiveChannel
    from engine.routing.limits.rules import LimitRule

_KINDS = {REQUESTS: "requests", SERVED: "requests", TOKENS: "tokens"}


class Counts(Protocol):
    """Counts of one machine, or of several."""

    def take(self, asks: Sequence[Ask], beside: Command | None = None) -> Verdict:
        """Add to all counts, or to none; what Redis is asked beside goes up with it."""

    def look(self, asks: Sequence[Ask]) -> list[Seen]:
        """How counts stand."""

    def settle(self, asks: Sequence[Ask], amounts: Sequence[int]) -> None:
        """What asks that were taken came to."""

    def sweep(self) -> None:
        """What has to be done every few seconds."""


class Limits:
    """The limits of a worker."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def take(self, call: Call, beside: Command | None = None) -> Verdict | None:
        """Take what the call wants of its limits; raises ``CallError`` (429), which says which one is used up.

        Gives what was said, where a limit binds the call: with the reply to what Redis was asked ``beside``.
        """
        ours = call.snapshot.limits.ours
        rules = [rule for rule in ours if rule.when.holds(call)] if ours else None
        if not rules:
            return None
        asks = [rule.ask(call, call.most_tokens) for rule in rules]
        verdict = self._counts.take(asks, beside)
        if verdict.full < 0:
            call.limited = Taken(rules, asks, verdict.left)
            call.taken.append(call.limited)
            return verdict
        rule = rules[verdict.full]
        call.limited = Taken([rule], [], [0], verdict.wait)
        raise CallError(
            "rate_limit",
            f"the limit {rule.name!r} of {rule.told()} is used up; try again in {_seconds(verdict.wait)} s",
            code="rate_limit_exceeded",
            wait=_seconds(verdict.wait),
        )

    def look(self, asks: Sequence[Ask]) -> list[Seen]:
        """How counts stand; nothing is taken."""
        return self._counts.look(asks) if asks else []

    def enter(self, call: Call, attempt: Attempt, free: Callable[[LiveChannel], tuple[str, ...]]) -> float:
        """Take what an attempt wants of its channel's limits; gives 0, or the seconds until there may be room.

        Where keys have limits of their own, the first of the ``free`` ones that has room goes up.
        """
        rules = [rule for rule in call.snapshot.limits.channels if rule.when.holds(call)]
        if not rules:
            return 0.0
        channel, wait = attempt.channel, math.inf
        keyed = any(rule.keyed for rule in rules)
        for key in channel.in_turn(free(channel)) if keyed else (None,):
            asks = [rule.ask(call, call.most_tokens, channel, key) for rule in rules]
            verdict = self._counts.take(asks)
            if verdict.full < 0:
                attempt.secret = key
                call.taken.append(Taken(rules, asks, attempt=attempt))
                return 0.0
            wait = min(wait, verdict.wait)
            if not rules[verdict.full].keyed:
                break
        return wait

    def leave(self, call: Call, attempt: Attempt, tokens: int = 0) -> None:
        """An attempt is over before its call: another may take its place at the channel. It used so many tokens."""
        for taken in [taken for taken in call.taken if taken.attempt is attempt]:
            call.taken.remove(taken)
            self._settle(taken, tokens, served=tokens > 0)

    def settle(self, call: Call, tokens: int | None, *, served: bool) -> None:
        """The call is over: it used so many tokens; nothing: nobody knows yet, and the estimate stands."""
        while call.taken:
            self._settle(call.taken.pop(), tokens, served=served)

    def sweep(self) -> None:
        """Give back what dead processes held; called every second."""
        self._counts.sweep()

    def _settle(self, taken: Taken, tokens: int | None, *, served: bool) -> None:
        pairs = zip(taken.rules, taken.asks, strict=True)
        self._counts.settle(taken.asks, [_came_to(rule, ask, tokens, served=served) for rule, ask in pairs])


def _came_to(rule: LimitRule, ask: Ask, tokens: int | None, *, served: bool) -> int:
    if rule.counts == TOKENS:
        return ask.amount if tokens is None else tokens
    return 1 if rule.counts == REQUESTS or served else 0


def _seconds(wait: float) -> int:
    return max(1, math.ceil(wait))


def headers(call: Call) -> list[tuple[str, str]]:
    """What the caller's dialect tells of limits: of the tightest of requests, and of tokens."""
    taken, names = call.limited, call.format.headers.get("limits")
    if taken is None or not names:
        return []
    tightest: dict[str, tuple[float, LimitRule, int]] = {}
    for rule, left in zip(taken.rules, taken.left, strict=True):
        kind = _KINDS.get(rule.counts)
        if kind is not None and (kind not in tightest or left / rule.most < tightest[kind][0]):
            tightest[kind] = (left / rule.most, rule, left)
    pairs: list[tuple[str, str]] = []
    for kind, (_, rule, left) in tightest.items():
        said: dict[str, Any] = {
            "limit": rule.most,
            "remaining": left,
            "reset": _reset(names, taken.wait or rule.seconds),
        }
        pairs += [(name, str(said[what])) for what, name in (names.get(kind) or {}).items()]
    return pairs


def _reset(names: dict[str, Any], seconds: float) -> str:
    if names.get("resetAs") == "moment":
        return datetime.fromtimestamp(math.ceil(time.time() + seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or hours else "") + f"{rest}s"
