"""``priority``: channels of a higher priority first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.strategies.record import StrategyRecord
from engine.strategies.tier import Dividing, grouped

if TYPE_CHECKING:
    from engine.strategies.tier import C, Scene, Tier


class Priority(Dividing):
    """See the module."""

    def divide(self, tier: Tier[C], scene: Scene) -> list[Tier[C]]:
        """By priority."""
        return grouped(tier, "priority", lambda channel: -channel.priority)


STRATEGY = StrategyRecord("priority", Priority, "Channels of a higher priority first.")
