"""Which limits bind a call: a Policy's `rateLimits`, and the console's limit per user. Counts nothing itself.

``limit_rules(policy, options)`` gives the rules; ``ask`` of them what a call wants of each count. Rules that count by
channel are asked for each attempt, the others once for the call. ``binds`` and ``count_of`` are for who wants to know
which bind a key, without a call.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.cluster.rates import Ask
from engine.routing.when import OF_ACCOUNT, When, when

if TYPE_CHECKING:
    from engine.routing.channel import LiveChannel
    from engine.routing.request import RoutedCall
    from engine.storage.rows.accounts import Account

log = logging.getLogger(__name__)
PERIODS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0, "month": 2_592_000.0}
REQUESTS, TOKENS, PARALLEL, SERVED = "requests", "tokens", "parallel", "served"
"""What a limit counts: calls, their tokens, calls under way at once, or calls that were served."""
_OPTION = "ModelRequestRateLimit"
_MOST = 10**9

_BY: dict[str, Callable[[RoutedCall], str]] = {
    "key": lambda call: str(call.account.token_id) if call.account else "",
    "user": lambda call: str(call.account.user_id) if call.account else "",
    "group": lambda call: call.account.group if call.account else "",
    "model": lambda call: call.asked,
    "address": lambda call: call.ip,
}
OF_CHANNEL = frozenset({"channel", "channelKey", "tag", "provider"})
"""What is known only of an attempt."""
_KEY = "channelKey"
_BY_CHANNEL: dict[str, Callable[[LiveChannel, str | None], str]] = {
    "channel": lambda channel, key: channel.mark,
    _KEY: lambda channel, key: channel.key_mark(key),
    "tag": lambda channel, key: channel.tag or channel.mark,
    "provider": lambda channel, key: channel.provider.name,
}


@dataclass(frozen=True, slots=True)
class LimitRule:
    """One count: what, for whom apart, and how much of it in how many seconds (0: at once)."""

    name: str
    counts: str
    most: int
    seconds: float = 0.0
    by: tuple[str, ...] = ()
    when: When = field(default_factory=When)
    said: Mapping[str, Any] = field(default_factory=dict)
    """``when`` as a document says it; nothing of the console's."""
    source: str = ""
    """The document that says it, or the option."""

    @property
    def keyed(self) -> bool:
        """Whether each key of a channel has a count of its own."""
        return _KEY in self.by

    def ask(self, call: RoutedCall, tokens: int, channel: LiveChannel | None = None, key: str | None = None) -> Ask:
        """What a call wants of it, at a channel with one of its keys."""
        parts = [_BY[name](call) if name in _BY else _BY_CHANNEL[name](channel, key) for name in self.by]  # type: ignore[arg-type]
        amount = tokens if self.counts == TOKENS else 1
        return Ask("\0".join(("limit", self.name, self.counts, *parts)), self.most, self.seconds, amount)

    @property
    def asks(self) -> dict[str, Any]:
        """What it asks of a call beside whose it is."""
        return {name: value for name, value in self.said.items() if name not in OF_ACCOUNT}

    def binds(self, account: Account) -> bool:
        """Whether it is for calls of an account, some or all."""
        caller: Any = _Caller(account)
        if not self.said:
            return self.when.holds(caller)
        return when({name: value for name, value in self.said.items() if name in OF_ACCOUNT}).holds(caller)

    def count_of(self, account: Account, model: str = "") -> Ask | None:
        """The count of an account's calls (of a model); nothing where these have several."""
        caller: Any = _Caller(account, model)
        ask = self.ask(caller, 0)
        return ask if all(_BY[name](caller) for name in self.by) else None

    @property
    def period(self) -> str:
        """Its time in words; nothing where it counts what is under way."""
        return _period(self.seconds) if self.seconds else ""

    def told(self) -> str:
        """What it allows, in words."""
        whose = f" for each {' and '.join(self.by)}" if self.by else ""
        if self.counts == PARALLEL:
            return f"{self.most} calls at once{whose}"
        what = {REQUESTS: "requests", TOKENS: "tokens", SERVED: "answered requests"}[self.counts]
        return f"{self.most} {what} in {_period(self.seconds)}{whose}"


@dataclass(frozen=True, slots=True)
class _Caller:
    """Whose calls are asked about: so much of a call as is known without one."""

    account: Account
    asked: str = ""
    ip: str = ""


@dataclass(frozen=True, slots=True)
class LimitRules:
    """``ours`` bind a call, ``channels`` each of its attempts."""

    ours: tuple[LimitRule, ...] = ()
    channels: tuple[LimitRule, ...] = ()
    wait: float = 2.0
    """Seconds for which a call waits at most for a channel with room."""
    queue: int = 100
    """How many calls of a worker wait at once."""


def limit_rules(policy: Mapping[str, Any], options: Mapping[str, str]) -> LimitRules:
    """The rules of a merged policy and of the console's options."""
    declared = [rule for name, rule in (policy.get("rateLimits") or {}).items() for rule in _declared(name, rule or {})]
    waiting = policy.get("waiting") or {}
    return LimitRules(
        (*[rule for rule in declared if OF_CHANNEL.isdisjoint(rule.by)], *_console(options)),
        tuple(rule for rule in declared if not OF_CHANNEL.isdisjoint(rule.by)),
        float(waiting.get("seconds", 2.0)),
        int(waiting.get("calls", 100)),
    )


def _declared(name: str, rule: Mapping[str, Any]) -> list[LimitRule]:
    per = rule.get("per", 0)
    seconds = PERIODS[per] if isinstance(per, str) else float(per)
    said, by, source = rule.get("when") or {}, tuple(rule.get("by") or ()), rule.get("declared", "")
    condition = when(said)
    return [
        LimitRule(name, counts, int(rule[counts]), 0.0 if counts == PARALLEL else seconds, by, condition, said, source)
        for counts in (REQUESTS, TOKENS, PARALLEL)
        if counts in rule
    ]


def _console(options: Mapping[str, str]) -> list[LimitRule]:
    """The console's limit per user: of all calls, and of those that were answered; by the group of the key."""
    if options.get(f"{_OPTION}Enabled") != "true":
        return []
    seconds = 60.0 * max(1, _number(options, "DurationMinutes", 1))
    groups = _groups(options.get(f"{_OPTION}Group"))
    usual = _number(options, "Count", 0), _number(options, "SuccessCount", 1000)
    others = When((lambda call: _group_of(call, groups) is None,))
    rules = _pair("user", *usual, seconds, others, ("Count", "SuccessCount"))
    for group, (total, served) in groups.items():
        condition = When((_is_of(group, groups),))
        rules += _pair(f"user of {group}", total, served, seconds, condition, ("Group", "Group"))
    return rules


def _pair(
    name: str, total: int, served: int, seconds: float, condition: When, options: tuple[str, str]
) -> list[LimitRule]:
    pairs = zip((REQUESTS, SERVED), (total, served), options, strict=True)
    return [
        LimitRule(name, counts, most, seconds, ("user",), condition, source=f"option {_OPTION}{option}")
        for counts, most, option in pairs
        if most > 0
    ]


def _group_of(call: RoutedCall, groups: Mapping[str, Any]) -> str | None:
    """The group whose own numbers hold: the key's, else the user's."""
    account = call.account
    if account is None:
        return None
    return next((group for group in (account.group, account.user_group) if group in groups), None)


def _is_of(group: str, groups: Mapping[str, Any]) -> Callable[[RoutedCall], bool]:
    return lambda call: _group_of(call, groups) == group


def _groups(text: str | None) -> dict[str, tuple[int, int]]:
    try:
        table = json.loads(text or "{}")
        return {str(group): (int(total), int(served)) for group, (total, served) in table.items()}
    except (ValueError, TypeError, AttributeError):
        log.warning("option %sGroup can't be read: it is no table of a total and a number of answers", _OPTION)
        return {}


def _number(options: Mapping[str, str], name: str, usual: int) -> int:
    text = options.get(f"{_OPTION}{name}", "").strip()
    return min(int(text), _MOST) if text.isascii() and text.isdigit() else usual


def _period(seconds: float) -> str:
    named = next((name for name, long in PERIODS.items() if long == seconds), None)
    if named:
        return f"a {named}" if named != "hour" else "an hour"
    return f"{seconds:g} seconds" if seconds % 60 else f"{seconds / 60:g} minutes"
