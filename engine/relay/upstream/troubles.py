"""What happens to channels is told: that one fails, why and what to do about it, and that it is well again.

Takes attempts that failed by what hangs on their channel, and such that answered. Tells the log at most one warning a
channel and a minute, and keeps what the operators' pages show. Knows nothing of retry and of what is set aside.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.relay.call import Call
    from engine.routing.attempt import Attempt

log = logging.getLogger(__name__)
_EVERY = 60.0
_SHOWN = 300
_CALLERS = frozenset(
    {"auth", "bad_request", "bad_signature", "content_policy", "context_too_long", "method_not_allowed", "quota",
     "too_large", "unsupported_media"}
)  # fmt: skip
"""Meanings that are the caller's own matter: the channel is well."""
_KEY = "put a good key in its place, then `gatewright explain --model {model}`"
_NEXT: Mapping[str, str] = {
    "upstream_auth": _KEY,
    "forbidden": _KEY,
    "upstream_quota": "fill the account up at the provider, then `gatewright explain --model {model}`",
    "not_found": "see which name the provider knows: `gatewright render Provider/{provider}`",
}
_OTHERWISE = "see what else serves it: `gatewright explain --model {model}`"


@dataclass(slots=True)
class Trouble:
    """What is wrong with a channel. ``since`` is a time of day, ``told`` of the steady clock."""

    channel: str
    meaning: str
    status: int | None
    words: str
    request_id: str
    since: float
    failures: int = 0
    told: float = 0.0

    def shown(self) -> dict[str, Any]:
        """As operators are shown it."""
        return {
            "channel": self.channel,
            "meaning": self.meaning,
            "status": self.status,
            "words": self.words,
            "request_id": self.request_id,
            "since": int(self.since),
            "failures": self.failures,
        }


class Troubles:
    """Those of one worker, by the channel."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of: dict[str, Trouble] = {}

    def shown(self) -> list[dict[str, Any]]:
        """All of them, as operators are shown them."""
        return [trouble.shown() for trouble in list(self._of.values())]

    def failed(self, call: Call, attempt: Attempt, error: Mapping[str, Any], status: int | None) -> None:
        """An attempt failed; the words of ``error`` hold no secret."""
        meaning = str(error.get("meaning") or "unknown")
        if meaning in _CALLERS:
            return
        channel = attempt.channel
        trouble = self._of.get(channel.mark)
        if trouble is None:
            trouble = self._of[channel.mark] = Trouble(channel.name, meaning, status, "", "", time.time())
        now, changed = self._clock(), trouble.meaning != meaning
        trouble.failures += 1
        trouble.meaning, trouble.status, trouble.request_id = meaning, status, call.request_id
        trouble.words = " ".join(str(error.get("message") or "").split())[:_SHOWN]
        if trouble.told and not changed and now - trouble.told < _EVERY:
            return
        trouble.told = now
        what = _NEXT.get(meaning, _OTHERWISE).format(model=attempt.model, provider=channel.provider.name)
        log.warning(
            "channel %s fails: %s%s, in the provider's words: %s (call %s; %d failed since it was well). To do: %s",
            channel.name, meaning, f" (status {status})" if status else "", trouble.words or "none",
            call.request_id, trouble.failures, what,
        )  # fmt: skip

    def worked(self, attempt: Attempt) -> None:
        """An attempt answered. PERF: nothing to look at while all is well."""
        if not self._of:
            return
        trouble = self._of.pop(attempt.channel.mark, None)
        if trouble is not None:
            seconds = time.time() - trouble.since
            log.warning(
                "channel %s is well again, after %d failed calls in %.0f s", trouble.channel, trouble.failures, seconds
            )
