"""Which calls are captured: those of watched keys, then those that the first rule of a Policy is for."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from engine.relay.captures.exchange import Capture, CaptureRule
from engine.routing.when import when
from engine.storage.releases.captures import MOST, CaptureKey

if TYPE_CHECKING:
    from engine.routing.request import RoutedCall

_BYTES = 1024 * 1024
_DAY = 86_400
_DAYS = 7.0


@dataclass(frozen=True, slots=True)
class Captures:
    """The rules in force. A key that is watched is judged by its own alone, until its moment."""

    rules: tuple[CaptureRule, ...] = ()
    keys: Mapping[int, tuple[int, CaptureRule]] = field(default_factory=lambda: MappingProxyType({}))
    """By key: until when (Unix seconds), and how."""

    def begun(self, call: RoutedCall) -> Capture | None:
        """What hears a call whose body was read; nothing where it is not to be kept."""
        account = call.account
        if account is None:
            return None
        watched = self.keys.get(account.token_id)
        if watched is not None and call.now < watched[0]:
            rule: CaptureRule | None = watched[1]
        else:
            rule = next((one for one in self.rules if one.when.holds(call)), None)
        if rule is None or random.random() >= rule.share:  # noqa: S311 - a sample, no secret
            return None
        return Capture(rule)

    def until(self, token_id: int) -> int:
        """Until when a key's exchanges are kept, as its holder is told; 0: they are not."""
        return self.keys[token_id][0] if token_id in self.keys else 0


def captures(policy: Mapping[str, Any], keys: Iterable[CaptureKey]) -> Captures | None:
    """What a merged policy and the watched keys ask for; nothing where neither does."""
    rules = tuple(_declared(name, rule) for name, rule in (policy.get("captures") or {}).items() if rule is not None)
    watched = {key.token_id: (key.until, _of_key(key)) for key in keys}
    return Captures(rules, MappingProxyType(watched)) if rules or watched else None


def _declared(name: str, rule: Mapping[str, Any]) -> CaptureRule:
    return CaptureRule(
        name,
        when(rule.get("when")),
        float(rule.get("share", 1)),
        bool(rule.get("redacted", True)),
        float(rule.get("days", _DAYS)) * _DAY,
        int(rule.get("most", MOST)),
        int(rule.get("bytes", _BYTES)),
    )


def _of_key(key: CaptureKey) -> CaptureRule:
    return CaptureRule(key.rule, share=key.share, redacted=key.redacted, seconds=key.days * _DAY)
