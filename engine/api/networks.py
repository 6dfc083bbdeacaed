"""From where the management API and the console may be called; and that nobody shuts itself out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

import orjson

from engine.api.refusals import Denied
from engine.api.route import Ask
from engine.errors import Invalid
from engine.net import CONSOLE, MANAGEMENT, NetworkRules, network_rules
from engine.texts import refusal

OPTION = "NetworkRules"


class Rules(Protocol):
    """What is read of a snapshot."""

    @property
    def networks(self) -> Mapping[str, NetworkRules]: ...


def admitted(snapshot: Rules, area: str, ip: str) -> bool:
    """Whether an area may be called from an address."""
    rules = snapshot.networks.get(area)
    return rules is None or rules.admit(ip, time.time())


def admit(snapshot: Rules, area: str, ip: str) -> None:
    """Refuse a call of an area from where it may not be called."""
    if not admitted(snapshot, area, ip):
        raise refusal(Denied, "auth.network", ip=ip)


def not_oneself(ask: Ask, name: str, value: Any) -> None:
    """Refuse rules by which who sets them would be shut out; what is wrong in them is told when they are set."""
    if name != OPTION:
        return
    try:
        rules = network_rules(orjson.loads(value) if isinstance(value, str) else value)
    except ValueError:
        return
    for area in (MANAGEMENT, CONSOLE):
        if area in rules and not rules[area].admit(ask.ip, time.time()):
            raise refusal(Invalid, "network.oneself", field="value", ip=ask.ip, area=area)
