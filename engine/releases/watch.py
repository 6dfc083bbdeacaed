"""The process beside the workers that compiles: at its start, on HUP, and when a document changes.

Looks at names, sizes and times of all documents four times a second; compiles when a change has come to rest, since an
editor or a copy writes in steps. Ends when its parent does. Its log goes where the master's goes.
"""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engine.releases.beside import Beside
from engine.releases.desk import Counter, Doings
from engine.releases.store import Releases
from engine.releases.stored import Stored
from engine.storage.database import Database

POLL = 0.25
"""Seconds between looks. PERF: a look at two hundred files takes 1.3 ms."""
SETTLE = 0.1
WARM_AFTER = 10.0
"""Seconds after the start; until then the processors belong to the first calls."""
PATIENCE = 50
"""Looks at a directory that never comes to rest before it is compiled all the same."""

Fingerprint = tuple[tuple[str, int, int, int], ...]


def fingerprint(directories: Sequence[Path]) -> Fingerprint:
    """Name, inode, size and time of every document."""
    entries: list[tuple[str, int, int, int]] = []
    for directory in directories:
        _walk(str(directory), entries)
    return tuple(sorted(entries))


def _walk(directory: str, found: list[tuple[str, int, int, int]]) -> None:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    _walk(entry.path, found)
                elif entry.name.endswith((".yaml", ".yml")):
                    state = entry.stat()
                    found.append((entry.path, state.st_ino, state.st_size, state.st_mtime_ns))
    except OSError:
        pass  # a directory that went away while it was read shows in the next look


def settled(directories: Sequence[Path], sleep: Callable[[float], None] = time.sleep) -> Fingerprint:
    """The fingerprint once two looks in a row agree."""
    last = fingerprint(directories)
    for _ in range(PATIENCE):
        sleep(SETTLE)
        now = fingerprint(directories)
        if now == last:
            break
        last = now
    return last


class Watcher:
    """The loop of the process. ``also`` are directories that the compiler reads by itself, ``database`` opens the one
    whose documents are compiled too, ``shared`` are secrets that all machines have in common."""

    def __init__(
        self,
        directories: Sequence[Path],
        programs: Path,
        log: logging.Logger,
        also: Sequence[Path] = (),
        database: Callable[[], Database] | None = None,
        shared: Mapping[str, str] | None = None,
    ) -> None:
        self.directories = list(directories)
        self.watched = [*directories, *also]
        self.releases = Releases(programs)
        self.log = log
        self.stored = None if database is None else Stored(database, programs, log, shared)
        self.counter: Counter | None = None
        self.asked = self.ended = False
        self.faulty = False
        """The documents of the last compile had faults."""
        self.beside = None if self.stored is None else Beside(self.releases, self.stored, directories, log)

    def run(self, message: int) -> None:
        """Compile, say on descriptor ``message`` how it went, and watch until the parent is gone."""
        parent = os.getppid()
        signal.signal(signal.SIGHUP, self._on_hup)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._on_term)
        state = fingerprint(self.watched)
        self._published()
        self.compile(message)
        if self.stored is not None:
            self.counter = Counter(self.releases.directory, self._doings, self.log)
        self._offer(anew=True)
        warm_at = time.monotonic() + WARM_AFTER
        while os.getppid() == parent and not self.ended:
            self._wait()
            if time.monotonic() > warm_at:
                self.warm()
                warm_at = math.inf
            published, same = self._published(), fingerprint(self.watched) == state
            if not self.asked and not published and same:
                self._offer()
                continue
            self.asked = False
            state = state if same else settled(self.watched)  # PERF: a release of the database is whole at once
            self.compile()
            self._offer(anew=True)
        if self.stored is not None:
            self.stored.close()

    def _wait(self) -> None:
        """Until the next look; meanwhile workers may ask for a check or a plan."""
        if self.counter is None:
            time.sleep(POLL)
        elif self.counter.serve(POLL) and self.beside is not None and self.stored is not None:
            self.beside.looked = self.stored.looked = 0.0  # what was asked for may be a trial or a release

    def _offer(self, *, anew: bool = False) -> None:
        if self.beside is not None:
            self.beside.look(anew=anew)

    def _doings(self) -> Doings:
        """What workers may ask for; imported here, as ``build`` is, since it takes the compiler."""
        from engine.releases.doings import Services, doings

        stored = self.stored
        assert stored is not None
        return doings(Services(lambda: stored.db, self.directories))

    def _published(self) -> bool:
        """Whether the database has another release than the one that is held; this machine says there what it runs."""
        if self.stored is None:
            return False
        self.stored.report(self.releases.status())
        return self.stored.changed()

    def warm(self) -> None:
        """After a start from the cache the compiler has seen nothing; the first edit should not wait for that."""
        from engine.releases import build

        build.warm(self.directories, self.releases, self.stored.documents if self.stored is not None else ())

    def _on_term(self, *_: object) -> None:
        self.ended = True

    def _on_hup(self, *_: object) -> None:
        self.asked = True

    def compile(self, message: int | None = None) -> None:
        """One compile, and what it has to say in the log."""
        # here, so that no worker carries the compiler: they are forked from a master that never imports it
        from engine.releases.build import compile_release

        before = self.releases.current()
        stored = (self.stored.number, self.stored.documents) if self.stored is not None else (0, ())
        outcome = compile_release(self.directories, self.releases, stored)
        if not outcome.ok:
            consequence = f"release {before[:12]} stays" if before else "there is no release to run"
            self.log.error("the documents have faults; %s\n%s", consequence, outcome.text)
        elif outcome.text:
            self.log.warning("%s", outcome.text)
        if outcome.hash and outcome.hash != before:
            self.log.info("release %s compiled", outcome.hash[:12])
        elif self.faulty and outcome.ok and before:
            self.log.info("the documents have no faults any more; release %s runs on", before[:12])
        self.faulty = not outcome.ok
        if message is not None:
            os.write(message, json.dumps({"ok": outcome.ok, "hash": self.releases.current()}).encode() + b"\n")
