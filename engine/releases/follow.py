"""A worker's side of a new release: look at ``current`` ten times a second, load, swap one reference.

Loading runs in a thread of its own, so requests go on meanwhile; the swap is one call between two of them. What runs
beside the current release is told to ``offer``, and loaded when somebody asks for it.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import Any

import gevent

from engine import program
from engine.program import Program
from engine.releases.store import Releases

POLL = 0.1


class Follower:
    """Keeps a worker's program the current one, and knows those beside it."""

    def __init__(
        self,
        releases: Releases,
        running: str,
        swap: Callable[[Program], None],
        log: logging.Logger,
        offer: Callable[[dict[str, Any], Follower], None] = lambda offers, follower: None,
    ) -> None:
        self.releases = releases
        self.running = running
        self.swap = swap
        self.log = log
        self.offer = offer
        self._mark = self._offer_mark = (0, 0)

    def run(self) -> None:
        """Look and load, for ever."""
        while True:
            gevent.sleep(POLL)
            mark = self.releases.mark()
            if mark != self._mark:
                self._mark = mark
                self.follow()
            self.look_beside()

    def look_beside(self) -> None:
        """Take up what runs beside the current release, where that has changed."""
        mark = self.releases.offer_mark()
        if mark == self._offer_mark:
            return
        self._offer_mark = mark
        try:
            self.offer(self.releases.offered(), self)
        except Exception:  # as below
            self.log.exception("what runs beside the release can't be taken up")

    def kept(self, begin: str) -> list[str]:
        """The hashes of programs that are here and begin so."""
        return self.releases.kept(begin)

    def aside(self, hash_: str) -> Program:
        """A program for calls beside the current one; raises where it can't be loaded."""
        loaded: Program = gevent.get_hub().threadpool.apply(self.load, (hash_,))
        return loaded

    def follow(self) -> bool:
        """Take up the current release if it is another one; whether it was swapped in."""
        hash_ = self.releases.current()
        if hash_ is None or hash_ == self.running:
            return False
        try:
            loaded = gevent.get_hub().threadpool.apply(self.load, (hash_,))
            self.swap(loaded)
        except Exception:  # a release that can't be taken up must not end the one that runs
            self.log.exception("release %s can't be taken up; %s goes on", hash_[:12], self.running[:12])
            return False
        self.running = hash_
        self.log.info("release %s runs", hash_[:12])
        return True

    def load(self, hash_: str) -> Program:
        """A release from disk, made without the collector and kept out of its passes, which would stall every stream.

        A program dies with its last reference; the collector is not needed for that.
        """
        artefact = self.releases.artefact(hash_)
        gc.disable()
        try:
            return program.load(artefact)
        finally:
            gc.freeze()
            gc.enable()
