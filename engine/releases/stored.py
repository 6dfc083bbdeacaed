"""The documents of the database as the compiling process holds them, and what this machine says of itself there.

A look costs one read of a key. Where the database does not answer, what was read last holds, also over a start of the
process (``documents.json``), and the reason is told.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.errors import GatewrightError
from engine.storage.database import Database, StorageError
from engine.storage.releases import agreement, canaries, documents, machines, trials
from engine.storage.releases.canaries import Canary
from engine.storage.releases.documents import StoredDocument
from engine.storage.releases.drafts import as_json, of_json

EVERY = 0.25
"""Seconds between looks: a release is to run on every machine within two."""
_TABLES_EVERY = 2.0
_SAID_EVERY = 10.0
NAME = "documents.json"


class Stored:
    """See the module. ``open_`` connects; it is called again as long as it fails. ``shared``: ``agreement.shared``."""

    def __init__(
        self,
        open_: Callable[[], Database],
        directory: Path,
        log: logging.Logger,
        shared: Mapping[str, str] | None = None,
    ) -> None:
        self.number, self.documents = _remembered(directory / NAME)
        self.away = ""
        """Why the database can't be read, while it can't."""
        self._open, self._shared = open_, shared or {}
        self._db: Database | None = None
        self._directory = directory
        self._log = log
        self.looked = 0.0
        """When the database was looked at, in monotonic seconds; 0 makes the next look due."""
        self._opened = self._said = 0.0
        self._report: tuple[Any, ...] = ()
        self._changed_at = 0
        self._read = False

    @property
    def db(self) -> Database:
        """The open database; raises where it can't be opened."""
        if self._db is None:
            self._db = self._open()
        return self._db

    def changed(self) -> bool:
        """Read the newest release if there is another than the one held; whether there was."""
        now = time.monotonic()
        if now - self.looked < EVERY:
            return False
        self.looked = now
        try:
            if not documents.ready(self.db):
                if now - self._opened > _TABLES_EVERY:  # the first start makes the tables meanwhile
                    self._opened = now
                    self.db.look()
                return False
            # anything else than what is held, as after a backup was put back
            if self._read and documents.head(self.db) == self.number:
                self._tell("")
                return False
            release = documents.listed(self.db)
        except StorageError as error:
            self._tell(str(error))
            return False
        self._tell("")
        same, self._read = release == (self.number, self.documents), True
        self.number, self.documents = release
        if not same:
            self._remember()
        return not same

    def tried(self) -> tuple[tuple[Any, ...], Canary | None] | None:
        """The marks of trials, and the canary that runs; nothing while the database can't be read."""
        try:
            if not documents.ready(self.db):
                return None
            return trials.marks(self.db), canaries.running(self.db)
        except StorageError as error:
            self._tell(str(error))
            return None

    def _remember(self) -> None:
        """Keep what was read for a start without a database."""
        told = {"number": self.number, "documents": [as_json(one) for one in self.documents]}
        path = self._directory / NAME
        fresh = path.with_suffix(".new")
        with suppress(OSError):  # a disk that is full costs no more than this
            fresh.touch(mode=0o600)
            fresh.write_text(json.dumps(told), "utf-8")
            fresh.replace(path)

    def _tell(self, away: str) -> None:
        if away and not self.away:
            self._log.warning("documents of the database can't be read now, release %d holds: %s", self.number, away)
        elif self.away and not away:
            self._log.info("documents of the database are read again")
        self.away = away

    def report(self, status: dict[str, Any]) -> None:
        """Say in the database what this machine runs: at once when that changes, else now and then."""
        now = time.monotonic()
        facts = tuple(status.get(name) for name in ("release", "running", "ok", "time", "git"))
        if (facts == self._report and now - self._said < _SAID_EVERY) or not self._ready():
            return
        if facts != self._report:
            self._changed_at = int(time.time())
        faults = [] if status.get("ok") else str(status.get("text", "")).splitlines()[:20]
        own = {"faults": faults, "newest": status.get("newest"), "git": status.get("git")}
        self._said = now
        try:
            row = machines.Machine(
                id=machines.identity(self._directory),
                name=self.db.node,
                release=int(status.get("release") or 0),
                program=str(status.get("running") or ""),
                ok=bool(status.get("ok")),
                report={**own, "secrets": agreement.fingerprints(self.db, self._shared)},
                changed_at=self._changed_at,
                seen_at=int(time.time()),
            )
            machines.report(self.db, row)
        except GatewrightError as error:
            self._tell(str(error))
            return
        self._report = facts

    def _ready(self) -> bool:
        return self._db is not None and documents.ready(self._db)

    def close(self) -> None:
        """The server stops: nobody waits for this machine any more."""
        if self._db is None:
            return
        with suppress(GatewrightError):
            if self._ready():
                machines.leave(self._db, machines.identity(self._directory))
        self._db.close()


def _remembered(path: Path) -> tuple[int, list[StoredDocument]]:
    try:
        told = json.loads(path.read_text("utf-8"))
        return int(told["number"]), [of_json(one) for one in told["documents"]]
    except (OSError, ValueError, KeyError, TypeError):
        return 0, []
