"""``affinity``: the channel that answered what the call belongs to, then the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.strategies.record import StrategyRecord
from engine.strategies.tier import Dividing, first

if TYPE_CHECKING:
    from engine.strategies.tier import C, Scene, Tier


class Affinity(Dividing):
    """See the module."""

    def divide(self, tier: Tier[C], scene: Scene) -> list[Tier[C]]:
        """The channel that is kept first."""
        mark = scene.call.kept
        if mark is None:
            return [tier]
        parts = first(tier, ("affinity", mark), lambda channel: channel.mark == mark)
        if len(parts) > 1:
            scene.said.append(f"affinity keeps it at {parts[0].channels[0].name}")
        return parts


STRATEGY = StrategyRecord("affinity", Affinity, "The channel that answered what the call belongs to first.")
