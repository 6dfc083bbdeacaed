"""Compiled programs on disk: ``<hash>.gwp``, ``current`` (the hash that runs), ``trials.json`` (those that run beside
it), ``status.json`` (the last compile), ``git.json`` (the last look at a Git remote), ``git.wake`` (it is to be looked
at again).

Every file is written beside and moved into place, so a reader sees the old or the new one, never half. The watcher
writes, workers read. Knows nothing of what is in an artefact.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

KEPT = 8
"""Artefacts that stay, the running one and those of trials besides."""
_TRIALS, _WAKE = "trials.json", "git.wake"


class Releases:
    """The directory of programs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._status: tuple[tuple[int, ...], dict[str, Any]] = ((), {})

    def prepare(self) -> None:
        """Make the directory, for our own eyes only: artefacts are code."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _write(self, name: str, data: bytes) -> None:
        handle, path = tempfile.mkstemp(prefix=".new-", dir=self.directory)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(path, self.directory / name)
        except BaseException:
            Path(path).unlink(missing_ok=True)
            raise

    def publish(self, hash_: str, artefact: bytes) -> None:
        """Keep an artefact and make it the running one; a known one that runs already is left alone."""
        fresh = self.keep(hash_, artefact)
        if fresh or self.current() != hash_:
            self._write("current", hash_.encode() + b"\n")
        self._prune(hash_)

    def keep(self, hash_: str, artefact: bytes) -> bool:
        """Keep an artefact; whether it was not there."""
        try:
            same = self.artefact(hash_) == artefact
        except OSError:
            same = False
        if not same:
            self._write(f"{hash_}.gwp", artefact)
        return not same

    def current(self) -> str | None:
        """The hash of the running artefact."""
        try:
            return (self.directory / "current").read_text(encoding="ascii").strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def mark(self) -> tuple[int, int]:
        """Changes whenever ``current`` does. PERF: one stat, 2 µs."""
        return _mark(self.directory / "current")

    def artefact(self, hash_: str) -> bytes:
        """The bytes of an artefact."""
        return (self.directory / f"{hash_}.gwp").read_bytes()

    def kept(self, begin: str) -> list[str]:
        """The hashes of artefacts that are here and begin so."""
        return sorted(path.stem for path in self.directory.glob("*.gwp") if path.stem.startswith(begin))

    def offer(self, trials: dict[str, Any]) -> None:
        """Say which programs run beside the current one: ``trials`` ({id, hash, why} each) and the ``canary``, if any
        ({number, hash, rules})."""
        if trials != self.offered():
            self._write(_TRIALS, json.dumps(trials).encode())

    def offered(self) -> dict[str, Any]:
        """What ``offer`` said last."""
        try:
            offers: dict[str, Any] = json.loads((self.directory / _TRIALS).read_bytes())
        except (OSError, ValueError):
            return {"trials": [], "canary": None}
        return offers

    def offer_mark(self) -> tuple[int, int]:
        """Changes whenever ``offered`` does."""
        return _mark(self.directory / _TRIALS)

    def wake_git(self) -> None:
        """Ask for a look at the Git remote now."""
        self._write(_WAKE, b"")

    def wake_mark(self) -> tuple[int, int]:
        """Changes whenever ``wake_git`` is called."""
        return _mark(self.directory / _WAKE)

    def write_status(self, status: dict[str, Any]) -> None:
        """Say how the last compile went."""
        self._write("status.json", json.dumps(status, ensure_ascii=False, indent=1).encode())

    def write_git(self, status: dict[str, Any]) -> None:
        """Say how following a Git remote goes."""
        self._write("git.json", json.dumps(status, ensure_ascii=False, indent=1).encode())

    def status(self) -> dict[str, Any]:
        """How the last compile went, and under ``git`` how a remote is followed; read again only when they changed."""
        paths = self.directory / "status.json", self.directory / "git.json"
        mark = (*_mark(paths[0]), *_mark(paths[1]))
        if mark != self._status[0]:
            try:
                status = json.loads(paths[0].read_bytes())
                if paths[1].exists():
                    status["git"] = json.loads(paths[1].read_bytes())
            except (OSError, ValueError):
                return self._status[1]
            self._status = (mark, status)
        return self._status[1]

    def _prune(self, running: str) -> None:
        files = sorted(self.directory.glob("*.gwp"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        beside = {one["hash"] for one in self.offered()["trials"]}
        for path in files[KEPT:]:
            if path.stem != running and path.stem not in beside:
                path.unlink(missing_ok=True)


def _mark(path: Path) -> tuple[int, int]:
    try:
        info = path.stat()
    except OSError:
        return (0, 0)
    return (info.st_mtime_ns, info.st_ino)
