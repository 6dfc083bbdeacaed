"""``weighted``: by chance, each by its weight. What every order ends in; said where it is all that is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.routing.strategies.tier import Ranking

if TYPE_CHECKING:
    from engine.routing.channel import LiveChannel
    from engine.routing.strategies.tier import Scene


class Weighted(Ranking):
    """Nothing beside the draw."""

    among = 1

    def rank(self, channel: LiveChannel, scene: Scene) -> float:
        """As it was drawn."""
        return 0.0


STRATEGY = Weighted
