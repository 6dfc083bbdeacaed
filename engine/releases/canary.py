"""Canary: what its calls are compared by with those of the release in force, and when that is enough to decide.

Each measure is a ratio of sums over calls: errors, loss lines and logarithms of milliseconds by call, charge by token.
A measure breaks its bound where the difference between the releases exceeds the bound by more than chance explains.
Chance is reckoned twice and the wider one counts: as if calls were independent, and by keys as wholes, since calls of
one key fare alike (by groups, where these are drawn whole). The k-th look (at ``least`` calls, then each time that
they have doubled) spends 1/(k(k+1)) of what the confidence leaves, a measure its equal part of that: so all looks stay
within it. Knows no database.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import NormalDist
from typing import Any

from engine.errors import Invalid

Sums = Mapping[str, float]
"""What is counted of the calls of one key on one release (``engine.storage.tables.releases.canary_counts``)."""
WORSE, BETTER, OPEN = "worse", "better", "open"
_BY = ("key", "group", "call")
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Rules:
    """Which calls a canary gets, and what it may not be worse by; a bound of nothing is not compared.

    ``share`` of the keys, of the groups of keys, or of the calls, of ``groups`` (all without any). ``errors`` and
    ``losses`` are differences (parts of calls, lines for a call), ``latency`` and ``cost`` factors (time to the first
    byte, charge for a token).
    """

    share: float = 0.05
    by: str = "key"
    groups: tuple[str, ...] = ()
    least: int = 200
    confidence: float = 0.99
    errors: float | None = 0.01
    latency: float | None = 1.25
    losses: float | None = 0.1
    cost: float | None = 1.1
    promote: bool = False
    hours: float = 24.0

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Rules:
        """The rules that somebody writes; raises ``Invalid``."""
        for name in values:
            if name not in {one.name for one in fields(cls)}:
                raise Invalid(
                    name[:80], "a canary has no such rule", f"one of {', '.join(x.name for x in fields(cls))}"
                )
        rules = cls(**{**values, "groups": tuple(values.get("groups") or ())})
        rules.check()
        return rules

    def check(self) -> None:
        """Raise ``Invalid`` where a rule makes no sense."""
        if self.by not in _BY:
            raise Invalid("by", f"{self.by!r} is nothing to share by", "key, group or call")
        if not all(isinstance(group, str) and group for group in self.groups):
            raise Invalid("groups", "groups are names")
        _within("share", self.share, 0.0001, 1.0 if self.groups else 0.9)
        _within("least", self.least, 50, 1_000_000)
        _within("confidence", self.confidence, 0.5, 0.9999)
        _within("hours", self.hours, 0.01, 24 * 30)
        for name, low, high in (("errors", 0, 1), ("latency", 1, 100), ("losses", 0, 1000), ("cost", 1, 100)):
            if getattr(self, name) is not None:
                _within(name, getattr(self, name), low, high)
        if not self.bounds():
            raise Invalid("errors", "nothing is compared", "give a bound of errors, latency, losses or cost")

    def bounds(self) -> dict[str, float]:
        """The measures that are compared, with their bounds."""
        return {name: float(bound) for name in _MEASURES if (bound := getattr(self, name)) is not None}

    def seconds(self) -> int:
        """How long it lasts at most."""
        return int(self.hours * _HOUR)

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "groups": list(self.groups)}


def _within(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Invalid(name, f"{str(value)[:40]} is out of bounds", f"a number from {low:g} to {high:g}")


@dataclass(frozen=True, slots=True)
class _Measure:
    """The sums that a measure is made of: what counts, by what, and their squares and product over calls."""

    y: str
    x: str
    xx: str
    xy: str
    yy: str
    added: bool = False
    """Whether one bad and one good call are added to each side: few errors say little of how rare they are."""


_MEASURES = {
    "errors": _Measure("errors", "calls", "calls", "errors", "errors", added=True),
    "latency": _Measure("log_ms", "timed", "timed", "log_ms", "log_ms2"),
    "losses": _Measure("losses", "calls", "calls", "losses", "losses2"),
    "cost": _Measure("quota", "tokens", "tokens2", "quota_tokens", "quota2"),
}


@dataclass(frozen=True, slots=True)
class _Ratio:
    """A ratio of sums, as it is and as it is compared, and the variance of that: as if calls were independent, and by
    keys, with the degrees of freedom of the latter."""

    shown: float
    value: float
    alone: float
    by_keys: float
    degrees: int


def _ratio(measure: _Measure, keys: Sequence[Sums]) -> _Ratio | None:
    """Nothing where no call has the measure. The variance is that of a ratio estimator, by linearisation."""
    names = (measure.x, measure.y, measure.xx, measure.xy, measure.yy)
    x, y, xx, xy, yy = (sum(key[name] for key in keys) for name in names)
    if x <= 0:
        return None
    shown = ratio = y / x
    spread = sum((key[measure.y] - ratio * key[measure.x]) ** 2 for key in keys) / x**2
    count = sum(key[measure.x] > 0 for key in keys)
    by_keys = spread * count / (count - 1) if count > 1 else 0.0
    if measure.added:
        x, y, xx, xy, yy = x + 2, y + 1, xx + 2, xy + 1, yy + 1
        ratio = y / x
    alone = max(0.0, yy - 2 * ratio * xy + ratio**2 * xx) / x**2
    return _Ratio(shown, ratio, alone, by_keys, count - 1)


@dataclass(frozen=True, slots=True)
class Compared:
    """A measure of both releases. ``difference`` and ``worst`` are in the bound's terms; nothing where it can't be had.

    ``worst`` is the most that the difference may be by chance.
    """

    measure: str
    old: float | None
    new: float | None
    bound: float
    difference: float | None = None
    worst: float | None = None
    state: str = OPEN


@dataclass(frozen=True, slots=True)
class Verdict:
    """A look: how many there were with it, calls on either release, the measures, and what they say in all."""

    looks: int
    calls: Mapping[str, int]
    measures: Sequence[Compared]
    state: str

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"state": self.state, "calls": dict(self.calls), "measures": [asdict(one) for one in self.measures]}

    @property
    def words(self) -> str:
        """What broke its bound."""
        broken = [one for one in self.measures if one.state == WORSE]
        return "; ".join(f"{one.measure} {one.new:.4g} against {one.old:.4g}, bound {one.bound:g}" for one in broken)


def look(rules: Rules, looks: int, counts: Mapping[str, Sequence[Sums]]) -> Verdict | None:
    """Compare ``counts`` (new, old: a map of sums for each key), if there are enough calls for the next look."""
    calls = {arm: int(sum(key["calls"] for key in keys)) for arm, keys in counts.items()}
    if min(calls.values()) < rules.least:
        return None
    number = int(math.log2(calls["new"] / rules.least)) + 1
    if number <= looks:
        return None
    bounds = rules.bounds()
    left = (1 - rules.confidence) / (number * (number + 1)) / len(bounds)
    measures = [_compared(name, bound, counts["old"], counts["new"], left) for name, bound in bounds.items()]
    return Verdict(number, calls, measures, _over_all(measures))


def tally(rules: Rules, counts: Mapping[str, Sequence[Sums]]) -> dict[str, Any]:
    """Calls and measures as they stand now, for people to look at: nothing is decided by it."""
    measures = []
    for name, bound in rules.bounds().items():
        old, new = (_shown(name, _ratio(_MEASURES[name], counts[arm])) for arm in ("old", "new"))
        measures.append(Compared(name, old, new, bound))
    calls = {arm: int(sum(key["calls"] for key in keys)) for arm, keys in counts.items()}
    return Verdict(0, calls, measures, OPEN).as_json()


def _over_all(measures: Sequence[Compared]) -> str:
    states = {one.state for one in measures if one.difference is not None}
    if WORSE in states:
        return WORSE
    return BETTER if states == {BETTER} else OPEN


def _compared(name: str, bound: float, before: Sequence[Sums], after: Sequence[Sums], left: float) -> Compared:
    old, new = _ratio(_MEASURES[name], before), _ratio(_MEASURES[name], after)
    shown = Compared(name, _shown(name, old), _shown(name, new), bound)
    if old is None or new is None:
        return shown
    factor, add = (bound, 0.0) if name == "cost" else (1.0, math.log(bound) if name == "latency" else bound)
    over = new.value - factor * old.value - add
    chance = NormalDist().inv_cdf(1 - left) * math.sqrt(new.alone + factor**2 * old.alone)
    degrees = min(new.degrees, old.degrees)
    if degrees > 0:
        chance = max(chance, _student(left, degrees) * math.sqrt(new.by_keys + factor**2 * old.by_keys))
    state = WORSE if over > chance else BETTER if over < -chance else OPEN
    difference, worst = (_in_terms(name, new.value - old.value + more, old.value) for more in (0.0, chance))
    return Compared(name, shown.old, shown.new, bound, difference, worst, state)


def _in_terms(name: str, difference: float, old: float) -> float | None:
    """A difference in the terms of its bound."""
    if name == "latency":
        return math.exp(min(difference, 50.0))
    if name == "cost":
        return 1 + difference / old if old else None
    return difference


def _shown(name: str, ratio: _Ratio | None) -> float | None:
    if ratio is None:
        return None
    return math.exp(ratio.shown) if name == "latency" else ratio.shown


def _student(left: float, degrees: int) -> float:
    """The quantile of Student's t that leaves so much, from the normal one by the expansion of Cornish and Fisher."""
    z = NormalDist().inv_cdf(1 - left)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / degrees + second / degrees**2 + third / degrees**3
