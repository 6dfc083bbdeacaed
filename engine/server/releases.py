"""Compiled programs on disk: ``<hash>.gwp``, ``current`` (the hash that runs), ``status.json`` (the last compile).

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
"""Artefacts that stay, the running one besides."""


class Releases:
    """The directory of programs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._status: tuple[tuple[int, int], dict[str, Any]] = ((0, 0), {})

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
        try:
            same = self.artefact(hash_) == artefact
        except OSError:
            same = False
        if not same:
            self._write(f"{hash_}.gwp", artefact)
        if not same or self.current() != hash_:
            self._write("current", hash_.encode() + b"\n")
        self._prune(hash_)

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

    def write_status(self, status: dict[str, Any]) -> None:
        """Say how the last compile went."""
        self._write("status.json", json.dumps(status, ensure_ascii=False, indent=1).encode())

    def status(self) -> dict[str, Any]:
        """How the last compile went; read again only when it changed."""
        path = self.directory / "status.json"
        mark = _mark(path)
        if mark != self._status[0]:
            try:
                self._status = (mark, json.loads(path.read_bytes()))
            except (OSError, ValueError):
                return self._status[1]
        return self._status[1]

    def _prune(self, running: str) -> None:
        found = sorted(self.directory.glob("*.gwp"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in found[KEPT:]:
            if path.stem != running:
                path.unlink(missing_ok=True)


def _mark(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_ino)
