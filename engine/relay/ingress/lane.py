"""The lane: heavy requests are served by one process beside the workers, so that nobody waits for them here.

That process is this program once more, behind a socket that only this user can open. A worker that has read a body
which is long, or holds very many values, hands the request on whole, and passes the answer back as it comes. Knows no
format; what is served there is served as by any worker.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from engine.bounds import HEAVY, HERE, MARKS_HERE, VALUES_HERE
from engine.errors import CallError
from engine.relay.call import Reply
from engine.relay.ingress.structure import at_most, values
from engine.transport import local
from engine.transport.connection import Handle
from engine.transport.faults import TransportError

if TYPE_CHECKING:
    from pathlib import Path

    from engine.relay.call import Call
    from engine.transport.answer import LegAnswer

log = logging.getLogger(__name__)
PEER = "HTTP_X_GATEWRIGHT_PEER"
REQUEST = "HTTP_X_GATEWRIGHT_REQUEST"
"""Environ keys of what the worker knows of the caller. Believed on the private socket and nowhere else."""
REQUEST_ID = "gatewright.request_id"
_NOT_ON = frozenset(
    f"HTTP_{name}"
    for name in (
        "CONNECTION", "CONTENT_ENCODING", "EXPECT", "HTTP2_SETTINGS", "KEEP_ALIVE", "PROXY_CONNECTION", "TE", "TRAILER",
        "TRANSFER_ENCODING", "UPGRADE",
    )
) | {PEER, REQUEST}  # fmt: skip
_NOT_BACK = frozenset({"connection", "content-length", "date", "keep-alive", "transfer-encoding"})
_NAME = "heavy.sock"
_LIGHT = 65_536
_ANSWER = 1 << 30
_MOST_ASIDES = 4


def is_heavy(raw: bytes) -> bool:
    """Whether a body takes longer than others should wait. PERF: one look at the length of most.

    Commas in texts are no values: where they may be many, they are told apart, in 1 to 10 ms per MB. Where they are
    very many, the texts may be JSON, which is read too when it is converted.
    """
    size = len(raw)
    if size <= _LIGHT:
        return False
    marks = 0 if size > HERE.most else at_most(raw)
    if size > HERE.most or marks > MARKS_HERE.most:
        return True
    return marks > VALUES_HERE.most and values(raw) > VALUES_HERE.most


def opened(data: Path) -> tuple[str, Any]:
    """The path by which workers find the lane, and the socket on which it listens, below the data directory."""
    path = local.socket_path(data / _NAME)
    return path, local.listen(path)


class Lane:
    """A worker's door to the process for heavy requests, behind the socket at ``path``."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.open = 0
        """Requests that are served there now."""
        self._bytes = 0
        self._asides = 0
        self.served = 0

    def serve(self, call: Call, environ: dict[str, Any], raw: bytes) -> Reply:
        """Hand a request on with its decoded body; the reply's stream is the other process's answer as it comes.

        It is none of the calls that a worker ends when it must stop: that process ends it, and in its format.
        """
        if self.open and self._bytes + len(raw) > HEAVY.most:
            raise CallError("overloaded", "too many large requests are being served; try again soon", wait=5)
        handle = Handle()
        unwatch = call.watch(handle.abort) if call.watch is not None else _nothing
        return self._serve(environ, raw, call.request_id, handle, unwatch)

    def pass_on(self, environ: dict[str, Any], request_id: str) -> Reply:
        """Hand on a request without a body that takes long to answer and is no call; a few at a time."""
        if self._asides >= _MOST_ASIDES:
            raise CallError("overloaded", "too many such questions are being answered; try again soon", wait=5)
        self._asides += 1

        def ended() -> None:
            self._asides -= 1

        return self._serve(environ, b"", request_id, Handle(), ended)

    def _serve(
        self, environ: dict[str, Any], raw: bytes, request_id: str, handle: Handle, ended: Callable[[], None]
    ) -> Reply:
        size = len(raw)
        self.open += 1
        self._bytes += size

        def leave() -> None:
            self.open -= 1
            self._bytes -= size
            ended()

        try:
            answer = local.send(self.path, _head(request_id, environ, size), raw, handle)
            headers = [(name, value) for name, value in answer.header_list if name.lower() not in _NOT_BACK]
            self.served += 1
            if "content-length" in answer.headers:
                body = answer.read(_ANSWER)
                leave()
                return Reply(answer.status, headers, body)
        except TransportError as ex:
            leave()
            log.warning("call %s: the process for large requests: %s", request_id, ex)
            raise CallError("unavailable", "large requests can't be served just now; try again soon", wait=2) from None
        except BaseException:
            leave()
            raise
        return Reply(answer.status, headers, stream=_pieces(answer, leave))


def _nothing() -> None:
    """There is nobody to watch."""


def _pieces(answer: LegAnswer, leave: Callable[[], None]) -> Iterator[bytes]:
    try:
        yield from answer.pieces()
    except TransportError as ex:
        raise ConnectionError(f"the process for large requests: {ex}") from None
    finally:
        leave()


def _head(request_id: str, environ: dict[str, Any], length: int) -> bytes:
    """The request's head as it came, but for the framing of its body and with what is known of the caller."""
    target = environ.get("RAW_URI") or ""
    if not target.startswith("/"):
        query = environ.get("QUERY_STRING", "")
        target = quote(environ["PATH_INFO"].encode("latin-1")) + (f"?{query}" if query else "")
    headers = {key[5:]: value for key, value in environ.items() if key.startswith("HTTP_") and key not in _NOT_ON}
    headers.setdefault("HOST", "gatewright")
    if environ.get("CONTENT_TYPE"):
        headers["CONTENT_TYPE"] = environ["CONTENT_TYPE"]
    headers |= {"CONTENT_LENGTH": str(length), "CONNECTION": "close"}
    headers |= {PEER[5:]: environ.get("REMOTE_ADDR", ""), REQUEST[5:]: request_id}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"{environ['REQUEST_METHOD']} {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")
