"""gunicorn's master with two manners of its own: it keeps the processes beside the workers, and HUP replaces no worker.

On HUP the watcher compiles again and workers swap the program. Replacing workers would cut long streams.
"""

from __future__ import annotations

import gc
import signal
from typing import Any

from gunicorn.arbiter import Arbiter

from engine.server.children import Child

_GRACE = 5


class SpecArbiter(Arbiter):  # type: ignore[misc]
    """The master process."""

    def start(self) -> None:
        """Bind, then put what is loaded out of the collector's sight: workers share its pages."""
        super().start()
        gc.collect()
        gc.freeze()
        self.app.start_lane(self.LISTENERS, self.log)
        self.app.start_metrics(self.LISTENERS)
        self.app.start_jobs(self.LISTENERS, self.log)
        self.app.announce()

    def handle_hup(self) -> None:
        """Compile again; no worker is replaced."""
        self.log.info("HUP: the documents are compiled again")
        self.app.watcher.signal(signal.SIGHUP)

    def manage_workers(self) -> None:
        """Workers as gunicorn keeps them, and the processes beside them."""
        super().manage_workers()
        for child in self._children():
            if child.revive():
                self.log.warning("the %s had ended and was started again", child.name)

    def stop(self, graceful: bool = True) -> None:
        """Stop the watcher, then the workers, then what their open streams may still need."""
        self.app.watcher.stop()
        if self.app.lane is not None:  # its time begins with that of the workers, who may still hand on to it
            self.app.lane.signal(signal.SIGTERM)
        # workers end their streams at the timeout; the master kills only those that then still have not written out
        self.cfg.set("graceful_timeout", self.cfg.graceful_timeout + _GRACE)
        super().stop(graceful)
        for child in self._children():
            child.stop()

    def _children(self) -> list[Child]:
        children: Any = self.app.children
        return list(children)
