"""Refusals: error maps of formats and providers, as a Program carries them, and errors that cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.program.patch import Function, Json


@dataclass(frozen=True, slots=True)
class Fee:
    """What an error costs although nothing was produced: dollars as a text, and the options that go before it."""

    usd: str
    code: str
    says: str
    marker: str
    enabled_by: str
    usd_by: str


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One line of an error map; ``when(_r, status, header, body)`` may be missing, and so may the status test."""

    status: frozenset[int | str]
    when: Function | None
    meaning: str
    fee: Fee | None = None
    members: frozenset[str] | None = None
    """Those of the body on which ``when`` hangs; nothing where it hangs on more than that."""

    def covers(self, status: int) -> bool:
        """May an answer of this status fall under the rule? One without a status holds only if its condition does."""
        if not self.status:
            return self.when is not None
        return status in self.status or f"{status // 100}xx" in self.status


class ErrorMap:
    """The lines of an error map in their order.

    PERF: those for a status are picked once, and so are the members of a body without which none of them holds: a good
    answer has none of those, and no condition is asked.
    """

    __slots__ = ("_by_status", "rules")

    def __init__(self, rules: Iterable[ErrorRule]) -> None:
        self.rules = tuple(rules)
        self._by_status: dict[int, tuple[tuple[ErrorRule, ...], frozenset[str] | None]] = {}

    def find(self, status: int, header: Mapping[str, str], body: Json) -> ErrorRule | None:
        """The first rule that an answer falls under."""
        held = self._by_status.get(status)
        if held is None:
            rules = tuple(rule for rule in self.rules if rule.covers(status))
            held = self._by_status[status] = rules, _needed(rules, status)
        rules, needed = held
        if needed is not None and type(body) is dict and needed.isdisjoint(body):
            return None
        for rule in rules:
            if rule.when is None or rule.when([], status, header, body):
                return rule
        return None

    def costly(self, header: Mapping[str, str], body: Json) -> ErrorRule | None:
        """The first rule with a fee whose condition an error meets that was told inside a stream, without a status."""
        for rule in self.rules:
            if rule.fee is not None and rule.when is not None and rule.when([], 200, header, body):
                return rule
        return None


def _needed(rules: Iterable[ErrorRule], status: int) -> frozenset[str] | None:
    """The members of which a body must have one to fall under any of the rules; nothing where that can't be told.

    A condition reads the same of a body without its members as of an empty one, so what it says of that is certain.
    """
    needed: set[str] = set()
    for rule in rules:
        if rule.when is None or rule.members is None or rule.when([], status, {}, {}):
            return None
        needed |= rule.members
    return frozenset(needed)


@dataclass(frozen=True, slots=True)
class ErrorRules:
    """A format's errors, both ways."""

    decode: Function | None
    rules: ErrorMap
    encode: Function | None
    status: dict[str, int]


def fee(data: Mapping[str, Any] | None) -> Fee | None:
    """The fee of an error rule's data."""
    if data is None:
        return None
    by = data.get("options") or {}
    return Fee(
        usd=str(data["usd"]),
        code=data["code"],
        says=data.get("says") or "",
        marker=data.get("marker") or "",
        enabled_by=by.get("enabled") or "",
        usd_by=by.get("usd") or "",
    )
