"""Notices that a client has gone away while its handler waits for something else.

Takes the client's socket and a function; calls that once, in gevent's hub, when the peer has closed or reset. Bytes
that wait unread (a pipelined request) are no end: the socket is then asked now and then instead of at each event. Costs
a few microseconds to start and stop. Knows nothing of HTTP.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Any, Self

import gevent
from gevent.monkey import get_original

_READ = 1
_ASK_AGAIN = 0.5
# Linux tells the peer's end even behind unread bytes; elsewhere peeking shows it only when nothing is unread.
_PEER_ENDED = getattr(select, "POLLRDHUP", 0)
_BROKEN = select.POLLHUP | select.POLLERR | select.POLLNVAL | _PEER_ENDED
_poll: Callable[[], Any] = get_original("select", "poll")


class Watch:
    """Watches from its making until ``stop``. ``on_gone`` runs in the hub: it must neither block nor raise."""

    __slots__ = ("_fd", "_on_gone", "_sock", "_timer", "_watcher")

    def __init__(self, sock: socket.socket, on_gone: Callable[[], object]) -> None:
        self._sock = sock
        self._fd = sock.fileno()
        self._on_gone: Callable[[], object] | None = on_gone
        self._timer: Any = None
        self._watcher: Any = None
        if self._fd < 0:
            self._gone()
            return
        self._watcher = gevent.get_hub().loop.io(self._fd, _READ)
        self._watcher.start(self._readable)

    @property
    def active(self) -> bool:
        """Whether it still watches."""
        return self._on_gone is not None

    def stop(self) -> None:
        """Watch no more; may be called again, and must be before the socket is closed."""
        self._on_gone = None
        for watcher in (self._watcher, self._timer):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        self._watcher = self._timer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _gone(self) -> None:
        on_gone = self._on_gone
        self.stop()
        if on_gone is not None:
            on_gone()

    def _readable(self) -> None:
        if self._ended():
            self._gone()
        elif self._watcher is not None:
            # The event would come again at once and for ever.
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
            self._timer = gevent.get_hub().loop.timer(_ASK_AGAIN, _ASK_AGAIN)
            self._timer.start(self._asked)

    def _asked(self) -> None:
        if self._ended():
            self._gone()

    def _ended(self) -> bool:
        if self._sock.fileno() != self._fd:
            # Closed and perhaps somebody else's number by now.
            return True
        poller = _poll()
        poller.register(self._fd, select.POLLIN | _PEER_ENDED)
        ready = poller.poll(0)
        if any(events & _BROKEN for _, events in ready):
            return True
        return bool(ready) and not _PEER_ENDED and self._peeked_end()

    def _peeked_end(self) -> bool:
        try:
            return self._sock.recv(1, socket.MSG_PEEK) == b""
        except ValueError:
            # TLS sockets can't peek.
            return False
        except OSError:
            return True
