"""``latency``: of two channels that were drawn, the one that is likely to answer first.

A channel's latency is the peak EWMA of its times to the first byte, times the calls that are under way there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.strategies.record import StrategyRecord
from engine.strategies.tier import Ranking

if TYPE_CHECKING:
    from engine.strategies.tier import RankedChannel, Scene


class Latency(Ranking):
    """``choices``: how many are drawn to choose from; 2 spread best where many workers choose at once."""

    def __init__(self, choices: int = 2) -> None:
        self.among = choices

    def rank(self, channel: RankedChannel, scene: Scene) -> float:
        """The time that a call more is likely to take; 0 where nobody was asked yet."""
        return scene.pulse.latency(channel.mark)


STRATEGY = StrategyRecord(
    "latency",
    Latency,
    "Of channels that were drawn, the one that is likely to answer first (peak EWMA of the times to the first byte, "
    "and the calls under way).",
    {
        "choices": {
            "description": "How many are drawn to choose from.",
            "type": "integer",
            "minimum": 2,
            "maximum": 64,
        }
    },
)
