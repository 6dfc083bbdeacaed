"""Strategies in a row: each divides what the ones before left alike, and the rest is drawn by weight.

``orders(routes)`` compiles what Routes declare; ``order_of`` gives a call's. PERF: channels come one by one, so what
nobody needs is never ordered; divisions are kept with the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, cast

from engine.routing.profile import RouteTimeouts
from engine.routing.when import When, when
from engine.strategies import STRATEGIES
from engine.strategies.shadow import Shadow
from engine.strategies.tier import Scene, Strategy, Tier

if TYPE_CHECKING:
    from engine.program.parts import RouteRules
    from engine.routing.channel import LiveChannel
    from engine.routing.request import RoutedCall


@dataclass(frozen=True, slots=True)
class Step:
    """A strategy, and the calls for which it counts."""

    name: str
    strategy: Strategy
    when: When = field(default_factory=When)


@dataclass(frozen=True, slots=True)
class Order:
    """The steps of one Route, and the calls that they are for: those that ``when`` holds for, of its models."""

    name: str
    steps: tuple[Step, ...]
    when: When = field(default_factory=When)
    models: frozenset[str] = frozenset()
    shadows: tuple[tuple[When, Shadow], ...] = ()
    """Where calls are made too, and which."""
    timeouts: RouteTimeouts | None = None

    names: tuple[str, ...] = field(init=False)
    """What its strategies are called."""
    _ways: tuple[list[Strategy], list[Strategy]] | None = field(init=False)
    """Those that divide, and those that rank, where none hangs on the call."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(step.name for step in self.steps))
        hangs = any(step.when.tests for step in self.steps)
        object.__setattr__(self, "_ways", None if hangs else _ways(self.steps))

    def fits(self, call: RoutedCall) -> bool:
        """Whether it is for this call."""
        return (not self.models or call.asked in self.models) and self.when.holds(call)

    def channels(self, tier: Tier[LiveChannel], scene: Scene) -> Iterator[LiveChannel]:
        """The channels in the order in which to try them, each once."""
        if len(tier.channels) == 1:
            yield tier.channels[0]
            return
        call = cast("RoutedCall", scene.call)
        dividing, ranking = self._ways or _ways([step for step in self.steps if step.when.holds(call)])
        for part in _divided(tier, dividing, scene):
            yield from _ranked(part, ranking, scene) if ranking and len(part) > 1 else part.drawn(scene.chance)


def _ways(steps: Sequence[Step]) -> tuple[list[Strategy], list[Strategy]]:
    strategies = [step.strategy for step in steps]
    return [one for one in strategies if not one.among], [one for one in strategies if one.among > 1]


USUAL = Order("", tuple(Step(name, STRATEGIES[name].make()) for name in ("affinity", "priority")))
"""What holds where no Route says otherwise."""


def orders(routes: Sequence[RouteRules]) -> tuple[Order, ...]:
    """What Routes declare, those of the operator's own documents first."""
    return tuple(_order(route) for route in routes)


def order_of(declared: Sequence[Order], call: RoutedCall) -> Order:
    """The order of a call: of the first Route that is for it."""
    for order in declared:
        if order.fits(call):
            return order
    return USUAL


def _order(route: RouteRules) -> Order:
    steps = []
    for entry in route.strategies:
        name, parameters = next((name, value) for name, value in entry.items() if name != "when")
        steps.append(Step(name, STRATEGIES[name].make(**(parameters or {})), when(entry.get("when"))))
    shadows = tuple((step.when, step.strategy) for step in steps if isinstance(step.strategy, Shadow))
    timeouts = RouteTimeouts(route.name, route.timeouts) if route.timeouts else None
    return Order(route.name, tuple(steps) or USUAL.steps, when(route.when), frozenset(route.models), shadows, timeouts)


def _divided(
    tier: Tier[LiveChannel], strategies: Sequence[Strategy], scene: Scene, at: int = 0
) -> Iterator[Tier[LiveChannel]]:
    """The tiers that strategies make of one, from that of a number on."""
    while at < len(strategies) and len(tier.channels) > 1:
        parts = strategies[at].divide(tier, scene)
        at += 1
        if len(parts) > 1:
            for part in parts:
                yield from _divided(part, strategies, scene, at)
            return
        tier = parts[0]
    yield tier


def _ranked(tier: Tier[LiveChannel], strategies: Sequence[Strategy], scene: Scene) -> Iterator[LiveChannel]:
    """What was drawn, some at a time, the best of those first."""
    drawn, among = tier.drawn(scene.chance), max([strategy.among for strategy in strategies])
    while batch := list(islice(drawn, among)):
        if len(batch) > 1:
            batch.sort(key=lambda channel: [strategy.rank(channel, scene) for strategy in strategies])
        yield from batch
