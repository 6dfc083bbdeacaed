"""What a live session has used: as its provider tells it with each answer, and counted here where it tells none.

Beside tokens its seconds are measured, for prices by them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from engine.relay.metering import within_reason

if TYPE_CHECKING:
    from engine.program import LiveRules
    from engine.routing.attempt import Attempt

_TEXT_PER_TOKEN = 4


def kinds(rules: LiveRules, event: Mapping[str, Any]) -> tuple[str, ...]:
    """What an event is: its type, or the members that it has."""
    return tuple(event) if rules.members else (str(event.get("type")),)


class Tally:
    """``bytes`` that the caller sent are what usage is believed by."""

    def __init__(self, attempt: Attempt) -> None:
        assert attempt.format.realtime is not None
        self._attempt, self._rules = attempt, attempt.format.realtime
        self._count: dict[str, float] = {}
        self._usage: dict[str, Any] = {}
        self._began = time.monotonic()
        self.bytes = 0

    @property
    def usage(self) -> dict[str, Any]:
        """The sum so far, and for how many seconds, begun ones whole, the session is open."""
        return {**self._usage, "meters": {"seconds": math.ceil(time.monotonic() - self._began)}}

    def note(self, event: Mapping[str, Any]) -> None:
        """Count what an event of the provider's format carries, until usage is told."""
        for kind in kinds(self._rules, event):
            rule = self._rules.counted.get(kind)
            if rule is None:
                continue
            path = f"{kind}.{rule['at']}" if self._rules.members else rule["at"]
            for text in _texts(event, path.split(".")):
                per = rule.get("per") or _TEXT_PER_TOKEN
                self._count[rule["as"]] = self._count.get(rule["as"], 0.0) + len(text) / per

    def told(self, event: Mapping[str, Any]) -> bool:
        """Take up the usage that an event tells; whether it is one that does."""
        if self._rules.done not in kinds(self._rules, event):
            return False
        spoken = self._attempt.format
        counts = spoken.usage.at([], event, self._attempt.model, {}) if spoken.usage.at is not None else None
        if counts:
            self._count.clear()
            plan = self._attempt.channel.plan(spoken)
            self._add(within_reason(plan.normalise(counts), self.bytes))
        else:
            self.rest()
        return True

    def rest(self) -> None:
        """What no usage told is counted."""
        count, self._count = {name: int(number) for name, number in self._count.items()}, {}
        if not any(count.values()):
            return
        self._attempt.outcome.usage_source = "counted"
        fresh = count.get("input_text", 0) + count.get("input_audio", 0)
        out = count.get("output_text", 0) + count.get("output_audio", 0)
        self._add(
            {
                "input_fresh": fresh, "input_total": fresh, "input_audio": count.get("input_audio", 0),
                "output_text": out, "output_total": out, "output_audio": count.get("output_audio", 0),
                "total": fresh + out,
            }
        )  # fmt: skip

    def _add(self, usage: dict[str, Any]) -> None:
        total = dict(self._usage)
        for name, value in usage.items():
            if isinstance(value, int) and not isinstance(value, bool):
                total[name] = total.get(name, 0) + value
        self._usage = total


def _texts(value: Any, path: list[str]) -> Iterator[str]:
    """The texts at a path, through lists."""
    if isinstance(value, list):
        for item in value:
            yield from _texts(item, path)
    elif not path:
        if isinstance(value, str):
            yield value
    elif isinstance(value, dict):
        yield from _texts(value.get(path[0]), path[1:])
