"""``shadow``: a share of the calls is made at another channel too, unseen. It orders nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from engine.routing.strategies.tier import Ranking

if TYPE_CHECKING:
    import random

    from engine.routing.channel import LiveChannel
    from engine.routing.strategies.tier import Scene


class Shadow(Ranking):
    """``to``: channels by name or tag, whatever groups they serve; ``share`` of the calls goes to one of them, too."""

    among = 1

    def __init__(self, to: Sequence[str], share: float = 1.0) -> None:
        self._to, self._share = frozenset(to), share

    def rank(self, channel: LiveChannel, scene: Scene) -> float:
        """As it was drawn."""
        return 0.0

    def drawn(
        self, channels: Iterable[LiveChannel], models: frozenset[str], chance: random.Random
    ) -> LiveChannel | None:
        """The channel that mirrors a call for a model by any of these names; mostly none."""
        if chance.random() >= self._share:
            return None
        fitting = [
            channel
            for channel in channels
            if not self._to.isdisjoint((channel.name, channel.tag)) and channel.models & models
        ]
        return chance.choice(fitting) if fitting else None


STRATEGY = Shadow
