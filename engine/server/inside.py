"""A call of the gateway by itself: the app is given a request that no connection brought.

``call`` gives status, headers and body; a stream is read to its end. Knows no routes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class InsideAnswer:
    """What was answered."""

    status: int
    headers: dict[str, str]
    pieces: Iterator[bytes]
    """The body; whoever reads it to its end, or closes it, ends the call."""


def call(app: Any, path: str, body: bytes, key: str, ip: str, headers: Mapping[str, str] | None = None) -> InsideAnswer:
    """Make a POST of JSON; ``path`` may end in a query, ``headers`` go with it."""
    path, _, query = path.partition("?")
    head: list[Any] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "inside",
        "SERVER_PORT": "0",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": ip or "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_AUTHORIZATION": f"Bearer {key}",
        "HTTP_USER_AGENT": "gatewright",
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()},
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }

    def start(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        head[:] = [int(status.split()[0]), {name.lower(): value for name, value in headers}]

    pieces = app(environ, start)
    return InsideAnswer(head[0], head[1], _whole(pieces))


def _whole(pieces: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
