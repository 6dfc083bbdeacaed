"""What a call has in common with earlier ones. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.routing.overrides.compiled import Overrides


@dataclass(frozen=True, slots=True)
class Bond:
    """What a call has in common with others. ``key`` is a digest; ``seconds``: how long a channel is remembered."""

    rule: str
    key: str
    seconds: float
    alone: bool
    """No other channel is tried."""
    overrides: Overrides
