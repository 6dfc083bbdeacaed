"""The desk: workers ask the compiling process for what takes a compiler, over a socket that only this user can open.

One question is one line of JSON, ``{"do": NAME, ...}``, and so is its answer: ``{"answer": ...}``, or
``{"error": CLASS, "message": ...}``, which becomes the same error on the worker's side. One question at a time: a
compile takes a processor whole.
"""

from __future__ import annotations

import json
import logging
import select
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.errors import Conflict, Forbidden, GatewrightError, Internal, Invalid, NotFound, Unavailable
from engine.transport import local

Doings = Mapping[str, Callable[[dict[str, Any]], Any]]
"""What can be asked for, by name."""
NAME = "desk.sock"
MOST = 32 * 1024 * 1024
"""Bytes of a question or an answer."""
_ASKED_WITHIN = 10.0
_ANSWERED_WITHIN = 120.0
_TOLD: tuple[type[GatewrightError], ...] = (NotFound, Conflict, Forbidden, Unavailable)


class Desk:
    """A worker's side."""

    def __init__(self, programs: Path) -> None:
        self._path = local.socket_path(programs / NAME)

    def there(self) -> bool:
        """Whether somebody listens."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            return sock.connect_ex(self._path) == 0

    def ask(self, what: str, **values: Any) -> Any:
        """Ask, and wait for the answer. Raises what the other side raised, ``Unavailable`` where nobody is there."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(_ANSWERED_WITHIN)
            try:
                sock.connect(self._path)
                sock.sendall(json.dumps({"do": what, **values}).encode() + b"\n")
                reply = json.loads(_line(sock))
            except (OSError, ValueError):
                raise Unavailable("the process that compiles documents does not answer; try again soon") from None
        if "error" in reply:
            raise _raised(reply)
        return reply["answer"]


class Counter:
    """The compiling process's side: where it listens, and what it does for who asks."""

    def __init__(self, programs: Path, doings: Callable[[], Doings], log: logging.Logger) -> None:
        self._sock = local.listen(local.socket_path(programs / NAME))
        self._make = doings
        self._doings: Doings | None = None
        self._log = log

    def serve(self, seconds: float) -> bool:
        """Wait so long for a question and answer it; whether there was one."""
        ready, _, _ = select.select([self._sock], [], [], seconds)
        if not ready:
            return False
        sock, _ = self._sock.accept()
        with sock:
            sock.settimeout(_ASKED_WITHIN)
            try:
                question = json.loads(_line(sock))
                sock.sendall(json.dumps(self._answer(question)).encode() + b"\n")
            except (OSError, ValueError):
                pass  # who asked has gone, or was none of ours
        return True

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._doings is None:  # PERF: what it imports takes a second, which a start should not wait for
            self._doings = self._make()
        doing = self._doings.get(str(question.pop("do", "")))
        if doing is None:
            return _told(Internal("the compiling process knows nothing of this question"))
        try:
            return {"answer": doing(question)}
        except GatewrightError as error:
            return _told(error)
        except Exception as error:  # the process must outlive whatever it is asked
            self._log.exception("a question of a worker failed")
            return _told(Internal(f"the compiler failed: {type(error).__name__}"))

    def close(self) -> None:
        """Listen no more."""
        self._sock.close()


def _line(sock: socket.socket) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n"):
        piece = sock.recv(1 << 16)
        if not piece or len(data) > MOST:
            raise OSError("the other side ended in the middle of a line")
        data += piece
    return bytes(data)


def _told(error: GatewrightError) -> dict[str, Any]:
    if isinstance(error, Invalid):
        return {"error": "Invalid", "field": error.field, "message": str(error)}
    kind = next((kind for kind in _TOLD if isinstance(error, kind)), Internal)
    return {"error": kind.__name__, "message": str(error)}


def _raised(reply: dict[str, Any]) -> GatewrightError:
    message = str(reply.get("message", ""))
    if reply["error"] == "Invalid":
        return Invalid(str(reply.get("field", "")), message)
    kind = next((kind for kind in _TOLD if kind.__name__ == reply["error"]), Internal)
    return kind(message)
