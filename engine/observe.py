"""What the log is told: once when it begins to hold, not each time that it is found again."""

from __future__ import annotations

import logging
from collections.abc import Iterable


class Once:
    """Lines that hold for a while: each is told when it is new, and again only after it has ceased to hold."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lines: frozenset[str] = frozenset()

    def say(self, lines: Iterable[str]) -> None:
        """Tell those of the lines that hold now which did not hold the last time."""
        now = dict.fromkeys(lines)
        for line in now:
            if line not in self._lines:
                self._log.warning("%s", line)
        self._lines = frozenset(now)
