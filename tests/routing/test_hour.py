"""An hour of calls in counted time: ten accounts, two of which flap, one is slow and one has no money.

Real strategies, pulse and breaker choose; the accounts and the clock are the test's. Each step of a conversation goes
to an account whose prompt cache may know the steps before. Chance is seeded, and docs/routing.md has these figures.
"""

from __future__ import annotations

import heapq
import random
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.cluster.aside import Aside, BreakerRule
from engine.cluster.store import EmbeddedStore
from engine.program.parts import RouteRules
from engine.routing.channel import LiveChannel
from engine.routing.order import Order, orders
from engine.routing.pulse import Pulse
from engine.strategies.tier import Scene, Tier
from tests.support import ROOT

HOUR, EVERY = 3600, 0.5
STEPS, BETWEEN = 10, 20.0
"""Steps of a conversation, and seconds from one to the next; a prompt cache keeps them for five minutes."""
CACHED = 300.0
TRIES = 2
SLOW, FAST, FAILING = 6.0, 0.4, 0.05
FLAPPING, POOR, TARDY, CHEAP = ("flap-1", "flap-2"), "poor", "slow", ("cheap-1", "cheap-2")
BAD = frozenset((*FLAPPING, POOR))
NAMES = (*FLAPPING, POOR, TARDY, *CHEAP, "a", "b", "c", "d")
PROVIDER: Any = SimpleNamespace(name="p", formats={}, base_url="http://x")
RULE = BreakerRule(failures=3, window=60, cool_down=10, longest=600)
"""As shipped."""
NO_BREAKER = BreakerRule(failures=0)


@dataclass
class Hour:
    """What became of it."""

    calls: int = 0
    failed: int = 0
    wasted: int = 0
    """Attempts at an account that could not answer."""
    waited: float = 0.0
    """Seconds until the answers began."""
    tokens: int = 0
    cached: int = 0
    cost: float = 0.0
    at_once: dict[str, int] = field(default_factory=dict)
    """The most calls under way at an account."""

    @property
    def share(self) -> float:
        return self.cached / self.tokens


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def down(name: str, now: float) -> bool:
    """A flapping account is down for two minutes of every four, the two of them in turn."""
    if name == POOR:
        return True
    return name in FLAPPING and (int(now // 120) % 2 == FLAPPING.index(name))


class Play:
    """One hour under one order of channels."""

    def __init__(self, folder: Path, order: Order, rule: BreakerRule) -> None:
        self.clock, self.order, self.rule = Clock(), order, rule
        store = EmbeddedStore(folder / "state.db", clock=self.clock)
        self.aside = Aside(store.space("aside"), store.space("failures"), folder / "aside", self.clock)
        self.pulse, self.chance = Pulse(self.clock), random.Random(15)
        self.tier = Tier([LiveChannel(0, name, PROVIDER, (), frozenset({"m"}), ("default",)) for name in NAMES])
        self.known: dict[tuple[int, str], float] = {}
        self.kept: dict[int, str] = {}
        self.ends: list[tuple[float, str]] = []
        self.hour = Hour()

    def run(self) -> Hour:
        random.seed(15)  # by which a breaker spreads its times
        asked = [(self.clock.now + second * EVERY * STEPS + step * BETWEEN, second, step)
                 for second in range(int(HOUR / EVERY / STEPS)) for step in range(STEPS)]  # fmt: skip
        for moment, conversation, step in sorted(asked):
            self.clock.now = moment
            while self.ends and self.ends[0][0] <= moment:
                self.pulse.leave(heapq.heappop(self.ends)[1])
            self._call(conversation, step)
        return self.hour

    def _call(self, conversation: int, step: int) -> None:
        account = SimpleNamespace(group="default", token_id=1, user_id=conversation)
        call: Any = SimpleNamespace(
            asked="m", kept=self.kept.get(conversation), stream=True, size=100, headers={}, body={}, ip="192.0.2.1",
            now=int(self.clock.now), account=account,
        )  # fmt: skip
        scene = Scene(call, self.chance, self.pulse, lambda channel: 1.0 if channel.name in CHEAP else 2.0)
        self.hour.calls += 1
        size = 1000 * (step + 1)
        left = (channel for channel in self.order.channels(self.tier, scene) if not self.aside.back(channel.mark))
        for channel, _ in zip(left, range(TRIES), strict=False):
            if self._answers(channel, conversation, size):
                return
        self.hour.failed += 1

    def _answers(self, channel: LiveChannel, conversation: int, size: int) -> bool:
        name, now, hour = channel.name, self.clock.now, self.hour
        self.pulse.enter(channel.mark)
        if down(name, now):
            hour.wasted += 1
            hour.waited += FAILING
            self.pulse.failed(channel.mark, FAILING)
            self.pulse.leave(channel.mark)
            self.aside.failed(channel.mark, self.rule)
            return False
        seconds = SLOW if name == TARDY else FAST
        self.pulse.answered(channel.mark, seconds)
        self.aside.worked(channel.mark)
        heapq.heappush(self.ends, (now + seconds, channel.mark))
        hour.at_once[name] = max(hour.at_once.get(name, 0), self.pulse.outstanding(channel.mark))
        hour.waited += seconds
        fresh = now - self.known.get((conversation, name), 0.0) > CACHED
        read = 0 if fresh else size - 1000
        self.known[conversation, name] = now
        self.kept[conversation] = channel.mark
        hour.tokens += size
        hour.cached += read
        hour.cost += (size - read + read / 10) * (1.0 if name in CHEAP else 2.0)
        return True


def route(*strategies: dict[str, Any]) -> Order:
    (order,) = orders([RouteRules("hour", (), {}, strategies, {})])
    return order


STRATEGIES: dict[str, tuple[dict[str, Any], ...]] = {
    **{name: ({name: {}},) for name in ("weighted", "priority", "leastOutstanding", "latency", "cheapest", "affinity")},
    "split": ({"split": {"shares": {"a": 50, "b": 50}, "by": ["user"]}},),
    "composed": ({"affinity": {}}, {"cheapest": {"within": 0.1}}, {"latency": {}}),
}
FORGETFUL = "weighted, no breaker"
FACTORS = {
    (FORGETFUL, "weighted"): {"wasted": 6.0, "failed": 5.0},
    ("weighted", "leastOutstanding"): {"waited": 1.3},
    ("weighted", "latency"): {"waited": 1.5},
    ("weighted", "cheapest"): {"cost": 3.0, "share": 1.6, "waited": 2.5},
    ("weighted", "affinity"): {"cost": 2.0, "share": 1.7},
    ("weighted", "split"): {"cost": 1.8, "share": 1.7},
    ("weighted", "composed"): {"cost": 3.5, "share": 1.7, "waited": 2.5},
}
"""By how much the second is better than the first, at least: fewer, or of the cached share more."""


@pytest.fixture(scope="module")
def hours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Hour]:
    """The hour by strategy."""
    played = {FORGETFUL: Play(tmp_path_factory.mktemp("hour"), route({"weighted": {}}), NO_BREAKER).run()}
    for name, strategies in STRATEGIES.items():
        played[name] = Play(tmp_path_factory.mktemp(name), route(*strategies), RULE).run()
    for name, hour in played.items():
        print(f"{name}: {hour.calls} calls, {hour.failed} failed, {hour.wasted} on bad accounts, "
              f"{hour.waited / hour.calls:.2f} s, {hour.share:.2f} cached, cost {hour.cost / 1e6:.1f}")  # fmt: skip
    return played


@pytest.mark.parametrize("pair", FACTORS, ids=" to ".join)
def test_a_strategy_is_better_by_a_factor(hours: dict[str, Hour], pair: tuple[str, str]) -> None:
    before, after = (hours[name] for name in pair)
    for figure, factor in FACTORS[pair].items():
        worse, better = getattr(before, figure), getattr(after, figure)
        if figure == "share":
            worse, better = better, worse
        assert worse >= factor * better, (figure, worse, better)


def test_no_strategy_asks_bad_accounts_more_than_weights_do_nor_loses_more_calls(hours: dict[str, Hour]) -> None:
    most = hours[FORGETFUL]
    for name in STRATEGIES:
        assert hours[name].wasted <= most.wasted / 5, name
        assert hours[name].failed <= most.failed / 5, name
        assert hours[name].calls == most.calls


@pytest.mark.parametrize("page", ["routing.md", "zh/routing.md"])
def test_the_page_tells_the_figures_of_this_hour(hours: dict[str, Hour], page: str) -> None:
    """The row of each strategy: failed calls, calls on bad accounts, seconds, cached share, cost beside the first's."""
    before = hours[FORGETFUL]
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    told = {name: figures.split(" | ") for name, figures in re.findall(r"^\| (`.*`) \| ([0-9].*) \|$", text, re.M)}
    names = {"`weighted`, `failures: 0`": FORGETFUL, "`affinity`, `cheapest`, `latency`": "composed"}
    assert {names.get(name, name.strip("`")) for name in told} == {FORGETFUL, *STRATEGIES}
    for name, figures in told.items():
        hour = hours[names.get(name, name.strip("`"))]
        seconds, cost = f"{hour.waited / hour.calls:.2f}", f"{hour.cost / before.cost:.2f}"
        assert figures == [str(hour.failed), f"{hour.wasted:,}", seconds, f"{hour.share:.2f}", cost], name
