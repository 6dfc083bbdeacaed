"""The HTTP interface beside the relay: Falcon resources over plain services of ``engine.storage``.

``routes(state)`` gives pairs of path and resource for the worker's app. Knows the relay only as the state that holds
the database and its options.
"""

from __future__ import annotations

from engine.api import rights
from engine.api.caller import KeyServices
from engine.api.channel_work import ChannelWork
from engine.api.dispatch import Management
from engine.api.envelope import Envelope
from engine.api.holder import Subscription, TokenLimits, TokenLogs, TokenUsage, Usage
from engine.api.operation import PREFIX
from engine.api.problems import Problems
from engine.api.resources import newapi, v2
from engine.api.resources.newapi.money.payments import Declared
from engine.api.route import Worker
from engine.api.upkeep import Upkeep, ground

__all__ = ["PREFIXES", "ChannelWork", "KeyServices", "Upkeep", "ground", "management", "routes"]

PREFIXES = ("/api/", "/pg/")
"""Below which every path is the management API's, but for the fixed ones."""


def management(worker: Worker) -> Management:
    """What answers below ``PREFIXES``."""
    families = ((f"{PREFIX}/", Problems(), v2.ROUTES), ("/", Envelope(), newapi.ROUTES))
    return Management(worker, families, rights.may, rights.note, Declared())


def routes(state: KeyServices) -> list[tuple[str, object]]:
    """Every fixed route of this room; each is served with and without a slash at its end."""
    pairs: list[tuple[str, object]] = [
        ("/api/usage/token", TokenUsage(state)),
        ("/api/usage/limits", TokenLimits(state)),
        ("/api/log/token", TokenLogs(state)),
    ]
    for before in ("", "/v1"):
        pairs += [
            (f"{before}/dashboard/billing/subscription", Subscription(state)),
            (f"{before}/dashboard/billing/usage", Usage(state)),
        ]
    return [(path + end, resource) for path, resource in pairs for end in ("", "/")]
