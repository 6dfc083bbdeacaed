"""The HTTP interface beside the relay: Falcon resources over plain services of ``engine.storage``.

``routes(state)`` gives pairs of path and resource for the worker's app. Knows the relay only as the state that holds
the database and its options.
"""

from __future__ import annotations

from engine.api.caller import State
from engine.api.holder import Subscription, TokenLogs, TokenUsage, Usage

__all__ = ["State", "routes"]


def routes(state: State) -> list[tuple[str, object]]:
    """Every fixed route of this room; each is served with and without a slash at its end."""
    found: list[tuple[str, object]] = [
        ("/api/usage/token", TokenUsage(state)),
        ("/api/log/token", TokenLogs(state)),
    ]
    for before in ("", "/v1"):
        found += [
            (f"{before}/dashboard/billing/subscription", Subscription(state)),
            (f"{before}/dashboard/billing/usage", Usage(state)),
        ]
    return [(path + end, resource) for path, resource in found for end in ("", "/")]
