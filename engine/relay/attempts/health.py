"""Health: what a failed attempt means for its channel and key: set aside for a while, or switched off by the console's
options; and which channels are to be asked first.

Knows meanings, not numbers, but where the console's options name numbers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.cluster.aside import Aside, BreakerRule
from engine.routing.group_options import ranges
from engine.storage.database import StorageError
from engine.storage.rows import channels
from engine.storage.rows.work import outbox

if TYPE_CHECKING:
    from engine.relay.upstream.failure import UpstreamFailure
    from engine.routing.attempt import Attempt
    from engine.routing.channel import LiveChannel
    from engine.storage.database import Database

log = logging.getLogger(__name__)
COUNTED = frozenset(
    {
        "cut",
        "forbidden",
        "overloaded",
        "rate_limit_account",
        "rate_limit_service",
        "timeout",
        "unavailable",
        "unknown",
        "upstream_auth",
        "upstream_quota",
    }
)
"""Meanings that count against a channel unless a Policy lists its own: what hangs on the account or the service."""
_WAITED = frozenset({"rate_limit", "rate_limit_account", "rate_limit_service", "overloaded"})
_TOLD_EVERY = 60.0
"""Seconds in which operators are told once at most that a channel is set aside."""
_KEYWORDS = (
    "Your credit balance is too low",
    "This organization has been disabled.",
    "You exceeded your current quota",
    "Permission denied",
    "The security token included in the request is invalid",
    "Operation not allowed",
    "Your account is not authorized",
)
"""What the console's option holds before somebody changes it."""


@dataclass(frozen=True, slots=True)
class MeaningRule:
    """What follows failures of one meaning: when a channel is set aside, or that it is switched off at the first.

    ``tells``: operators are told each time that it is set aside, once a minute of one channel at most.
    """

    breaker: BreakerRule
    disables: bool = False
    tells: bool = False


@dataclass(frozen=True, slots=True)
class HealthRules:
    """``disables``: channels that fail by these statuses or words are switched off in the database.

    ``meanings`` have rules of their own; all others share ``breaker``, if they are ``counted``.
    """

    breaker: BreakerRule = field(default_factory=BreakerRule)
    counted: frozenset[str] = COUNTED
    meanings: Mapping[str, MeaningRule] = field(default_factory=dict)
    disables: bool = False
    statuses: tuple[tuple[int, int], ...] = ()
    words: tuple[str, ...] = ()


def health_rules(policy: Mapping[str, Any], options: Mapping[str, str]) -> HealthRules:
    """The rules of a merged policy and of the console's options."""
    breaker = policy.get("breaker") or {}
    usual = _breaker(breaker, BreakerRule())
    meanings = {
        meaning: MeaningRule(_breaker(rule, usual), bool(rule.get("disable")), bool(rule.get("tell")))
        for meaning, rule in (breaker.get("meanings") or {}).items()
        if rule is not None
    }
    codes = ranges(options.get("AutomaticDisableStatusCodes") or "401") or []
    words = options.get("AutomaticDisableKeywords")
    listed = _KEYWORDS if words is None else words.splitlines()
    return HealthRules(
        usual,
        frozenset(breaker.get("on") or COUNTED),
        meanings,
        options.get("AutomaticDisableChannelEnabled") == "true",
        tuple(codes),
        tuple(word.strip().lower() for word in listed if word.strip()),
    )


def _breaker(declared: Mapping[str, Any], usual: BreakerRule) -> BreakerRule:
    """What is declared, and where nothing is what is usual."""
    return BreakerRule(
        failures=int(declared.get("failures", usual.failures)),
        window=float(declared.get("window", usual.window)),
        cool_down=float(declared.get("coolDown", usual.cool_down)),
        longest=float(declared.get("longest", usual.longest)),
    )


class Health:
    """See the module. ``reload_seconds``: how long other workers may take to see what the database says."""

    def __init__(self, aside: Aside, db: Database, reload_seconds: float) -> None:
        self._aside, self._db, self._reload = aside, db, reload_seconds

    def watches(self) -> bool:
        """Whether anything is set aside. PERF: all that most calls ask."""
        return bool(self._aside.names())

    def aside(self) -> int:
        """How many channels and keys are set aside now."""
        now = time.time()
        return sum(entry.until > now for entry in self._aside.names().values())

    def back(self, channel: LiveChannel) -> float:
        """When a channel may be asked again: 0 for now; one of several keys that may be asked is enough."""
        closed = channel.closed(time.time()) if channel.hours is not None or channel.aside_until else 0.0
        back = closed or self._aside.back(_name(channel, None))
        return back or (self.until(channel) if len(channel.keys) > 1 else 0.0)

    def keys_aside(self, channel: LiveChannel) -> int:
        """How many of several keys are set aside now. Claims no probe."""
        names, now = self._aside.names(), time.time()
        return sum(names[name].until > now for name in _key_names(channel) if name in names)

    def away(self, channel: LiveChannel) -> float:
        """Until when a channel is not asked: by its breaker, its hours or an operator; 0 for now. Claims no probe."""
        return max(self.until(channel), channel.closed(time.time()))

    def until(self, channel: LiveChannel) -> float:
        """Until when a channel, or the last of its keys, is set aside; 0 for not. Claims no probe."""
        names = self._aside.names()
        whole = names.get(_name(channel, None))
        if whole is not None and whole.until > time.time():
            return whole.until
        each = [names[name].until if name in names else 0.0 for name in _key_names(channel)]
        return min(each) if each and min(each) > time.time() else 0.0

    def free(self, channel: LiveChannel) -> tuple[str, ...]:
        """The keys of a channel that may be asked; one alone that is to be tried; all, where none may."""
        if len(channel.keys) < 2 or not self.watches():
            return channel.keys
        names, now = self._aside.names(), time.time()
        free: list[str] = []
        over: list[str] = []
        for key in channel.keys:
            name = _name(channel, key)
            entry = names.get(name)
            if entry is None:
                free.append(key)
            elif entry.until <= now:
                if not self._aside.back(name):
                    return (key,)
                over.append(key)
        return tuple(free or over) or channel.keys

    def worked(self, attempt: Attempt) -> None:
        """An attempt answered."""
        if self._aside.names():
            self._aside.worked(_name(attempt.channel, attempt.secret))

    def failed(self, rules: HealthRules, attempt: Attempt, failure: UpstreamFailure) -> None:
        """An attempt failed by what hangs on its channel, or on the request."""
        channel, meaning = attempt.channel, failure.error["meaning"]
        if failure.again is not None or failure.own:
            return  # an operation of the channel ended it: nothing went up
        own = rules.meanings.get(meaning)
        off = own is not None and own.disables
        if channel.auto_ban and channel.id and (off or (rules.disables and self._disabling(rules, failure))):
            self._disable(attempt, failure)
            return
        breaker = rules.breaker if own is None else own.breaker
        wait = failure.error.get("wait") if meaning in _WAITED else None
        if off and not channel.id:
            wait = breaker.longest  # no row of it can be switched off
        if (not breaker.failures and not off) or (wait is None and own is None and meaning not in rules.counted):
            return
        name = _name(channel, attempt.secret)
        entry = self._aside.names().get(name)
        until = self._aside.failed(name, breaker, wait)
        if until:
            log.warning("channel %s is set aside: %s", channel.name, failure)
            again = entry is not None and entry.until == until  # a call that began before it was set aside
            if own is not None and own.tells and not again and self._aside.first(f"told {channel.mark}", _TOLD_EVERY):
                self._tell(channel, until, failure)

    def _tell(self, channel: LiveChannel, until: float, failure: UpstreamFailure) -> None:
        """Have operators told, beside the call."""
        moment = time.strftime("%Y-%m-%d %H:%M:%S%z", time.localtime(until))
        values = {"channel": channel.id, "name": channel.name, "reason": f"set aside until {moment}: {failure}"[:200]}

        def write() -> None:
            try:
                self._db.write(lambda connection: outbox.happened(self._db, connection, "channel.aside", values))
            except StorageError as ex:
                log.warning("nobody is told that channel %s is set aside: %s", channel.name, ex)

        threading.Thread(target=write, daemon=True).start()

    @staticmethod
    def _disabling(rules: HealthRules, failure: UpstreamFailure) -> bool:
        status, text = failure.status or 0, str(failure.error.get("message") or "").lower()
        return any(first <= status <= last for first, last in rules.statuses) or any(w in text for w in rules.words)

    def _disable(self, attempt: Attempt, failure: UpstreamFailure) -> None:
        """Switch off the channel, or the one key of several, in the database and for all workers at once."""
        channel, reason = attempt.channel, str(failure)[:200]
        several = len(channel.keys) > 1
        log.warning("channel %s (#%d)%s is disabled: %s", channel.name, channel.id, " key" if several else "", reason)
        self._aside.switch_off(_name(channel, attempt.secret), self._reload)
        secret = attempt.secret if several else None
        # beside the call, whose next attempt need not wait for the database
        threading.Thread(target=self._written, args=(channel, secret, reason), daemon=True).start()

    def _written(self, channel: LiveChannel, secret: str | None, reason: str) -> None:
        try:
            channels.disable(self._db, channel.id, secret, reason)
        except StorageError as ex:
            log.warning("channel %s could not be disabled in the database: %s", channel.name, ex)


def _key_names(channel: LiveChannel) -> list[str]:
    """What its keys are called in shared state, where it has several."""
    return [_name(channel, key) for key in channel.keys] if len(channel.keys) > 1 else []


def _name(channel: LiveChannel, key: str | None) -> str:
    """What a channel, or one of its several keys, is called in shared state: no secret stands in it.

    Another name once an operator said that it be asked again: what was counted under the old one means nothing then.
    """
    mark = channel.mark if key is None or len(channel.keys) < 2 else channel.key_mark(key)
    return f"{mark} since {channel.asked_again}" if channel.asked_again else mark
