"""What a call, or one attempt of it, took of its limits. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.cluster.rates import Ask
    from engine.routing.attempt import Attempt
    from engine.routing.limits.rules import LimitRule


@dataclass(slots=True)
class Taken:
    """Rules, what was asked of each and what it left, by their places."""

    rules: list[LimitRule] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    wait: float = 0.0
    attempt: Attempt | None = None
    """Whose it is, where it is not the call's."""
