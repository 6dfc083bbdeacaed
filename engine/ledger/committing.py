"""A thread that writes groups of finished calls into one database, however long that is away.

``Committer`` is what the ledger's main database and a log database of its own have in common: it wakes when there is
something, tries a group again with growing pauses, finds the one entry that a database refuses for good and sets it
aside in a file beside the journals. Knows neither tables nor money.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.exc import DataError, IntegrityError

from engine.ledger import journal
from engine.ledger.journal import Journal, Segment
from engine.storage.database import StorageError
from engine.storage.rows.posting import Entry

GROUP = 512
LOOK_EVERY = 3.0
REFUSED = "refused.jsonl"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_HANGS_AFTER = 5.0
_FAILURES = (StorageError, OverflowError, ValueError, TypeError)
"""Drivers raise the latter three for values that they can't send."""
_logger = logging.getLogger("gatewright.ledger")


class Committer:
    """See the module."""

    what = "the database"
    wait = LOOK_EVERY

    def __init__(self, directory: Path, own: Journal) -> None:
        self.hangs_after = _HANGS_AFTER
        """Seconds after which a commit that has neither failed nor been made counts as the database's being away."""
        self._failed = False
        self._began: float | None = None
        self.journal = own
        self.refused: set[str] = set()
        """Request ids that were set aside."""
        self._directory = directory
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._looked_at = 0.0
        self._later: dict[Path, tuple[Segment, int]] = {}

    @property
    def away(self) -> bool:
        """Whether the database takes no commits now: it refused the last one, or has been silent for too long."""
        began = self._began
        return self._failed or (began is not None and time.monotonic() - began > self.hangs_after)

    def start(self) -> None:
        """Begin to commit, and to look for what dead processes left behind."""
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def end(self, timeout: float) -> None:
        """Stop; what is not written stays in the journal."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._wake.wait(self.wait)
                self._wake.clear()
                if time.monotonic() - self._looked_at >= LOOK_EVERY:
                    self._looked_at = time.monotonic()
                    self._look()
                self._round()
            except Exception:  # the committer must outlive whatever goes wrong; the journal has all
                _logger.exception("the ledger's committer failed and goes on")
                self._stop.wait(1.0)

    def later(self, segment: Segment, count: int = 1) -> None:
        """So many entries of a journal's file are in no memory and are to be read from there."""
        self._later[segment.path] = (segment, self._later.get(segment.path, (segment, 0))[1] + count)
        self._wake.set()

    def _read_back(self) -> None:
        """Write what only the journal had room for."""
        if self._later:
            self.journal.turn()
        for path in list(self._later):
            segment, count = self._later[path]
            if self._stop.is_set() or not self._read(path):
                return
            self._written(segment, count)
            more = self._later.pop(path)[1] - count
            if more:
                self.later(segment, more)

    def _read(self, path: Path) -> bool:
        """Write the entries of a file of this process; false when that has to wait."""
        raise NotImplementedError

    def _written(self, segment: Segment, count: int) -> None:
        """So many of a file's entries are in the database."""
        self.journal.settled(segment, count)

    def _look(self) -> None:
        """Take up what dead processes left."""

    def _round(self) -> None:
        """Write what waits."""

    def _write(self, group: Sequence[Entry], *, durable: bool, doubt: bool, orphan: bool) -> None:
        """One transaction. ``doubt``: some of the group may be there already; ``orphan``: a dead process took it."""
        raise NotImplementedError

    def patiently(
        self,
        group: Sequence[Entry],
        *,
        durable: bool = True,
        doubt: bool = False,
        orphan: bool = False,
        once: bool = False,
    ) -> bool:
        """Commit a group, however long the database is away (``once``: only if it is there); false when stopped."""
        pause, known = _FIRST_PAUSE, False
        while True:
            try:
                self._began = time.monotonic()
                self._write(group, durable=durable, doubt=doubt, orphan=orphan)
                self._failed = False
                return True
            except _FAILURES as error:
                if isinstance(error.__cause__, IntegrityError) and not doubt:
                    doubt = True
                    continue
                if isinstance(error.__cause__, IntegrityError) and len(group) == 1 and not known:
                    known = True  # a commit whose answer was lost was under way still, and is seen from now on
                    continue
                if _refusal(error):
                    return self._one_by_one(group, error, orphan=orphan, once=once)
                doubt = True  # a commit whose answer was lost may have been made
                if not self._failed:
                    _logger.warning("%s is away; finished calls wait in the journal: %s", self.what, error)
                self._failed = True
            finally:
                self._began = None
            if self.journal.unsynced:
                self.journal.sync()
            if once or self._stop.wait(pause):
                return False
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _one_by_one(self, group: Sequence[Entry], error: Exception, *, orphan: bool, once: bool) -> bool:
        """Find the entry that the database refuses; all others are written, and it too if it can be made plain."""
        if len(group) > 1:
            return all(self.patiently([entry], doubt=True, orphan=orphan, once=once) for entry in group)
        plain = journal.plain(group[0])
        if plain != group[0]:  # a charge goes before the letters of a name
            return self.patiently([plain], doubt=True, orphan=orphan, once=once)
        self._set_aside(group[0], error)
        return True

    def _set_aside(self, entry: Entry, error: Exception) -> None:
        _logger.error("call %s can't be written into %s and was set aside: %s", entry.request_id, self.what, error)
        self.refused.add(entry.request_id)
        with (self._directory / REFUSED).open("ab") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(journal.sound(entry)[1])


def _refusal(error: Exception) -> bool:
    """Whether the entry itself is what the database does not take; all else may be otherwise in a moment."""
    return not isinstance(error, StorageError) or isinstance(error.__cause__, DataError | IntegrityError)
