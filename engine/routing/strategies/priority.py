"""``priority``: channels of a higher priority first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.routing.strategies.tier import Dividing, grouped

if TYPE_CHECKING:
    from engine.routing.strategies.tier import Scene, Tier


class Priority(Dividing):
    """See the module."""

    def divide(self, tier: Tier, scene: Scene) -> list[Tier]:
        """By priority."""
        return grouped(tier, "priority", lambda channel: -channel.priority)


STRATEGY = Priority
