"""``leastOutstanding``: of some channels that were drawn, the one with the fewest calls under way for its weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.strategies.record import StrategyRecord
from engine.strategies.tier import Ranking

if TYPE_CHECKING:
    from engine.strategies.tier import RankedChannel, Scene


class LeastOutstanding(Ranking):
    """``choices``: how many are drawn to choose from."""

    def __init__(self, choices: int = 8) -> None:
        self.among = choices

    def rank(self, channel: RankedChannel, scene: Scene) -> float:
        """Calls under way by weight."""
        return scene.pulse.outstanding(channel.mark) / max(channel.weight, 1)


STRATEGY = StrategyRecord(
    "leastOutstanding",
    LeastOutstanding,
    "Of channels that were drawn, the one with the fewest calls under way for its weight.",
    {
        "choices": {
            "description": "How many are drawn to choose from.",
            "type": "integer",
            "minimum": 2,
            "maximum": 64,
        }
    },
)
