"""Processes beside the workers: forked by the master, seen to be alive by a pipe that ends with them, started again.

A child is given the write end of its pipe, over which it may send lines. gunicorn's master reaps every child it has,
so a child's end is not waited for but read from its pipe.
"""

from __future__ import annotations

import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from gevent import monkey
from gevent.os import fork_gevent

from engine.errors import Internal

# gevent's own waitpid hears of ends by a signal that gunicorn's master takes for itself
_waitpid = monkey.get_original("os", "waitpid")
_close = monkey.get_original("os", "close")
_RESET = [
    getattr(signal, f"SIG{name}")
    for name in ("HUP", "QUIT", "INT", "TERM", "TTIN", "TTOU", "USR1", "USR2", "WINCH", "CHLD", "ABRT")
]
_PAUSE = 1.0
_LONGEST_PAUSE = 30.0


def _name(name: str) -> None:
    """What ``ps -o comm`` and ``top`` call this process: the last word of its name."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name.split()[-1], encoding="ascii")


class Child:
    """A process that is kept running. ``body`` runs in it and gets the descriptor for its messages.

    ``nice``: how far it stands back where processors are scarce (see nice(2)).
    """

    def __init__(self, name: str, body: Callable[[int], None], nice: int = 0) -> None:
        self.name, self._nice = name, nice
        self.pid = 0
        self._body = body
        self._pipe = -1
        self._held = b""
        self._pause = _PAUSE
        self._started = 0.0
        self._next = 0.0

    def start(self) -> None:
        """Fork it."""
        self.close()
        self._held = b""
        self._held = b""
        receiver, sender = os.pipe()
        pid = fork_gevent()
        if pid == 0:
            code = 1
            try:
                os.close(receiver)
                _name(self.name)
                os.nice(self._nice)
                for signal_number in _RESET:
                    signal.signal(signal_number, signal.SIG_DFL)
                self._body(sender)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(sender)
        os.set_blocking(receiver, False)
        self.pid, self._pipe, self._started = pid, receiver, time.monotonic()

    def alive(self) -> bool:
        """Whether it still runs."""
        if self._pipe < 0:
            return False
        while True:
            try:
                data = os.read(self._pipe, 65_536)
            except BlockingIOError:
                return True
            if not data:
                self.close()
                return False
            self._held += data

    def message(self, seconds: float) -> bytes | None:
        """The next line that it sent; nothing when it ended or took too long."""
        end = time.monotonic() + seconds
        while b"\n" not in self._held:
            alive = self.alive()
            if b"\n" in self._held:
                break
            left = end - time.monotonic()
            if not alive or left <= 0:
                return None
            select.select([self._pipe], [], [], min(left, 1.0))
        line, _, self._held = self._held.partition(b"\n")
        return line

    def revive(self) -> bool:
        """Start it again if it has ended, with growing pauses when it does so at once; whether it was started."""
        if self.alive():
            return False
        now = time.monotonic()
        if not self._next:
            quick = now - self._started < 10
            self._pause = min(self._pause * 2, _LONGEST_PAUSE) if quick else _PAUSE
            self._next = now + (self._pause if quick else 0)
        if now < self._next:
            return False
        self._next = 0.0
        self.start()
        return True

    def signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def stop(self, seconds: float = 2.0) -> None:
        """End it: TERM, and KILL when it does not go."""
        self.signal(signal.SIGTERM)
        end = time.monotonic() + seconds
        while self.alive() and time.monotonic() < end:
            time.sleep(0.02)
        self.signal(signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """Let go of its pipe."""
        if self._pipe >= 0:
            os.close(self._pipe)
        self._pipe = -1


def close_now(descriptors: Iterable[int]) -> None:
    """Close files at once, as whoever waits for the last one to let go needs it.

    gevent's own ``os.close`` does it when the loop runs next, which in a process that only waits is never.
    """
    for descriptor in descriptors:
        _close(descriptor)


def in_child(work: Callable[[], bytes]) -> bytes:
    """What ``work`` gives, done in a process of its own so that nothing of it stays here; else a ``ChildError``."""

    def body(sender: int) -> None:
        try:
            answer = b"+" + work()
        except Exception as error:  # told to the parent, which has the words for it
            answer = b"-" + str(error).encode()
        with os.fdopen(sender, "wb") as pipe:
            pipe.write(answer.replace(b"\n", b"\0") + b"\n")

    child = Child("work", body)
    child.start()
    pid = child.pid
    line = child.message(600)
    child.close()
    try:
        _waitpid(pid, 0)
    except ChildProcessError:
        pass  # whoever reaps all children was first
    if line is None or line[:1] != b"+":
        raise ChildError((line or b"-the process ended without a word")[1:].replace(b"\0", b"\n").decode())
    return line[1:].replace(b"\0", b"\n")


class ChildError(Internal):
    """What went wrong in a child."""
