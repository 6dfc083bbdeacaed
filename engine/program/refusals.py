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

    def covers(self, status: int) -> bool:
        """May an answer of this status fall under the rule? One without a status holds only if its condition does."""
        if not self.status:
            return self.when is not None
        return status in self.status or f"{status // 100}xx" in self.status


class ErrorMap:
    """The lines of an error map in their order. PERF: those for a status are picked once."""

    __slots__ = ("_by_status", "rules")

    def __init__(self, rules: Iterable[ErrorRule]) -> None:
        self.rules = tuple(rules)
        self._by_status: dict[int, tuple[ErrorRule, ...]] = {}

    def find(self, status: int, header: Mapping[str, str], body: Json) -> ErrorRule | None:
        """The first rule that an answer falls under."""
        rules = self._by_status.get(status)
        if rules is None:
            rules = self._by_status[status] = tuple(rule for rule in self.rules if rule.covers(status))
        for rule in rules:
            if rule.when is None or rule.when([], status, header, body):
                return rule
        return None


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
