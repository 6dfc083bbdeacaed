"""Carries log rows into a database of their own, behind the main one: what the ledger has booked is written there once.

``Feed(db, main, ...)`` has a thread of its own, so that a log database that is away or slow holds up no money.
``put`` takes booked entries with their journal's files, which are given back when the rows are written; what memory
does not hold is read from those files. Journals of dead processes come as ``*.booked``. Each row is noted by its
request id in the same transaction, so a second try of any process finds it. Knows no counters and no balances.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection

from engine.ledger import journal
from engine.ledger.committing import GROUP, Committer
from engine.ledger.journal import BOOKED, Journal, Segment
from engine.storage.database import Database, StorageError
from engine.storage.rows import log_rows
from engine.storage.rows.posting import Entry, posted
from engine.storage.tables.own import log_extra


class Feed(Committer):
    """See the module. ``most`` entries are held in memory."""

    what = "the log database"

    def __init__(self, db: Database, main: Database, directory: Path, own: Journal, most: int) -> None:
        super().__init__(directory, own)
        self._db = db
        self._main = main
        self._most = most
        self._queue: deque[tuple[Entry, Segment | None]] = deque()

    def put(self, taken: Sequence[tuple[Entry, Segment | None]]) -> None:
        """Take entries that are booked; they are in the journal until their rows are written."""
        for entry, segment in taken:
            if segment is None or (len(self._queue) < self._most and segment.path not in self._later):
                self._queue.append((entry, segment))
            else:
                self.later(segment)
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Entries in memory."""
        return len(self._queue)

    def replay(self) -> None:
        """Write the rows of journals that dead processes left and that are booked."""
        for path in journal.left_behind(self._directory, BOOKED):
            if self._stop.is_set() or not self._read(path, once=True):
                return
            path.unlink(missing_ok=True)

    _look = replay

    def _round(self) -> None:
        while self._queue and not self._stop.is_set():
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), GROUP))]
            if not self.patiently([entry for entry, _ in batch]):
                self._queue.extendleft(reversed(batch))
                return
            for _, segment in batch:
                if segment is not None:
                    self.journal.settled(segment)
        self._read_back()

    def _read(self, path: Path, *, once: bool = False) -> bool:
        """Write the rows of a file's entries, of those that are booked."""
        for group in groups(journal.entries(path)):
            try:
                with self._main.read() as connection:
                    booked = posted(connection, [entry.request_id for entry in group])
            except StorageError:
                return False
            wanted = [entry for entry in group if entry.request_id in booked]
            if wanted and not self.patiently(wanted, doubt=True, once=once):
                return False
        return True

    def _write(self, group: Sequence[Entry], *, durable: bool, doubt: bool, orphan: bool) -> None:
        del durable, orphan  # the main database's part may be given back at any time, so rows are always durable
        wanted = [entry for entry in group if entry.logged]
        if wanted:
            self._db.write(partial(self._rows, group=wanted, doubt=doubt))

    def _rows(self, connection: Connection, group: Sequence[Entry], doubt: bool) -> None:
        fresh = {entry.request_id: entry.row for entry in group}
        for request_id in posted(connection, list(fresh), log_extra.name) if doubt else ():
            del fresh[request_id]
        log_rows.apply(connection, self._db, list(fresh.values()), once=True)


def groups(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    """Entries in as many pieces as transactions."""
    while group := list(islice(entries, GROUP)):
        yield group
