"""``shadow``: a share of the calls is made at another channel too, unseen. It orders nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from engine.strategies.record import StrategyRecord
from engine.strategies.tier import Ranking

if TYPE_CHECKING:
    import random

    from engine.strategies.tier import C, RankedChannel, Scene


class Shadow(Ranking):
    """``to``: channels by name or tag, whatever groups they serve; ``share`` of the calls goes to one of them, too."""

    among = 1

    def __init__(self, to: Sequence[str], share: float = 1.0) -> None:
        self._to, self._share = frozenset(to), share

    def rank(self, channel: RankedChannel, scene: Scene) -> float:
        """As it was drawn."""
        return 0.0

    def drawn(self, channels: Iterable[C], models: frozenset[str], chance: random.Random) -> C | None:
        """The channel that mirrors a call for a model by any of these names; mostly none."""
        if chance.random() >= self._share:
            return None
        fitting = [
            channel
            for channel in channels
            if not self._to.isdisjoint((channel.name, channel.tag)) and channel.models & models
        ]
        return chance.choice(fitting) if fitting else None


STRATEGY = StrategyRecord(
    "shadow",
    Shadow,
    "Calls are made at another channel too; callers are told nothing of it, and pay nothing for it. It orders nothing. "
    "Only for conversations.",
    {
        "to": {
            "description": "The channel, by name or tag, whatever groups it serves; of several one by chance. It must "
            "serve the model.",
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"description": "A name or a tag.", "type": "string", "minLength": 1},
        },
        "share": {
            "description": "The part of the calls; all if left out.",
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
        },
    },
    required=("to",),
)
