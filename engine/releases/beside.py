"""The compiling process's side of trials: what runs beside the release in force is compiled, and workers are told.

Compiled again whenever documents change, since a trial stands on what is in force. Where the database does not answer,
what was told last holds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.errors import GatewrightError
from engine.releases.store import Releases
from engine.releases.stored import EVERY, Stored
from engine.storage.releases import trials
from engine.storage.releases.canaries import Canary


class Beside:
    """See the module."""

    def __init__(self, releases: Releases, stored: Stored, directories: Sequence[Path], log: logging.Logger) -> None:
        self._releases, self._stored, self._directories, self._log = releases, stored, directories, log
        self._known: dict[Any, dict[str, Any]] = {}
        self._offered: dict[str, Any] = {}
        self.looked = 0.0
        """When the database was looked at, in monotonic seconds; 0 makes the next look due."""

    def look(self, *, anew: bool = False) -> None:
        """Compile what came new (all of it, ``anew``), and tell workers what there is. PERF: two looks at keys."""
        now = time.monotonic()
        if now - self.looked < EVERY and not anew:
            return
        self.looked = now
        running = self._stored.tried()
        if running is None:
            return
        marks, canary = running
        if anew:
            self._known.clear()
        if set(marks) != self._known.keys():
            try:
                self._compile()
            except GatewrightError as error:
                self._log.warning("trials can't be read now, those of before hold: %s", error)
                return
        offers = list(self._known.values())
        offered = {"trials": offers, "canary": _share(canary, offers)}
        if offered != self._offered:
            self._releases.offer(offered)
            self._offered = offered

    def _compile(self) -> None:
        # here, so that no worker carries the compiler
        from engine.releases.build import compile_trial

        wanted = {trial.mark: trial for trial in trials.listed(self._stored.db)}
        for mark in self._known.keys() - wanted.keys():
            del self._known[mark]
        for mark, trial in wanted.items():
            if mark not in self._known:
                offer = compile_trial(self._directories, self._releases, self._stored.documents, trial)
                self._known[mark] = offer
                words = f"can't run here: {offer['why']}" if offer["why"] else f"runs as {offer['hash'][:12]}"
                self._log.info("trial %s (%s) %s", trial.id, trial.name, words)


def _share(canary: Canary | None, offers: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What workers are told of a canary: nothing, where its trial does not run."""
    hash_ = next((one["hash"] for one in offers if canary is not None and one["id"] == canary.trial), "")
    if canary is None or not hash_:
        return None
    return {"number": canary.number, "hash": hash_, "rules": dict(canary.rules)}
