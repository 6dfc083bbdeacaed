"""``cheapest``: channels where the call costs the operator least first; those within a margin count as alike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from engine.strategies.record import StrategyRecord
from engine.strategies.tier import Dividing, grouped

if TYPE_CHECKING:
    from engine.strategies.tier import C, Scene, Tier


class Cheapest(Dividing):
    """``within``: by which share of the least a cost may be higher and still count as the same."""

    def __init__(self, within: float = 0.0) -> None:
        self._within = within

    def divide(self, tier: Tier[C], scene: Scene) -> list[Tier[C]]:
        """By what the model costs at each; one whose cost nobody knows comes last."""
        key = self, scene.call.asked
        if key in tier.parts:
            return tier.parts[key]
        costs = {id(channel): scene.cost(channel) for channel in tier.channels}
        least = min(costs.values())
        alike = least * (1 + self._within) if math.isfinite(least) else least
        return grouped(tier, key, lambda channel: max(costs[id(channel)], alike))


STRATEGY = StrategyRecord(
    "cheapest",
    Cheapest,
    "Channels where the call costs the operator least first.",
    {
        "within": {
            "description": "By which share of the least a cost may be higher and still count as the same.",
            "type": "number",
            "minimum": 0,
            "maximum": 100,
        }
    },
)
