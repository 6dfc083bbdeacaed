"""The process beside the workers that compiles: at its start, on HUP, and when a document changes.

Looks at names, sizes and times of all documents ten times a second; compiles when a change has come to rest, since an
editor or a copy writes in steps. Ends when its parent does. Its log goes where the master's goes.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.server.releases import Releases

POLL = 0.1
"""Seconds between looks. PERF: a look at a hundred files takes 0.4 ms."""
SETTLE = 0.1
PATIENCE = 50
"""Looks at a directory that never comes to rest before it is compiled all the same."""

Fingerprint = tuple[tuple[str, int, int, int], ...]


def fingerprint(directories: Sequence[Path]) -> Fingerprint:
    """Name, inode, size and time of every document."""
    found: list[tuple[str, int, int, int]] = []
    for directory in directories:
        _walk(str(directory), found)
    return tuple(sorted(found))


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
    """The loop of the process. ``also`` are directories that the compiler reads by itself."""

    def __init__(
        self, directories: Sequence[Path], programs: Path, log: logging.Logger, also: Sequence[Path] = ()
    ) -> None:
        self.directories = list(directories)
        self.watched = [*directories, *also]
        self.releases = Releases(programs)
        self.log = log
        self.asked = False
        self.faulty = False
        """The documents of the last compile had faults."""

    def run(self, message: int) -> None:
        """Compile, say on descriptor ``message`` how it went, and watch until the parent is gone."""
        parent = os.getppid()
        signal.signal(signal.SIGHUP, self._on_hup)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        seen = fingerprint(self.watched)
        self.compile(message)
        self.warm()
        while os.getppid() == parent:
            time.sleep(POLL)
            if not self.asked and fingerprint(self.watched) == seen:
                continue
            self.asked = False
            seen = settled(self.watched)
            self.compile()

    def warm(self) -> None:
        """After a start from the cache the compiler has seen nothing; the first edit should not wait for that."""
        from engine.server import compiling

        compiling.warm(self.directories)

    def _on_hup(self, *_: object) -> None:
        self.asked = True

    def compile(self, message: int | None = None) -> None:
        """One compile, and what it has to say in the log."""
        # here, so that no worker carries the compiler: they are forked from a master that never imports it
        from engine.server.compiling import compile_release

        before = self.releases.current()
        outcome = compile_release(self.directories, self.releases)
        if not outcome.ok:
            kept = f"release {before[:12]} stays" if before else "there is no release to run"
            self.log.error("the documents have faults; %s\n%s", kept, outcome.text)
        elif outcome.text:
            self.log.warning("%s", outcome.text)
        if outcome.hash and outcome.hash != before:
            self.log.info("release %s compiled", outcome.hash[:12])
        elif self.faulty and outcome.ok and before:
            self.log.info("the documents have no faults any more; release %s runs on", before[:12])
        self.faulty = not outcome.ok
        if message is not None:
            os.write(message, json.dumps({"ok": outcome.ok, "hash": self.releases.current()}).encode() + b"\n")
