"""How long each part of a call may take, and how much of it is taken: plain values with the defaults.

Knows nothing of settings: who starts the pool fills them in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; 0 is no limit. ``connect`` is for all addresses and TLS, ``idle`` the longest silence in a body.

    ``streamed`` is ``first_byte`` of calls for streams, where it is less; ``first_token`` the time until one says
    something.
    """

    connect: float = 10.0
    first_byte: float = 300.0
    idle: float = 300.0
    total: float = 0.0
    streamed: float = 0.0
    first_token: float = 0.0

    def of_streams(self) -> Timeouts:
        """Those of calls for streams, whose answers begin before they are made."""
        both = [limit for limit in (self.first_byte, self.streamed) if limit]
        return replace(self, first_byte=min(both, default=0.0))


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a pool; ``idle_seconds`` 0 is none. Idle connections go before servers' usual keep-alive is over."""

    idle_seconds: float = 20.0
    idle: int = 500
    idle_per_host: int = 100
    head_bytes: int = 65_536
    headers: int = 256
    read_bytes: int = 64 * 1024 * 1024


DEFAULT_TIMEOUTS = Timeouts()
DEFAULT_LIMITS = Limits()
