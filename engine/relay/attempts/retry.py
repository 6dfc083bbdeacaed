"""Which failures the same channel or another may mend, and how many are tried: a Policy's and the options' rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from engine.relay.upstream.failure import RETRIED, UpstreamFailure
from engine.routing.when import When, when

if TYPE_CHECKING:
    from engine.program.models import Models
    from engine.routing.attempt import Attempt
    from engine.routing.group_options import GroupOptions
    from engine.storage.rows.accounts import Account

_TRIES = 3
_TOO_LONG = "context_too_long"


@dataclass(frozen=True, slots=True)
class SameRule:
    """A channel is asked again so many ``times``, ``after`` seconds and then twice as many; at most ``longest``."""

    times: int = 1
    after: float = 0.0
    longest: float = 5.0


@dataclass(frozen=True, slots=True)
class HoldRule:
    """So much of a stream is kept back as is said in so many seconds, or in so many pieces; infinite: no such bound."""

    seconds: float = inf
    chunks: float = inf
    when: When = field(default_factory=When)


@dataclass(frozen=True, slots=True)
class HedgeRule:
    """The second channel is asked after so many seconds. ``charged``: the caller pays the input of what lost, too."""

    after: float
    charged: bool = False
    when: When = field(default_factory=When)


@dataclass(frozen=True, slots=True)
class RetryRules:
    """``tries``: how many attempts a call may have in all; ``meanings``: failures that another channel may mend.

    ``same``: by meaning, those that the same channel may. ``hold``: what of a stream is kept back for another channel.
    ``continues``: the calls whose streams another attempt goes on with where they break off.
    """

    tries: int
    meanings: frozenset[str]
    options: GroupOptions
    same: Mapping[str, SameRule] = field(default_factory=dict)
    hold: HoldRule | None = None
    continues: When | None = None

    def most(self, account: Account | None) -> int:
        """How many channels a call tries: so many in each of its groups where its key may leave one."""
        if account is None or not account.cross_group_retry:
            return self.tries
        return self.tries * len(self.options.groups(account))

    def again(self, failure: UpstreamFailure) -> bool:
        """Whether another channel is tried after a failure: as the option says of its status, else the Policy.

        An error that costs is final: a second one would cost again.
        """
        if failure.fee is not None:
            return False
        if failure.again is not None:
            return failure.again
        chosen = self.options.retries_on(failure.status)
        return failure.error["meaning"] in self.meanings if chosen is None else chosen

    def pause(self, failed: Sequence[Attempt], failure: UpstreamFailure) -> float | None:
        """Seconds after which the channel of the last attempt is asked again; nothing where it is not."""
        rule = self.same.get(failure.error["meaning"])
        if rule is None or failure.fee is not None or failure.again is not None or failure.own:
            return None
        channel = failed[-1].channel
        times = sum(one.channel is channel for one in failed)
        # of several keys it is the one that has to wait: another goes up
        asked = failure.error.get("wait") if len(channel.keys) < 2 else None
        seconds = rule.after * 2 ** (times - 1) if asked is None else float(asked)
        return seconds if times <= rule.times and seconds <= rule.longest else None

    def others(self, models: Models, attempt: Attempt, failure: UpstreamFailure, left: list[Attempt]) -> list[Attempt]:
        """What may follow a failed attempt; after a request that was too long, channels with a larger window alone."""
        if failure.error["meaning"] != _TOO_LONG or failure.again is not None:
            return left if self.again(failure) else []
        if _TOO_LONG not in self.meanings or failure.fee is not None:
            return []
        least = _window(models, attempt)
        return [other for other in left if least < _window(models, other)]


def _window(models: Models, attempt: Attempt) -> float:
    """The tokens that a channel's model takes; 0 where nobody says."""
    return float(models.traits(attempt.model).get("context") or 0)


def retry_rules(policy: Mapping[str, Any], options: GroupOptions) -> RetryRules:
    """The rules of a merged policy, where the options do not say otherwise."""
    rules = policy.get("retries") or {}
    times = int(rules.get("times", _TRIES - 1)) if options.retries is None else options.retries
    same = {
        meaning: SameRule(int(rule.get("times", 1)), float(rule.get("after", 0.0)), float(rule.get("longest", 5.0)))
        for meaning, rule in (rules.get("sameChannel") or {}).items()
        if rule is not None
    }
    held = rules.get("holdFirst")
    hold = HoldRule(held.get("seconds", inf), held.get("chunks", inf), when(held.get("when"))) if held else None
    more = rules.get("continue")
    continues = None if more is None else when(more.get("when"))
    return RetryRules(1 + times, frozenset(rules.get("on") or RETRIED), options, same, hold, continues)


def hedge_rule(policy: Mapping[str, Any]) -> HedgeRule | None:
    """The rule of a merged policy; nothing where it has none."""
    declared = policy.get("hedging")
    if not declared:
        return None
    return HedgeRule(float(declared["after"]), declared.get("loser") == "input", when(declared.get("when")))
