"""What a caller's format can't hold but the provider wants back: kept by tool-call id, for a declared time.

Signatures and encrypted thought travel in fields that clients return where their format has one; for clients that drop
unknown fields they are kept here, per key, and put back when the call comes back in a later request.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from engine.cluster.store import StoreError
from engine.hub import memory
from engine.jsonbytes import dumps, loads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.cluster.store import Space

log = logging.getLogger(__name__)
_KEPT_SECONDS = 86_400.0


def remember_seconds(policy: Mapping[str, Any]) -> float:
    """How long a merged policy has such a record live; 0 keeps nothing."""
    seconds: float | None = (policy.get("remember") or {}).get("seconds")
    return _KEPT_SECONDS if seconds is None else seconds


class Memory:
    """One worker's door to the shared memory. ``seconds``: how long a record lives by the release of its call."""

    def __init__(self, space: Space) -> None:
        self._space = space

    def keep(self, owner: int, seconds: float, parts: list[dict[str, Any]], *, words: bool = False) -> None:
        """Keep what the calls among an answer's parts must bring back; ``owner`` is the key's id.

        ``words``: see ``memory.remember``.
        """
        if seconds <= 0 or not any(part.get("type") == "tool_call" for part in parts):
            return
        try:
            for call_id, record in memory.remember(parts, words=words).items():
                self._space.put(f"{owner}:{call_id}", dumps(record), seconds)
        except StoreError as ex:  # the answer goes out all the same; what it would bring back is lost
            log.error("what calls must bring back can't be kept: %s", ex)

    def recall(self, owner: int, seconds: float, request: dict[str, Any]) -> dict[str, Any]:
        """Return the hub request with what was kept of its calls; the same object if nothing was."""

        def get(call_id: str) -> dict[str, Any] | None:
            raw = self._space.get(f"{owner}:{call_id}")
            return loads(raw) if raw else None

        return memory.recall(request, get) if seconds > 0 else request
