"""Why a call goes where it goes: what choosing found. Plain data, without addresses or secrets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.routing.attempt import Attempt
    from engine.routing.channel import LiveChannel


@dataclass(slots=True)
class Choice:
    """``route`` orders the channels, empty for the usual order; ``said`` is what its strategies decided."""

    route: str = ""
    strategies: tuple[str, ...] = ()
    said: list[str] = field(default_factory=list)
    candidates: dict[str, tuple[LiveChannel, ...]] = field(default_factory=dict)
    """Channels that can take the call, by group, as far as groups were looked at."""
    first: LiveChannel | None = None
    """Where the call would go if no channel were set aside, full or failing; nothing where its key names one."""
    shadow: Attempt | None = None
    """What is made beside the call, and told nobody."""
    aside: list[tuple[str, float]] = field(default_factory=list)
    """Channels that are set aside, and until when; infinite for one that is switched off."""
