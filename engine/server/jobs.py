"""The process beside the workers that does the cluster's jobs: it serves nobody, and is built and kept up as a worker.

What a job is stands in ``engine.jobs``, which there are is said by the kinds of calls. Killed at any point it is
started again by the master; what it was at is taken up by whoever gets the lease.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterable
from typing import Any, Protocol

from engine.jobs import Runner
from engine.server.children import Child, close_now
from engine.storage.database import StorageError

_LOOK = 0.5


class JobApplication(Protocol):
    """What the process takes of the application."""

    is_lane: bool
    state: Any

    def load(self) -> Any:
        """Build what a worker has."""

    def close(self) -> None:
        """At the end: what waits is written."""


def child(app: JobApplication, listeners: Iterable[Any], log: Any) -> Child:
    """The process to keep running; the server's own sockets are none of its business."""

    def body(sender: int) -> None:
        app.is_lane = True
        close_now(sock.fileno() for sock in listeners)
        parent, stop = os.getppid(), threading.Event()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        # the workers say what they leave out, and why: this process serves nobody
        logging.getLogger("engine.relay.current").setLevel(logging.ERROR)
        try:
            app.load()
        except (StorageError, SystemExit) as error:
            log.warning("jobs can't begin: %s", error)
            return
        runner = Runner(app.state.db, app.state.jobs)
        thread = threading.Thread(target=runner.run, name="jobs")
        thread.start()
        try:
            while not stop.wait(_LOOK) and os.getppid() == parent:
                time.sleep(0)
            runner.stop()
            thread.join(10)
        finally:
            app.close()

    return Child("process for jobs", body)
