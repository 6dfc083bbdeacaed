"""The gunicorn application of ``gatewright serve``: what the master prepares, and what each worker builds.

In the master: a watcher compiles, the database is brought up, the Program is loaded before the fork. In a worker:
state, Falcon app, and a greenlet that follows new releases. ``monkey.patch_all()`` has run before this is imported.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
from gunicorn.app.base import BaseApplication

from engine import paths, program
from engine.server import lane
from engine.server.arbiter import SpecArbiter
from engine.server.children import Child
from engine.server.config import gunicorn_settings
from engine.server.following import Follower
from engine.server.releases import Releases
from engine.server.watcher import Watcher
from engine.settings import Settings
from engine.storage.database import StorageError

if TYPE_CHECKING:
    from engine.server.building import State

Build = Callable[[Settings, program.Program, Callable[[], dict[str, Any]]], "tuple[State, Any]"]

_FIRST_COMPILE = 120.0
_BACKGROUND = 1.0
_SECRETS = 2.0
"""Seconds between looks at the files of secrets."""


class StartError(Exception):
    """The server can't start; the words say why."""


class Gateway(BaseApplication):  # type: ignore[misc]
    """The application. ``directories`` are layers of documents, ``build`` makes a worker's state and app.

    ``beside`` are further processes to keep running, ``meanwhile`` is done while the first compile runs, ``announce``
    once the port is bound. ``heavy``: a process beside the workers serves large requests.
    """

    def __init__(
        self,
        settings: Settings,
        directories: Sequence[Path],
        build: Build,
        *,
        beside: Sequence[Child] = (),
        meanwhile: Callable[[], None] = lambda: None,
        announce: Callable[[], None] = lambda: None,
        heavy: bool = False,
    ) -> None:
        self.settings = settings
        self.releases = Releases(settings.program_directory)
        self.build = build
        self.announce = announce
        self.meanwhile = meanwhile
        self.heavy = heavy
        self.lane: Child | None = None
        self.lane_path = ""
        self.is_lane = False
        """Whether this process is the one for large requests."""
        self.master = os.getpid()
        self.log = logging.getLogger("gunicorn.error")
        watcher = Watcher(directories, settings.program_directory, self.log, [paths.TEMPLATES / "fragments"])
        self.watcher = Child("watcher", watcher.run)
        self.children = [self.watcher, *beside]
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

    def prepare(self) -> None:
        """Wait for the first compile and load the Program that workers will share."""
        self.releases.prepare()
        for child in self.children:
            child.start()
        self.meanwhile()
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
        if self.lane_path and not self.is_lane:
            self.state.hand_on_to(self.lane_path)
        follower = Follower(self.releases, self.program.hash, self.state.swap, self.log)
        follower.follow()
        gevent.spawn(follower.run)
        gevent.spawn(self._again, self.settings.sync_frequency, self.state.refresh, "channels and options")
        gevent.spawn(self._again, _SECRETS, self.state.follow_secrets, "secrets")
        gevent.spawn(self._again, _BACKGROUND, self.state.follow_background, "answers in the background")
        return app

    def _again(self, seconds: float, read: Callable[[], None], what: str) -> None:
        """Read something again and again."""
        said = ""
        while True:
            gevent.sleep(seconds)
            try:
                read()
                if said:
                    self.log.info("%s are read again", what)
                said = ""
            except StorageError as error:  # the database is away; it is said once, by the class of the fault
                if said != "away":
                    self.log.warning("%s can't be read now, those of before hold: %s", what, error)
                said = "away"
            except Exception as error:  # a file may be wrong; what is held goes on
                if said != str(error):
                    self.log.exception("%s can't be read again", what)
                said = str(error)

    def drain(self) -> None:
        """Shortly before a stopping worker's time is over."""
        if self.state is not None:
            self.state.drain()

    def close(self) -> None:
        """At a worker's end: what waits is written."""
        if self.state is not None:
            self.state.close()
