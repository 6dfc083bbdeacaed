"""Conditions on a call, as Routes and Policies declare them (`when`): compiled once into tests, all of which must hold.

Reads a call and nothing else. A condition that asks for nothing holds for every call.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.filters.patterns import pattern
from engine.net import inside
from engine.routing.overrides.paths import MISSING, find, path_of

if TYPE_CHECKING:
    from engine.routing.request import RoutedCall

Test = Callable[["RoutedCall"], bool]
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WRITTEN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_DAY = 24 * 60
OF_ACCOUNT = frozenset({"groups", "users", "keys"})
"""What is asked of whose call it is: the same for every call of a key."""


@dataclass(frozen=True, slots=True)
class When:
    """Tests of a call. PERF: most rules have none or one."""

    tests: tuple[Test, ...] = ()

    def holds(self, call: RoutedCall) -> bool:
        """Whether all of it is so."""
        return all(test(call) for test in self.tests)


def when(declared: Mapping[str, Any] | None) -> When:
    """The condition that a document declares."""
    return When(tuple(_MAKERS[name](value) for name, value in (declared or {}).items()))


def _models(texts: Iterable[str]) -> Test:
    patterns = [pattern(text) for text in texts]
    return lambda call: any(compiled.found(call.asked) for compiled in patterns)


def _of_account(name: str) -> Callable[[Iterable[str]], Test]:
    def make(texts: Iterable[str]) -> Test:
        names = frozenset(texts)
        return lambda call: call.account is not None and getattr(call.account, name) in names

    return make


def _addresses(texts: Iterable[str]) -> Test:
    networks = [ipaddress.ip_network(text, strict=False) for text in texts]
    return lambda call: inside(call.ip, networks)


def _stream(wanted: bool) -> Test:
    return lambda call: call.stream is wanted


def _says(name: str) -> Callable[[bool], Test]:
    """Whether a request says something at the places where its format does."""

    def make(wanted: bool) -> Test:
        def test(call: RoutedCall) -> bool:
            values = (find(call.body, path) for path in getattr(call.format.asks, name))
            return any(value is not MISSING and bool(value) for value in values) is wanted

        return test

    return make


def _tokens(bounds: Mapping[str, int]) -> Test:
    above, below = bounds.get("above"), bounds.get("below")
    return lambda call: (above is None or call.size > above) and (below is None or call.size < below)


def _headers(patterns: Mapping[str, str]) -> Test:
    wanted = {name.lower(): pattern(text) for name, text in patterns.items()}
    return lambda call: all(compiled.found(call.headers.get(name, "")) for name, compiled in wanted.items())


def _body(patterns: Mapping[str, str]) -> Test:
    wanted = [(path_of(path), pattern(text)) for path, text in patterns.items()]

    def test(call: RoutedCall) -> bool:
        values = [(find(call.body, path), compiled) for path, compiled in wanted]
        return all(value is not MISSING and compiled.found(str(value)) for value, compiled in values)

    return test


def _hours(text: str) -> Test:
    hours = Hours.of(text)
    return lambda call: hours.hold(call.now)


def _days(names: Iterable[str]) -> Test:
    days = frozenset(_DAYS.index(name) for name in names)
    return lambda call: time.localtime(call.now).tm_wday in days


_MAKERS: dict[str, Callable[[Any], Test]] = {
    "models": _models,
    "groups": _of_account("group"),
    "users": _of_account("username"),
    "keys": _of_account("token_name"),
    "addresses": _addresses,
    "stream": _stream,
    "tools": _says("tools"),
    "media": _says("media"),
    "tokens": _tokens,
    "headers": _headers,
    "body": _body,
    "hours": _hours,
    "days": _days,
}


@dataclass(frozen=True, slots=True)
class Hours:
    """From one minute of the day to another, past midnight where the second is the earlier; in the gateway's zone."""

    first: int
    last: int

    @classmethod
    def of(cls, text: str) -> Hours:
        """The hours that a text says; raises ``ValueError`` where it says none."""
        match = _WRITTEN.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text[:40]!r} is no span of hours; write it as 22:00-06:00")
        numbers = [int(part) for part in match.groups()]
        return cls(numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3])

    def hold(self, now: float) -> bool:
        """Whether a moment, in unix seconds, lies in them."""
        minute = _minute(now)
        if self.first < self.last:
            return self.first <= minute < self.last
        return minute >= self.first or minute < self.last

    def begin(self, now: float) -> float:
        """When they hold next, in unix seconds, of a moment in which they do not; where clocks are put an hour off."""
        minutes = (self.first - _minute(now)) % _DAY
        return now - now % 60 + 60 * minutes


def _minute(now: float) -> int:
    moment = time.localtime(now)
    return moment.tm_hour * 60 + moment.tm_min
