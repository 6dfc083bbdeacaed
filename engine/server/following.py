"""A worker's side of a new release: look at ``current`` ten times a second, load, swap one reference.

Loading runs in a thread of its own, so requests go on meanwhile; the swap is one call between two of them.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable

import gevent

from engine import program
from engine.program import Program
from engine.server.releases import Releases

POLL = 0.1


class Follower:
    """Keeps a worker's program the current one."""

    def __init__(self, releases: Releases, running: str, swap: Callable[[Program], None], log: logging.Logger) -> None:
        self.releases = releases
        self.running = running
        self.swap = swap
        self.log = log
        self._mark = (0, 0)

    def run(self) -> None:
        """Look and load, for ever."""
        while True:
            gevent.sleep(POLL)
            mark = self.releases.mark()
            if mark != self._mark:
                self._mark = mark
                self.follow()

    def follow(self) -> bool:
        """Take up the current release if it is another one; whether it was swapped in."""
        hash_ = self.releases.current()
        if hash_ is None or hash_ == self.running:
            return False
        try:
            loaded = gevent.get_hub().threadpool.apply(self.load, (hash_,))
            self.swap(loaded)
            del loaded
            # A program's functions and their module hold each other, and full passes of the collector are rare:
            # programs would pile up. PERF: 7 ms of CPU for a release; what was there before the fork is frozen.
            gc.collect()
        except Exception:  # a release that can't be taken up must not end the one that runs
            self.log.exception("release %s can't be taken up; %s goes on", hash_[:12], self.running[:12])
            return False
        self.running = hash_
        self.log.info("release %s runs", hash_[:12])
        return True

    def load(self, hash_: str) -> Program:
        """A release from disk; without the collector, whose full pass would stall every stream."""
        artefact = self.releases.artefact(hash_)
        gc.disable()
        try:
            return program.load(artefact)
        finally:
            gc.enable()
