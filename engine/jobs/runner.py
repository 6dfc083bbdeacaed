"""The runner: a loop that takes the leases of jobs that are due, and a thread for each that is at work.

Takes a database and a source of jobs, which is asked anew each round, as jobs may come and go. A job whose lease is
lost goes on until it asks; so what it writes must be safe by a compare-and-set of its own.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from engine.errors import Unavailable
from engine.storage.database import Database
from engine.storage.rows.work import leases

log = logging.getLogger(__name__)
_SECONDS = 20
"""How long a lease lasts without a word from its holder: so late is work taken up whose process was killed."""
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Job:
    """``work`` takes the lease and gives what came of it, in words; it is due ``every`` so many seconds.

    ``sticky``: who has done it keeps its lease until that ends, so that what it remembers of it is of use.
    """

    name: str
    every: float
    work: Callable[[Lease], str]
    sticky: bool = False


class Lease:
    """The right to do a job, held by this process."""

    def __init__(self, db: Database, name: str, holder: str, fence: int, seconds: int) -> None:
        self._db, self._holder, self._seconds = db, holder, seconds
        self.name, self.fence = name, fence
        self._kept = time.monotonic()

    def keep(self) -> bool:
        """Whether the work may go on; asks the database once in a third of the lease's time."""
        if time.monotonic() - self._kept < self._seconds / 3:
            return True
        begun = time.monotonic()
        if not leases.keep(self._db, self.name, self._holder, self.fence, self._seconds):
            return False
        self._kept = begun
        return True

    def end(self, wait: float, result: str) -> None:
        """Give it back."""
        leases.give_back(self._db, self.name, self._holder, self.fence, max(0, round(wait)), result)


class Runner:
    """See the module. ``jobs`` gives what there is to do now; ``look`` is the pause between two rounds, in seconds."""

    def __init__(
        self,
        db: Database,
        jobs: Callable[[], Iterable[Job]],
        *,
        holder: str = "",
        seconds: int = _SECONDS,
        look: float = 1.0,
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._seconds = seconds
        self._look = look
        self.holder = holder or f"{db.node[:32]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="job")
        self._working: set[str] = set()
        self._kept: dict[str, Lease] = {}
        self._stop = threading.Event()
        self._away = False

    def run(self) -> None:
        """Work until ``stop``."""
        while not self._stop.is_set():
            try:
                self.round()
                self._away = False
            except Unavailable as error:
                if not self._away:
                    log.warning("jobs wait: %s", error)
                self._away = True
            except Exception:
                log.exception("jobs can't be looked at")
            self._stop.wait(self._look)
        self._pool.shutdown(wait=True)
        for lease in self._kept.values():
            try:
                lease.end(0, "")
            except Unavailable:
                break

    def stop(self) -> None:
        """Begin no more work; ``run`` comes back when what is under way has ended."""
        self._stop.set()

    def round(self) -> None:
        """Take the leases of what is due, and begin it."""
        wanted = [job for job in self._jobs() if job.name not in self._working]
        if not wanted:
            return
        rows, now = leases.listed(self._db)
        for job in wanted:
            row = rows.get(job.name)
            if row is not None and (row["next_at"] > now or (row["until"] > now and row["holder"] != self.holder)):
                continue
            fence = leases.take(self._db, job.name, self.holder, self._seconds)
            if fence is not None:
                self._working.add(job.name)
                self._pool.submit(self._do, job, Lease(self._db, job.name, self.holder, fence, self._seconds))

    def _do(self, job: Job, lease: Lease) -> None:
        result = ""
        try:
            result = job.work(lease)
        except Unavailable as error:
            result = f"waits: {error}"
        except Exception as error:
            log.exception("the job %s failed", job.name)
            result = f"failed: {type(error).__name__}"
        finally:
            try:
                if not job.sticky or self._stop.is_set():
                    lease.end(job.every, result)
                else:
                    self._kept[job.name] = lease
            except Unavailable as error:
                log.warning("the lease of the job %s ends by itself: %s", job.name, error)
            self._working.discard(job.name)
