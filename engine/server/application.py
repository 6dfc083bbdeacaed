"""The gunicorn application of ``gatewright serve``: what the master prepares, and what each worker builds.

In the master: a watcher compiles, the database is brought up, the Program is loaded before the fork. In a worker:
state, Falcon app, and a greenlet that follows new releases. ``monkey.patch_all()`` has run before this is imported.
"""

from __future__ import annotations

import gc
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
from gunicorn.app.base import BaseApplication

from engine import paths, program
from engine.releases.follow import Follower
from engine.releases.store import Releases
from engine.releases.watch import Watcher
from engine.server import jobs, lane, metrics
from engine.server.arbiter import SpecArbiter
from engine.server.children import Child
from engine.server.config import gunicorn_settings
from engine.server.faults import StartError
from engine.settings import Settings
from engine.storage.database import Database, StorageError
from engine.storage.releases import agreement

if TYPE_CHECKING:
    from engine.server.building import State

Build = Callable[[Settings, program.Program, Callable[[], dict[str, Any]]], "tuple[State, Any]"]

_FIRST_COMPILE = 120.0
_BACKGROUND = 1.0
_SECRETS = 2.0
"""Seconds between looks at the files of secrets."""


class Gateway(BaseApplication):  # type: ignore[misc]
    """The application. ``directories`` are layers of documents, ``build`` makes a worker's state and app.

    ``extra_processes`` are kept running beside the workers, ``before_fork`` is done while the first compile runs,
    ``announce`` once the port is bound. ``heavy``: a process beside the workers serves large requests.
    ``database`` opens the one whose documents are compiled too.
    """

    def __init__(
        self,
        settings: Settings,
        directories: Sequence[Path],
        build: Build,
        *,
        extra_processes: Sequence[Child] = (),
        before_fork: Callable[[], None] = lambda: None,
        announce: Callable[[], None] = lambda: None,
        heavy: bool = False,
        database: Callable[[], Database] | None = None,
    ) -> None:
        self.settings = settings
        self.releases = Releases(settings.program_directory)
        self.build = build
        self.announce = announce
        self.before_fork = before_fork
        self.heavy = heavy
        self.lane: Child | None = None
        self.lane_path = self.metrics_path = ""
        self.is_lane = False
        """Whether this process is the one for large requests."""
        self.master = os.getpid()
        self.log = logging.getLogger("gunicorn.error")
        fragments = [paths.TEMPLATES / "fragments"]
        shared = agreement.shared(settings)
        watcher = Watcher(directories, settings.program_directory, self.log, fragments, database, shared)
        self.watcher = Child("watcher", watcher.run, nice=5)  # what compiles takes no call's turn
        self.children = [self.watcher, *extra_processes]
        self.program: program.Program | None = None
        self.callable: Any = None
        self.state: State | None = None
        super().__init__()

    def load_config(self) -> None:
        """gunicorn's settings from ours."""
        for key, value in gunicorn_settings(self.settings).items():
            self.cfg.set(key, value)
        self.cfg.set("worker_exit", lambda _arbiter, worker: worker.app.close())

    def run(self) -> None:
        """Serve until told to stop."""
        try:
            SpecArbiter(self).run()
        finally:
            if os.getpid() == self.master:
                for child in self.children:
                    child.stop()

    def wsgi(self) -> Any:
        """In the master: make ready for the fork. In a worker: the app."""
        if os.getpid() == self.master:
            return self.prepare()
        if self.callable is None:
            self.callable = self.load()
        return self.callable

    def start_lane(self, listeners: Iterable[Any], log: Any) -> None:
        """In the master, before the workers are forked: the process to which they hand large requests."""
        if self.heavy:
            self.lane_path, self.lane = lane.child(self, self.settings.data, listeners, log)
            self.children.append(self.lane)
            self.lane.start()

    def start_metrics(self, listeners: Iterable[Any]) -> None:
        """In the master, before the workers are forked: the process that tells what they count."""
        if self.heavy:
            self.metrics_path, process = metrics.child(self.settings, listeners)
            self.children.append(process)
            process.start()

    def start_jobs(self, listeners: Iterable[Any], log: Any) -> None:
        """In the master: the process that does what one of the cluster has to."""
        if self.heavy and self.settings.update_task and not self.settings.is_slave:
            runner = jobs.child(self, listeners, log)
            self.children.append(runner)
            runner.start()

    def prepare(self) -> None:
        """Wait for the first compile and load the Program that workers will share."""
        self.releases.prepare()
        for child in self.children:
            child.start()
        self.before_fork()
        line = self.watcher.message(_FIRST_COMPILE)
        hash_ = json.loads(line)["hash"] if line else self.releases.current()
        if hash_ is None:
            raise StartError("the documents have faults, and there is no earlier release to run")
        try:
            self.program = program.load(self.releases.artefact(hash_))
        except (OSError, program.ArtefactError) as error:
            raise StartError(f"release {hash_[:12]} can't be loaded: {error}") from None

    def load(self) -> Any:
        """A worker's app, made after the fork."""
        if self.program is None:
            raise StartError("no program was prepared")
        self.state, app = self.build(self.settings, self.program, self.releases.status)
        # PERF: what lives as long as this worker is not looked at again when a release is swapped
        gc.freeze()
        if self.lane_path and not self.is_lane:
            self.state.hand_on_to(self.lane_path)
        if self.metrics_path:
            self.state.pass_metrics_on(self.metrics_path)
        follower = Follower(self.releases, self.program.hash, self.state.swap, self.log, self.state.offer)
        follower.follow()
        follower.look_beside()
        gevent.spawn(follower.run)
        gevent.spawn(self._again, self.settings.sync_frequency, self.state.refresh, "channels and options")
        gevent.spawn(self._again, _SECRETS, self.state.follow_secrets, "secrets")
        gevent.spawn(self._again, _BACKGROUND, self.state.follow, "what goes on after its call")
        return app

    def _again(self, seconds: float, read: Callable[[], None], what: str) -> None:
        """Read something again and again."""
        reason = ""
        while True:
            gevent.sleep(seconds)
            try:
                read()
                if reason:
                    self.log.info("%s are read again", what)
                reason = ""
            except StorageError as error:  # the database is away; it is said once, by the class of the fault
                if reason != "away":
                    self.log.warning("%s can't be read now, those of before hold: %s", what, error)
                reason = "away"
            except Exception as error:  # a file may be wrong; what is held goes on
                if reason != str(error):
                    self.log.exception("%s can't be read again", what)
                reason = str(error)

    def stalled(self, times: int) -> None:
        """Pieces of work held up this worker."""
        if self.state is not None:
            self.state.stalled(times)

    def drain(self) -> None:
        """Shortly before a stopping worker's time is over."""
        if self.state is not None:
            self.state.drain()

    def close(self) -> None:
        """At a worker's end: what waits is written."""
        if self.state is not None:
            self.state.close()
