"""The process that follows a Git remote: each new commit is handed to the compiling process, which publishes it or not.

A commit with faults changes nothing and is told, in ``git.json`` beside the programs, and from there in ``/readyz`` and
``gatewright releases status``. Only a commit that follows the one before it is taken. Each machine follows by itself;
what one has published the others find done. A signed webhook (``Releases.wake_git``) makes the next look due.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path
from typing import Any

from engine.errors import GatewrightError
from engine.releases.desk import Desk
from engine.releases.git import Mirror, Remote
from engine.releases.store import Releases
from engine.transport.egress import Guard

_STEP = 0.2
_PAUSE = 2.0
"""Seconds between two looks, however often somebody asks for one."""
_AGAIN = 20
"""After so many rounds a commit that was refused is tried again: what it lacked may be there."""
OWNER = "git"


class Puller:
    """The loop of the process."""

    def __init__(
        self, remote: Remote, every: float, data: Path, programs: Path, guard: Guard, log: logging.Logger
    ) -> None:
        self._remote = remote
        self._every = every
        self._guard = guard
        self._place = data / "git"
        self._asked = False
        self._releases = Releases(programs)
        self._desk = Desk(programs)
        self._log = log
        self._state: dict[str, Any] = {"url": remote.shown, "branch": remote.branch}
        self._rounds = 0
        self._woken = self._releases.wake_mark()

    def run(self, _message: int) -> None:
        """Follow the remote until the parent is gone; asked by HUP, at once."""
        parent = os.getppid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, self._on_hup)
        while os.getppid() == parent:
            ready = self._desk.there()  # at a start, the first compile comes before
            if ready:
                self._woken = self._releases.wake_mark()
                self.round()
            looked = time.monotonic()
            self._asked = False
            while not self._due(looked, self._every if ready else 1.0) and os.getppid() == parent:
                time.sleep(_STEP)

    def _due(self, looked: float, every: float) -> bool:
        """Whether it is time for the next look, after one at ``looked``."""
        since = time.monotonic() - looked
        return self._asked or since > every or (since > _PAUSE and self._releases.wake_mark() != self._woken)

    def _on_hup(self, *_: object) -> None:
        self._asked = True

    def round(self) -> None:
        """Fetch once, and have what is new published."""
        before = dict(self._state)
        try:
            self._look()
        except GatewrightError as error:
            self._state["error"] = str(error)
        except Exception as error:  # the process must outlive whatever a remote sends
            self._log.exception("following %s failed", self._remote.shown)
            self._state["error"] = f"{type(error).__name__}"
        if self._state != before:
            if self._state.get("error") and self._state.get("error") != before.get("error"):
                self._log.warning("git: %s", self._state["error"])
            elif self._state.get("applied") != before.get("applied"):
                self._log.info("git: %s runs", str(self._state["applied"])[:12])
            self._releases.write_git(self._state)

    def _look(self) -> None:
        mirror = Mirror(self._remote, self._place, self._guard)
        commit = mirror.fetch()
        self._rounds += 1
        if commit == self._state.get("commit") and (not self._state.get("error") or self._rounds % _AGAIN):
            return
        self._state["commit"] = commit
        last = self._desk.ask("commit")
        if last == commit:  # it was published already; if somebody went back since, that stands
            self._state |= {"applied": commit, "error": ""}
            return
        if last and not mirror.follows(commit, last):
            if mirror.follows(last, commit):
                self._state |= {"applied": last, "error": ""}  # another machine is ahead
                return
            words = f"{self._remote.branch} was rewritten: {commit[:12]} does not follow {last[:12]}, which runs"
            self._state["error"] = f"{words}; nothing was changed: push a commit on top of {last[:12]}"
            return
        if signers := self._desk.ask("signers"):
            mirror.signed(commit, signers)
        made = self._desk.ask(
            "apply",
            files=mirror.files(commit),
            owner=OWNER,
            prune=True,
            source=commit,
            message=mirror.subject(commit),
            author={"id": 0, "name": OWNER},
            root=True,
        )
        if made["ok"]:
            self._state |= {"applied": commit, "error": "", "release": made["release"]}
        else:
            faults = [_in_words(fault) for fault in made["faults"] if fault["severity"] == "error"]
            self._state["error"] = f"{commit[:12]} is refused: " + "; ".join(faults[:5])


def _in_words(fault: dict[str, Any]) -> str:
    near = f"; did you mean {fault['nearest']}" if "nearest" in fault else ""
    return f"{fault['file']}:{fault['line']}: {fault['message']}{near}"
