"""The process beside the workers that tells ``/metrics``: from shared memory, so it is exact after any worker's death.

It holds no database and no connection to anybody; the workers' doors to it are behind a socket that this user alone can
open.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from gevent.pywsgi import WSGIServer

from engine.relay.metrics.exposed import CONTENT_TYPE, SOCKET, Exposition
from engine.relay.services import counted
from engine.server.children import Child, close_now
from engine.transport import local

if TYPE_CHECKING:
    from engine.settings import Settings

_LOOK = 0.5
Start = Callable[[str, list[tuple[str, str]]], object]


def child(settings: Settings, listeners: Iterable[Any]) -> tuple[str, Child]:
    """Where the workers find it, and the process to keep running; the socket is bound here, in the master.

    ``listeners`` are the server's own sockets, which are none of its business.
    """
    path = local.socket_path(settings.data / SOCKET)
    listener = local.listen(path)

    def body(sender: int) -> None:
        close_now(sock.fileno() for sock in listeners)
        parent, stop = os.getppid(), Event()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        gevent.signal_handler(signal.SIGTERM, stop.set)
        told = counted(settings)
        server = WSGIServer(gevent.socket.socket(fileno=listener.fileno()), _app(told), log=None, error_log=None)
        server.start()
        while not stop.wait(_LOOK) and os.getppid() == parent:
            pass
        server.stop(timeout=1)

    return path, Child("process for metrics", body)


def _app(told: Exposition) -> Callable[[dict[str, Any], Start], list[bytes]]:
    def serve(environ: dict[str, Any], start: Start) -> list[bytes]:
        text = told.text().encode()
        start("200 OK", [("content-type", CONTENT_TYPE), ("content-length", str(len(text)))])
        return [text]

    return serve
