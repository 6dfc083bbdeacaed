"""Canary: what its calls are compared by with those of the release in force, and when that is enough to decide.

Each measure is a ratio of sums over calls: errors, loss lines and logarithms of milliseconds by call, charge by token.
A measure breaks its bound where the difference between the releases exceeds the bound by more than chance explains.
Chance is reckoned as if calls were independent, which they are where calls are drawn. Where keys are drawn (or groups
of them), calls of one fare alike, and two more reckonings have to agree: the spread between keys as wholes, and a test
by redrawing (``_redrawn``), which holds however unlike the keys are. The k-th look (at ``least`` calls, then each time
that they have doubled) spends 1/(k(k+1)) of what the confidence leaves, errors half of that and the other
measures equal parts of the rest: so all looks stay within it. Knows no database.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from statistics import NormalDist
from typing import Any

from engine.errors import Invalid

Sums = Mapping[str, float]
"""What is counted of the calls of one key on one release (``engine.storage.tables.releases.canary_counts``)."""
WORSE, BETTER, OPEN = "worse", "better", "open"
_BY = ("key", "group", "call")
_HOUR = 3600
_MANY = 64
"""Keys of even traffic on either side from which on the spread between them says enough."""
_REDRAWN = 4
"""Redraws for each that may reach what is seen, where chance alone is left."""
_MOST_DRAWN = 5_000_000
"""Keys in all redraws of a look: some 2 s of CPU."""


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
    few: bool = False
    """So few keys (or groups) have called that no difference, however large, is more than the luck of their draw."""

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        measures = [asdict(one) for one in self.measures]
        return {"state": self.state, "calls": dict(self.calls), "measures": measures, "few": self.few}

    @property
    def words(self) -> str:
        """What broke its bound."""
        broken = [one for one in self.measures if one.state == WORSE]
        return "; ".join(f"{one.measure} {one.new:.4g} against {one.old:.4g}, bound {one.bound:g}" for one in broken)


def due(rules: Rules, looks: int, counts: Mapping[str, Sequence[Sums]]) -> int:
    """The number of the look that there are enough calls for; 0 where that was made."""
    calls = _calls(counts)
    number = int(math.log2(calls["new"] / rules.least)) + 1 if min(calls.values()) >= rules.least else 0
    return number if number > looks else 0


def _calls(counts: Mapping[str, Sequence[Sums]]) -> dict[str, int]:
    return {arm: int(sum(key["calls"] for key in keys)) for arm, keys in counts.items()}


def look(rules: Rules, looks: int, counts: Mapping[str, Sequence[Sums]]) -> Verdict | None:
    """Compare ``counts`` (new, old: a map of sums for each key), if there are enough calls for the next look."""
    number, calls = due(rules, looks, counts), _calls(counts)
    if not number:
        return None
    parts, drawn = _parts(rules, number), rules.by != "call"
    measures = [_compared(name, bound, counts, parts[name], keys=drawn) for name, bound in rules.bounds().items()]
    if not drawn or min(_even(keys) for keys in counts.values()) >= _MANY:
        return Verdict(number, calls, measures, _over_all(measures))
    measures = _redrawn(measures, counts, parts, number)
    few = math.comb(len(counts["old"]) + len(counts["new"]), len(counts["new"])) * max(parts.values()) < 1
    return Verdict(number, calls, measures, _over_all(measures), few)


def _parts(rules: Rules, number: int) -> dict[str, float]:
    """How often each measure may err at a look."""
    left, names = (1 - rules.confidence) / (number * (number + 1)), list(rules.bounds())
    if "errors" not in names or len(names) == 1:
        return dict.fromkeys(names, left / len(names))
    return dict.fromkeys(names, left / 2 / (len(names) - 1)) | {"errors": left / 2}


def tally(rules: Rules, counts: Mapping[str, Sequence[Sums]]) -> dict[str, Any]:
    """Calls and measures as they stand now, for people to look at: nothing is decided by it."""
    measures = []
    for name, bound in rules.bounds().items():
        old, new = (_shown(name, _ratio(_MEASURES[name], counts[arm])) for arm in ("old", "new"))
        measures.append(Compared(name, old, new, bound))
    return Verdict(0, _calls(counts), measures, OPEN).as_json()


def _over_all(measures: Sequence[Compared]) -> str:
    states = {one.state for one in measures if one.difference is not None}
    if WORSE in states:
        return WORSE
    return BETTER if states == {BETTER} else OPEN


def _compared(name: str, bound: float, counts: Mapping[str, Sequence[Sums]], left: float, *, keys: bool) -> Compared:
    old, new = _ratio(_MEASURES[name], counts["old"]), _ratio(_MEASURES[name], counts["new"])
    shown = Compared(name, _shown(name, old), _shown(name, new), bound)
    if old is None or new is None:
        return shown
    factor, add = _allowed(name, bound)
    over = new.value - factor * old.value - add
    chance = NormalDist().inv_cdf(1 - left) * math.sqrt(new.alone + factor**2 * old.alone)
    degrees = min(new.degrees, old.degrees)
    if keys and degrees > 0:
        chance = max(chance, _student(left, degrees) * math.sqrt(new.by_keys + factor**2 * old.by_keys))
    state = WORSE if over > chance else BETTER if over < -chance else OPEN
    difference, worst = (_in_terms(name, new.value - old.value + more, old.value) for more in (0.0, chance))
    return Compared(name, shown.old, shown.new, bound, difference, worst, state)


def _allowed(name: str, bound: float) -> tuple[float, float]:
    """The factor and the sum by which the new ratio may be above the old one."""
    return (bound, 0.0) if name == "cost" else (1.0, math.log(bound) if name == "latency" else bound)


def _even(keys: Sequence[Sums]) -> float:
    """How many keys of even traffic say as much as these."""
    calls = [key["calls"] for key in keys]
    return sum(calls) ** 2 / (sum(one**2 for one in calls) or 1)


def _redrawn(
    measures: Sequence[Compared], counts: Mapping[str, Sequence[Sums]], parts: Mapping[str, float], seed: int
) -> list[Compared]:
    """The measures, where one is left open that other draws of the same keys would give as well.

    Were the releases alike, each key would fare as it did on either side, so all draws of as many keys would be as
    likely as the one that was made: of random ones no more than the measure's part may reach what is seen. Exact for
    any keys. What the bound allows is taken off the new release's keys first.
    """
    asked = {n: one for n, one in enumerate(measures) if one.state != OPEN}
    if not asked:
        return list(measures)
    rows = {arm: [_shifted(key, measures, arm) for key in keys] for arm, keys in counts.items()}
    arm, other = sorted(rows, key=lambda name: len(rows[name]))
    redraw = _Redraw([*rows[arm], *rows[other]], 1 if arm == "new" else -1)
    size, chance = len(rows[arm]), random.Random(seed)  # noqa: S311 - statistics
    draws = min(math.ceil(_REDRAWN / min(parts.values())), _MOST_DRAWN // size)
    most = {n: math.floor(parts[one.measure] * (draws + 1)) - 1 for n, one in asked.items()}
    seen, reached = redraw.differences(range(size)), dict.fromkeys(asked, 0)
    for _ in range(draws):
        if all(reached[n] > most[n] for n in asked):
            break
        drawn = redraw.differences(chance.sample(redraw.all, size))
        for n, one in asked.items():
            away = drawn[n] - seen[n] if one.state == WORSE else seen[n] - drawn[n]
            reached[n] += away >= -_TIE * abs(seen[n])
    return [replace(one, state=OPEN) if n in asked and reached[n] > most[n] else one for n, one in enumerate(measures)]


_TIE = 1e-9


def _shifted(key: Sums, measures: Sequence[Compared], arm: str) -> tuple[float, ...]:
    """What counts of a key for each measure, and by what; of the new release without what the bound allows."""
    row: list[float] = []
    for one in measures:
        measure, (factor, add) = _MEASURES[one.measure], _allowed(one.measure, one.bound)
        x, y = key[measure.x], key[measure.y]
        row += (x, y if arm == "old" else (y - add * x) / factor)
    return tuple(row)


class _Redraw:
    """Keys of both sides, of which some are drawn for one; ``sign`` is -1 where that is the release in force."""

    def __init__(self, rows: Sequence[tuple[float, ...]], sign: int) -> None:
        self.rows, self.sign, self.all = rows, sign, range(len(rows))
        self.sums = [sum(column) for column in zip(*rows, strict=True)]

    def differences(self, drawn: Sequence[int]) -> list[float]:
        """By how much the new release would be above the other in each measure; 0 where a side had nothing of it."""
        inside = [sum(column) for column in zip(*(self.rows[index] for index in drawn), strict=True)]
        pairs = zip(inside[::2], inside[1::2], self.sums[::2], self.sums[1::2], strict=True)
        return [
            self.sign * (y / x - (every_y - y) / (every_x - x)) if 0 < x < every_x else 0.0
            for x, y, every_x, every_y in pairs
        ]


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
