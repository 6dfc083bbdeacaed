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
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError

from engine.cluster.holds import Holds
from engine.ledger import journal
from engine.ledger.journal import Journal, Segment
from engine.ledger.reserve import token_key, user_key
from engine.storage import log_rows
from engine.storage.database import Database, StorageError
from engine.storage.posting import Entry, holders, post, posted

_GROUP = 512
_GATHERED = 128
_TURN = 1e-6
"""Seconds: so short that a loop of events only looks once whether there are any."""
_IN_MEMORY = 20_000
_DURABLE_EVERY = 1.0
_LOOK_EVERY = 3.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_logger = logging.getLogger("gatewright.ledger")
_FAILURES = (StorageError, OverflowError, ValueError, TypeError)
"""Drivers raise the latter three for values that they can't send."""
Beside = Callable[[Connection, Sequence[Entry]], None]
"""What else belongs into the transaction of new entries."""


class Ledger:
    """See the module. ``away`` is true while the database does not answer."""

    def __init__(
        self,
        db: Database,
        directory: Path,
        holds: Holds | None = None,
        *,
        sync: bool = False,
        log_db: Database | None = None,
        beside: Beside | None = None,
        in_memory: int = _IN_MEMORY,
    ) -> None:
        self.away = False
        self.journal = Journal(directory, sync=sync)
        self._db = db
        self._log_db = log_db if log_db is not db else None
        self._directory = directory
        self._holds = holds
        self._beside = beside
        self._most = in_memory
        self._queue: deque[tuple[Entry, Segment | None]] = deque()
        self._spilled = False
        self._known: frozenset[tuple[str, int]] = frozenset()
        self._busy = False
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._idle = threading.Condition()
        self._durable_at = self._looked_at = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to commit, and to look for journals left behind."""
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

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
        if segment is None or (len(self._queue) < self._most and not self._spilled):
            self._queue.append((entry, segment))
        else:
            self._spilled = True  # the journal has it; it is read back when the database is
        if not self._wake.is_set():
            self._wake.set()

    @property
    def waiting(self) -> int:
        """Entries of this process that are not in the database."""
        return max(self.journal.waiting, len(self._queue))

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
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)
        self.journal.release()
        return flushed

    def close(self, timeout: float = 10.0) -> bool:
        """The same, where no call is left; the journal goes too, unless something could not be committed."""
        flushed = self.rest(timeout)
        self.journal.close()
        return flushed

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._round()
            except Exception:  # the committer must outlive whatever goes wrong; the journal has all
                _logger.exception("the ledger's committer failed and goes on")
                self._stop.wait(1.0)

    def _round(self) -> None:
        self._wake.wait(_DURABLE_EVERY)
        self._wake.clear()
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_EVERY:
            self._looked_at = now
            self._look()
        while self._queue and not self._stop.is_set():
            self._gather()
            self._group()
        if self._spilled and not self._stop.is_set():
            self._read_back()
        if self.journal.unsynced and time.monotonic() - self._durable_at >= _DURABLE_EVERY:
            self._durable_at = time.monotonic()
            self.journal.sync()

    def _gather(self) -> None:
        """As long as calls go on ending, they go first, and this commit takes them along.

        PERF: a commit costs as much as ten of its rows, and an idle worker waits one turn of its loop for it.
        """
        seen = 0
        while seen < len(self._queue) < _GATHERED:
            seen = len(self._queue)
            time.sleep(_TURN)

    def _group(self) -> None:
        taken = [self._queue.popleft() for _ in range(min(len(self._queue), _GROUP))]
        try:
            durable = time.monotonic() - self._durable_at >= _DURABLE_EVERY
            if self._patiently([entry for entry, _ in taken], durable=durable):
                for _, segment in taken:
                    if segment is not None:
                        self.journal.settled(segment)
                if durable or self._db.kind != "sqlite":
                    self._durable_at = time.monotonic()
                    self.journal.release()
                taken = []
        finally:
            self._queue.extendleft(reversed(taken))
        with self._idle:
            self._idle.notify_all()

    def _read_back(self) -> None:
        """Commit what only the journal had room for."""
        old = self.journal.turn()
        self._spilled = False
        for segment in old:
            if not segment.waiting or not self._replay(segment.path, own=True):
                continue
            segment.waiting = 0
        self.journal.release()

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

    def replay(self) -> bool:
        """Commit journals that dead processes left; true when none is left."""
        done = True
        for path in journal.left_behind(self._directory):
            if self._stop.is_set() or not self._replay(path, own=False):
                done = False
                break
            path.unlink(missing_ok=True)
        return done

    def _replay(self, path: Path, *, own: bool) -> bool:
        group: list[Entry] = []
        count = 0
        for entry in journal.entries(path):
            group.append(entry)
            if len(group) >= _GROUP:
                if not self._patiently(group, doubt=True, orphan=not own, once=not own):
                    return False
                count += len(group)
                group = []
        if group and not self._patiently(group, doubt=True, orphan=not own, once=not own):
            return False
        if count + len(group):
            _logger.info("journal %s: %d entries were replayed", path.name, count + len(group))
        return True

    def _patiently(
        self, group: list[Entry], *, durable: bool = True, doubt: bool = False, orphan: bool = False, once: bool = False
    ) -> bool:
        """Commit a group, however long the database is away (``once``: only if it is there); false when stopped."""
        pause = _FIRST_PAUSE
        while True:
            try:
                self._commit(group, durable=durable, doubt=doubt, orphan=orphan)
                self.away = False
                return True
            except _FAILURES as error:
                if isinstance(error.__cause__, IntegrityError) and not doubt:
                    doubt = True
                    continue
                if not _away(error):
                    self._singly(group, orphan=orphan)
                    return True
                doubt = True  # a commit whose answer was lost may have been made
                if not self.away:
                    _logger.warning(
                        "the database is away; %d finished calls wait in the journal: %s", self.waiting, error
                    )
                self.away = True
            if self.journal.unsynced:
                self.journal.sync()
            if once or self._stop.wait(pause):
                return False
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _commit(self, group: Sequence[Entry], *, durable: bool, doubt: bool, orphan: bool) -> None:
        self._db.write(partial(self._post, group=group, doubt=doubt), durable=durable)
        if self._log_db is not None:
            self._log_db.write(partial(_logged, db=self._log_db, group=group, doubt=doubt))
        self._known |= holders(group)
        if len(self._known) > 100_000:
            self._known = frozenset()
        self._tell(group, orphan=orphan)

    def _post(self, connection: Connection, group: Sequence[Entry], doubt: bool) -> None:
        logs = self._log_db is None
        made = post(connection, self._db, group, doubt=doubt, known=self._known, logs=logs)
        if made and self._beside is not None:
            self._beside(connection, made)

    def _tell(self, group: Sequence[Entry], *, orphan: bool) -> None:
        """Reservations learn that these charges are part of the database's balance now."""
        if self._holds is None:
            return
        sums: dict[tuple[int, int], int] = {}
        for entry in group:
            if entry.quota:
                for key in (user_key(entry.user_id), token_key(entry.token_id)):
                    sums[entry.user_id, key] = sums.get((entry.user_id, key), 0) + entry.quota
        for (stripe, key), amount in sums.items():
            self._holds.commit(stripe, key, amount, orphan=orphan)

    def _singly(self, group: Sequence[Entry], *, orphan: bool) -> None:
        """Something in the group can't be written: find it, set it aside, keep the others."""
        for entry in group:
            try:
                self._commit([entry], durable=True, doubt=True, orphan=orphan)
            except _FAILURES as error:
                if _away(error):
                    raise
                _logger.error("call %s can't be booked and was set aside: %s", entry.request_id, error)
                with (self._directory / "refused.jsonl").open("ab") as file:
                    file.write(journal.sound(entry)[1])


def _logged(connection: Connection, db: Database, group: Sequence[Entry], doubt: bool) -> None:
    """Log rows in a database of their own; those that are there already are left out."""
    del doubt  # the main transaction may have been made without this one, so there always is
    there: set[str] = set()
    if "request_id" in db.columns.get("logs", ()):
        there = posted(connection, [entry.request_id for entry in group], "logs")
    log_rows.apply(connection, db, [entry.row for entry in group if entry.request_id not in there])


def _away(error: Exception) -> bool:
    cause: Any = error.__cause__
    return isinstance(cause, OperationalError | InterfaceError)
