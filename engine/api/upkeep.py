"""What the management API has one process of the cluster do: sums of calls are brought up to date.

Reports read what is not summed yet beside the sums, so nobody waits for this.
"""

from __future__ import annotations

import time
from functools import partial

from engine.api.route import Worker
from engine.catalogue import options
from engine.jobs import Job, Lease
from engine.notices.ground import Ground
from engine.relay.snapshot import Snapshot
from engine.reports import rollups
from engine.storage.rows.api.call_tags import EACH

_EVERY = 10.0
_SHARE = 4
"""PERF: after each stretch four times as long nothing is written: what waits for the database has its turn."""


def ground(snapshot: Snapshot) -> Ground:
    """What notices stand on."""
    notices = {one.name: one for one in snapshot.program.notices}
    return Ground(notices, snapshot.options, partial(options.value_of, snapshot.options))


def tag_places(snapshot: Snapshot) -> int:
    """By how many tags the calls of an account are summed at most."""
    return snapshot.tags.counted if snapshot.tags is not None else EACH


class Upkeep:
    """What this process remembers of it."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def job(self) -> Job:
        """The work that is due every few seconds."""
        return Job("reports.sums", _EVERY, self._sum)

    def _sum(self, lease: Lease) -> str:
        """Bring the sums up to date, and make days of old ones."""
        worker, stretches = self._worker, 0
        export = bool(options.value_of(worker.options, "DataExportEnabled"))
        while lease.keep():
            begun = time.monotonic()
            tags = tag_places(worker.snapshot)
            if not rollups.follow(worker.db, worker.log_db, quota_data=export, now=time.time(), tags=tags):
                break
            stretches += 1
            time.sleep(_SHARE * (time.monotonic() - begun))
        gone = rollups.compact(worker.db, time.time())
        return f"{stretches} stretches of the log were summed, {gone} sums of hours became days"
