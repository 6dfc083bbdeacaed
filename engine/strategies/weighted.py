"""``weighted``: by chance, each by its weight. What every order ends in; said where it is all that is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.strategies.record import StrategyRecord
from engine.strategies.tier import Ranking

if TYPE_CHECKING:
    from engine.strategies.tier import RankedChannel, Scene


class Weighted(Ranking):
    """Nothing beside the draw."""

    among = 1

    def rank(self, channel: RankedChannel, scene: Scene) -> float:
        """As it was drawn."""
        return 0.0


STRATEGY = StrategyRecord("weighted", Weighted, "By chance and weight alone, which is what every order ends in.")
