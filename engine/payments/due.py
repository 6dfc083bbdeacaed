"""Plans in time: what is to end ends, what is to begin anew does, by one process of the cluster.

Each subscription is a transaction of its own that looks once more, so that none is reset or ended twice, whoever else
is at it; a lease that was lost in between costs nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.accounts.plans import lives
from engine.jobs import Job, Lease
from engine.storage.database import Database

EVERY = 5.0
_MOST = 500


def job(db: Database, clock: Callable[[], float] = time.time) -> Job:
    """The job."""
    return Job("plans.due", EVERY, lambda lease: work(db, lease, int(clock())))


def work(db: Database, lease: Lease | None, now: int) -> str:
    """Do what is due at a moment; without a lease, for whoever is alone."""
    over, again = lives.due(db, now, _MOST)
    ended = reset = 0
    for which in over:
        if lease is None or lease.keep():
            ended += lives.expire(db, which, now)
    for which in again:
        if lease is None or lease.keep():
            reset += lives.reset(db, which, now)
    return f"{ended} plans ended, {reset} began anew"
