"""Whether a database answers. Once it did not, nobody waits for it: reads fail at once until a probe is answered.

``Outage(probe, label)`` is one database's: ``check`` raises while it is away, ``begin`` starts it. One thread (a
greenlet under gevent) asks once a second; no call carries the probe. Knows no tables.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from engine.storage.faults import DatabaseAway, StorageError

_EVERY = 1.0
_logger = logging.getLogger("gatewright.storage")


class Outage:
    """See the module. ``since`` is the moment (monotonic) since which it is away."""

    def __init__(self, probe: Callable[[], object], label: str) -> None:
        self.since: float | None = None
        self._probe = probe
        self._label = label
        self._over = threading.Event()

    def check(self) -> None:
        """Raise ``DatabaseAway`` while the database is away."""
        if self.since is not None:
            raise DatabaseAway(
                f"database {self._label}: it has not answered for {time.monotonic() - self.since:.0f} s; "
                "nothing is asked of it until it does"
            )

    def begin(self, why: object) -> None:
        """It did not answer."""
        if self.since is None and not self._over.is_set():
            self.since = time.monotonic()
            _logger.warning("database %s does not answer: %s", self._label, why)
            threading.Thread(target=self._ask, name="outage", daemon=True).start()

    def end(self) -> None:
        """Ask no more; the database is closed."""
        self._over.set()

    def _ask(self) -> None:
        while not self._over.wait(_EVERY):
            try:
                self._probe()
            except (StorageError, SQLAlchemyError, OSError):
                continue
            _logger.warning("database %s answers again", self._label)
            self.since = None
            return
