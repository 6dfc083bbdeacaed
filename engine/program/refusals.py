"""Refusals: error maps of formats and providers, as a Program carries them, and errors that cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.program import layout
from engine.program.layout import Function, Functions, data, make
from engine.program.patch import Json


def _members(value: Any, functions: Functions) -> frozenset[str] | None:
    return None if value is None else frozenset(value)


@dataclass(frozen=True, slots=True)
class Fee:
    """What an error costs although nothing was produced: dollars as a text, and the options that go before it."""

    usd: str = data(read=lambda value, _: str(value), needed=True)
    code: str = data(needed=True)
    says: str = data(read=layout.text)
    marker: str = data(read=layout.text)
    enabled_by: str = data("options.enabled", layout.text)
    usd_by: str = data("options.usd", layout.text)


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One line of an error map; ``when(_r, status, header, body)`` may be missing, and so may the status test."""

    status: frozenset[int | str] = data(read=layout.words)
    when: Function | None = data(read=layout.function)
    meaning: str = data(needed=True)
    fee: Fee | None = data(read=layout.maybe(Fee), default=None)
    members: frozenset[str] | None = data(read=_members, default=None)
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

    def told(self, header: Mapping[str, str], body: Json, status: int) -> ErrorRule | None:
        """The first rule that an error told inside a stream falls under; ``status``: the one that it tells, or 0.

        Where it tells none, as half of those in streams, a condition holds whatever its rule's status.
        """
        for rule in self.rules:
            if status and rule.status and not rule.covers(status):
                continue
            if rule.when is None:
                if status:
                    return rule
            elif rule.meaning != "unknown" and rule.when([], status or 200, header, body):
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


def error_map(value: Any, functions: Functions) -> ErrorMap:
    """An error map of its data."""
    return ErrorMap(make(ErrorRule, item, functions) for item in value or ())


@dataclass(frozen=True, slots=True)
class ErrorRules:
    """A format's errors, both ways."""

    decode: Function | None = data(read=layout.function)
    rules: ErrorMap = data(read=error_map)
    encode: Function | None = data(read=layout.function)
    status: dict[str, int] = data(read=layout.mapping)
