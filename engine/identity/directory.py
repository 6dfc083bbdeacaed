"""What services say of themselves: OpenID configurations and the keys that they sign with, each kept for a while.

A key that is not among those that are known has the keys read again, once a minute at most, so that services may
change theirs and strangers' tokens cause no calls.
"""

from __future__ import annotations

import time
from typing import Any

from engine.identity.refused import refused
from engine.program.outside.logins import Login
from engine.transport import declared
from engine.transport.faults import TransportError
from engine.transport.leg import Pool

_KEPT, _AGAIN, _MOST = 3600.0, 60.0, 64
Kept = dict[str, tuple[float, dict[str, Any]]]
_kept: Kept = {}
"""What this worker has read, by address."""


class Directory:
    """See the module."""

    def __init__(self, pool: Pool, kept: Kept | None = None) -> None:
        self.pool = pool
        self._kept = _kept if kept is None else kept

    def found(self, login: Login, options: dict[str, str]) -> dict[str, Any]:
        """The configuration of a login's service; an empty one where its document names none."""
        url = login.discovery([], options) if login.discovery else None
        return self._read(login, url, _KEPT) if isinstance(url, str) and url else {}

    def key(self, login: Login, url: str, key_id: str | None) -> list[dict[str, Any]]:
        """The keys that may have signed what names this one, or none."""
        for age in (_KEPT, _AGAIN):
            keys = self._read(login, url, age).get("keys")
            rows = [row for row in keys if isinstance(row, dict)] if isinstance(keys, list) else []
            fitting = [row for row in rows if key_id is None or row.get("kid") == key_id]
            if fitting:
                return fitting
        return []

    def _read(self, login: Login, url: str, age: float) -> dict[str, Any]:
        now = time.monotonic()
        held = self._kept.get(url)
        if held is not None and now - held[0] < age:
            return held[1]
        try:
            answer = declared.ask(self.pool, "GET", url)
        except TransportError as error:
            raise refused("oauth.away", title=login.title, what=error.public) from None
        if not isinstance(answer, dict):
            raise refused("oauth.away", title=login.title, what="its configuration is no object")
        if len(self._kept) >= _MOST:
            self._kept.clear()
        self._kept[url] = (now, answer)
        return answer
