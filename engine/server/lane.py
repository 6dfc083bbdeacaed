"""The process beside the workers that serves heavy requests: a worker of its own, behind a private socket.

Built when the first of them comes, and brought up to date as any worker is. What it takes from its callers, who are
the workers, is what they know of theirs: address and request id. Its stalls hold up no worker.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import gevent
from gevent.monkey import get_original
from gevent.pool import Pool
from gevent.server import StreamServer

from engine.relay.ingress.lane import PEER, REQUEST, REQUEST_ID, opened
from engine.server.children import Child, close_now
from engine.server.http.connection import ClientConnection
from engine.server.http.head import Environ, Head
from engine.server.worker import ShortWorker

_LOOK = 0.2
_readable: Callable[..., Any] = get_original("select", "select")
_CONNECTIONS = 2_048


class LaneApplication(Protocol):
    """What the process takes of the application that it serves."""

    is_lane: bool
    """Whether this process is the one for large requests."""
    cfg: Any
    """gunicorn's settings."""

    def close(self) -> None:
        """At the end: what waits is written."""


class LaneWorker(ShortWorker):
    """A worker whose callers are the other workers. It takes requests until it is told a second time to stop."""

    last_words = 4
    cuts_idle = False
    most_stall = 0
    told = 0

    def patch(self) -> None:
        """Its socket is one of gevent's already."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        """The first time: what is open goes on for its time, and the workers may still send more."""
        self.told += 1
        self.alive = False

    def wait_for_first(self) -> bool:
        """Wait for the first large request; until then nothing is built, and no connection opened. False when told."""
        waited, sock = 0.0, self.sockets[0]
        while not _readable([sock], [], [], _LOOK)[0]:
            waited += 0 if self.alive else _LOOK
            if self.told > 1 or waited > self.cfg.graceful_timeout or os.getppid() != self.ppid:
                return False
        return True

    def serve(self) -> None:
        """Take connections until both are over: the time, and what is open."""
        sock = self.sockets[0]
        server = StreamServer(sock, handle=partial(self.handle, sock.getsockname()), spawn=Pool(_CONNECTIONS))
        server.start()
        waited = 0.0
        while self.told < 2 and waited <= self.cfg.graceful_timeout:
            self.notify()
            gevent.sleep(_LOOK)
            waited += 0 if self.alive else _LOOK
        server.close()

    def _respond(self, link: ClientConnection, head: Head, env: Environ, rest: bytes) -> bool:
        env["REMOTE_ADDR"] = env.pop(PEER, "")
        env[REQUEST_ID] = env.pop(REQUEST, "")
        return super()._respond(link, head, env, rest)


def child(app: LaneApplication, data: Path, listeners: Iterable[Any], log: Any) -> tuple[str, Child]:
    """Where the workers find it, and the process to keep running; the socket is bound here, in the master.

    ``listeners`` are the server's own sockets, which are none of its business.
    """
    path, listener = opened(data)

    def body(sender: int) -> None:
        app.is_lane = True
        close_now(sock.fileno() for sock in listeners)
        worker = LaneWorker(0, os.getppid(), [listener], app, app.cfg.timeout, app.cfg, log)
        worker.pid = os.getpid()
        worker.max_requests = sys.maxsize
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, worker.handle_exit)
        if not worker.wait_for_first():
            return
        try:
            worker.init_process()
        except SystemExit:
            pass
        finally:
            app.close()

    return path, Child("process for large requests", body)
