"""Brings finished calls into the database in groups: what gathered while the last commit ran goes into the next.

``Ledger(db, directory, holds)`` is one process's: ``put`` appends to the journal and returns; its committer (a thread,
a greenlet under gevent) does the rest, without a timer. A database that is away is tried again for as long as it takes,
and the journal holds what memory does not. Journals that dead processes left are replayed at the start and every few
seconds. Nothing is ever dropped: what the database refuses for good goes into a file beside the journals.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from engine.cluster.holds import Holds
from engine.ledger import journal, served
from engine.ledger.committing import GROUP, Committer
from engine.ledger.feed import Feed, groups
from engine.ledger.journal import BOOKED, Journal, Segment
from engine.ledger.reserve import purse_key, token_key
from engine.storage.database import Database
from engine.storage.rows.posting import Entry, holders, post
from engine.storage.rows.work import tasks

_GATHERED = 128
_TURN = 1e-6
"""Seconds: so short that a loop of events only looks once whether there are any."""
_IN_MEMORY = 20_000
_DURABLE_EVERY = 1.0
_logger = logging.getLogger("gatewright.ledger")
Beside = Callable[[Connection, Sequence[Entry]], None]
"""What else belongs into the transaction of new entries."""
CutShort = Callable[[served.Note], Entry]
"""The entry of a call that died with its process while its caller read."""


class Ledger(Committer):
    """See the module."""

    wait = _DURABLE_EVERY

    def __init__(
        self,
        db: Database,
        directory: Path,
        holds: Holds | None = None,
        *,
        sync: bool = False,
        log_db: Database | None = None,
        beside: Sequence[Beside] = (),
        in_memory: int = _IN_MEMORY,
        hangs_after: float | None = None,
    ) -> None:
        super().__init__(directory, Journal(directory, sync=sync))
        if hangs_after is not None:
            self.hangs_after = hangs_after
        self._db = db
        # a feed without rows of this process still writes those that were left when there was a log database
        self._feed = Feed(log_db or db, db, directory, self.journal, in_memory)
        self._apart = log_db is not None and log_db is not db
        self._holds = holds
        self._beside = beside
        self._most = in_memory
        self._queue: deque[tuple[Entry, Segment | None]] = deque()
        self._known: frozenset[tuple[str, int]] = frozenset()
        self._idle = threading.Condition()
        self.cut_short: CutShort | None = None
        self._served = directory.with_name(served.DIRECTORY)
        self._durable_at = 0.0

    def start(self) -> None:
        """See ``Committer``."""
        super().start()
        if self._apart:
            self._feed.start()

    def put(self, entry: Entry) -> None:
        """Keep a finished call: it is in the journal when this returns, or at least on its way into the database."""
        try:
            line = journal.line(entry)
        except TypeError:
            entry, line = journal.sound(entry)
        try:
            segment: Segment | None = self.journal.append(line)
        except OSError as error:
            _logger.critical("the journal can't be written (%s); no call begins until it can", error)
            segment = None
        if segment is None or (len(self._queue) < self._most and not self._later):
            self._queue.append((entry, segment))
        else:
            self.later(segment)
        if not self._wake.is_set():
            self._wake.set()

    @property
    def waiting(self) -> int:
        """Entries of this process that are not in the database."""
        return max(self.journal.waiting, len(self._queue) + self._feed.waiting)

    def ready(self) -> bool:
        """Whether a call that begins now can be booked when it ends."""
        return not self.journal.failing or self.journal.probe()

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything put so far is in the database; false when that takes too long."""
        end = time.monotonic() + timeout
        self._wake.set()
        while self.waiting:
            left = end - time.monotonic()
            if left <= 0:
                return False
            with self._idle:
                self._idle.wait(min(left, 0.05))
        return True

    def rest(self, timeout: float = 10.0) -> bool:
        """Commit what is left and stop, but keep the journal: calls that still end go there, for whoever replays it."""
        flushed = self.flush(timeout) if self._thread is not None else not self.waiting
        self.end(timeout)
        self._feed.end(timeout)
        # what is booked must not look as if it waited for somebody, once this process is gone
        self.journal.release(whole=True)
        return flushed

    def close(self, timeout: float = 10.0) -> bool:
        """The same, where no call is left; the journal goes too, unless something could not be committed."""
        flushed = self.rest(timeout)
        self.journal.close()
        return flushed

    def _round(self) -> None:
        while self._queue and not self._stop.is_set():
            self._gather()
            self._group()
        self._read_back()
        if self.journal.unsynced and time.monotonic() - self._durable_at >= _DURABLE_EVERY:
            self._durable_at = time.monotonic()
            self.journal.sync()

    def _gather(self) -> None:
        """As long as calls go on ending, they go first, and this commit takes them along.

        PERF: a commit costs as much as ten of its rows, and an idle worker waits one turn of its loop for it.
        """
        length = 0
        while length < len(self._queue) < _GATHERED:
            length = len(self._queue)
            time.sleep(_TURN)

    def _group(self) -> None:
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), GROUP))]
        try:
            durable = time.monotonic() - self._durable_at >= _DURABLE_EVERY
            if self.patiently([entry for entry, _ in batch], durable=durable):
                self._booked(batch)
                if durable or self._db.kind != "sqlite":
                    self._durable_at = time.monotonic()
                    self.journal.release()
                batch = []
        finally:
            self._queue.extendleft(reversed(batch))
        with self._idle:
            self._idle.notify_all()

    def _booked(self, batch: list[tuple[Entry, Segment | None]]) -> None:
        """Give back the journal's part of what was committed, or hand it on to where log rows have their own place."""
        for pair in batch:
            entry, segment = pair
            if self._apart and entry.logged and entry.request_id not in self.refused:
                self._feed.put([pair])
            elif segment is not None:
                self.journal.settled(segment)

    def _written(self, segment: Segment, count: int) -> None:
        """See ``Committer``."""
        if self._apart:
            self._feed.later(segment, count)
        else:
            self.journal.settled(segment, count)

    def _read(self, path: Path) -> bool:
        """See ``Committer``."""
        return self._replay(path)

    def _look(self) -> None:
        """Free what dead processes held, and replay what they left."""
        if self._holds is None:
            self.replay()
            return
        with self._holds.alone() as mine:
            if mine:
                self._holds.sweep()
                if self.replay():
                    self._holds.forget_orphans()
                    self._book_cut_short()

    def _book_cut_short(self) -> None:
        """Book what dead processes had begun to serve and did not come to book; their journals are in by now."""
        for path, noted in served.dead(self._served) if self.cut_short is not None else ():
            entries = [entry for note in noted.open if (entry := self._entry_of(note)) is not None]
            if entries and not self.patiently(entries, doubt=True, orphan=True, once=True):
                return
            if entries:
                _logger.warning("%d calls died with their worker; they are charged their input", len(entries))
            served.absorb(path, noted)

    def _entry_of(self, note: served.Note) -> Entry | None:
        try:
            return self.cut_short(note) if self.cut_short is not None else None
        except Exception:
            _logger.exception("a call that died with its worker can't be booked: %s", note)
            return None

    def replay(self) -> bool:
        """Commit journals that dead processes left; true when none is left."""
        for path in journal.left_behind(self._directory):
            if self._stop.is_set() or not self._replay(path, left=True):
                return False
            if self._apart:
                path.rename(path.with_suffix(BOOKED))
            else:
                path.unlink(missing_ok=True)
        if not self._apart:
            self._feed.replay()
        return True

    def _replay(self, path: Path, *, left: bool = False) -> bool:
        count = 0
        for group in groups(journal.entries(path)):
            if not self.patiently(group, doubt=True, orphan=left, once=left):
                return False
            count += len(group)
        if count:
            _logger.info("journal %s: %d entries were replayed", path.name, count)
        return True

    def _write(self, group: Sequence[Entry], *, durable: bool, doubt: bool, orphan: bool) -> None:
        self._db.write(partial(self._post, group=group, doubt=doubt), durable=durable)
        self._known |= holders(group)
        if len(self._known) > 100_000:
            self._known = frozenset()
        self._tell(group, orphan=orphan)

    def _post(self, connection: Connection, group: Sequence[Entry], doubt: bool) -> None:
        entries = post(connection, self._db, group, doubt=doubt, known=self._known, logs=not self._apart)
        tasks.born(connection, self._db, entries)
        for count in self._beside if entries else ():
            count(connection, entries)

    def together(self, decide: Callable[[Connection], Entry | None]) -> Entry | None:
        """Book what ``decide`` gives in the transaction in which it changes rows of its own, or nothing of both."""

        def work(connection: Connection) -> Entry | None:
            entry = decide(connection)
            if entry is not None:
                self._post(connection, [entry], doubt=True)
            return entry

        entry = self._db.write(work)
        if entry is not None and self._apart and entry.logged:
            self._feed.put([(entry, None)])
        return entry

    def _tell(self, group: Sequence[Entry], *, orphan: bool) -> None:
        """Reservations learn that these charges are part of the database's balance now."""
        if self._holds is None:
            return
        sums: dict[tuple[int, int], int] = {}
        for entry in group:
            if entry.quota:
                for key in (purse_key(entry.user_id, entry.plan), token_key(entry.token_id)):
                    sums[entry.user_id, key] = sums.get((entry.user_id, key), 0) + entry.quota
        for (stripe, key), amount in sums.items():
            self._holds.commit(stripe, key, amount, orphan=orphan)
