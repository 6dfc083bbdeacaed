"""Writes one answer on the short path: head and first bytes in one send, then one send per item.

Takes what a WSGI app gives to ``start_response`` and yields; gives bytes to ``send``. Knows HTTP/1.1 framing (length,
chunks, answers without a body), not sockets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
Headers = list[tuple[str, str]]

_STATUS = re.compile(r"[1-5][0-9]{2} [ \t\x21-\x7e\x80-\xff]*|[1-5][0-9]{2}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "trailers",
     "transfer-encoding", "upgrade", "server", "date")
)  # fmt: skip
_KINDS: dict[str, int] = {}
"""Header names seen: 0 sent as it is, 1 content-length, 2 dropped, 3 connection."""


_STATUSES: set[str] = set()
"""Status lines that were found sound."""


def _check_status(status: str) -> None:
    if not _STATUS.fullmatch(status):
        raise ValueError(f"invalid status {status!r}")
    if len(_STATUSES) < 1_000:
        _STATUSES.add(status)


def _kind(name: str) -> int:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"invalid header name {name!r}")
    lower = name.lower()
    kind = 3 if lower == "connection" else 2 if lower in _HOP_BY_HOP else 1 if lower == "content-length" else 0
    if len(_KINDS) < 1_000:
        _KINDS[name] = kind
    return kind


class HttpAnswer:
    """The answer to one request."""

    __slots__ = ("_chunked", "_date", "_head_only", "_length", "_send", "close", "sent", "started", "status", "text")

    def __init__(self, send: Callable[[bytes], None], date: bytes, head_only: bool, close: bool) -> None:
        self._send = send
        self._date = date
        self._head_only = head_only
        self._length: int | None = None
        self._chunked = False
        self.close = close
        """Whether the connection ends with this answer."""
        self.started = False
        """Whether the head has left."""
        self.sent = 0
        """Body bytes that left, without framing."""
        self.status = ""
        self.text = ""

    def start(self, status: str, headers: Headers, exc_info: ExcInfo | None = None) -> Callable[[bytes], None]:
        """WSGI's ``start_response``."""
        if exc_info is not None:
            if self.started:
                raise exc_info[1].with_traceback(exc_info[2])
            exc_info = None
        elif self.status:
            raise AssertionError("start_response was called twice")
        if status not in _STATUSES:
            _check_status(status)
        self._length = None
        lines = []
        for name, value in headers:
            kind = _KINDS.get(name)
            if kind is None:
                kind = _kind(name)
            if kind:
                if kind == 1:
                    self._length = int(value)
                elif kind == 3 and "close" in value.lower():
                    self.close = True
                continue
            lines.append(f"{name}: {value}\r\n")
        text = "".join(lines)
        count = len(lines)
        if text.count("\n") != count or text.count("\r") != count or "\0" in text:
            raise ValueError("a header value has a line break or a null")
        self.status = status
        self.text = text
        return self.write

    def _head(self) -> bytes:
        status = self.status
        code = status[:3]
        frame = ""
        bare = code in ("204", "304") or code[0] == "1"
        if bare or self._head_only:
            self._head_only = True
            if self._length is not None and not (bare and code != "304"):
                frame = f"content-length: {self._length}\r\n"
        elif self._length is not None:
            frame = f"content-length: {self._length}\r\n"
        else:
            self._chunked = True
            frame = "transfer-encoding: chunked\r\n"
        if self.close:
            frame += "connection: close\r\n"
        return b"HTTP/1.1 %b\r\n%b%b\r\n" % (
            status.encode("latin-1"),
            self._date,
            (self.text + frame).encode("latin-1"),
        )

    def whole(self, body: bytes) -> None:
        """Send head and a body that is all there is, in one send."""
        if not self.status:
            raise AssertionError("the app did not call start_response")
        if self._length is None:
            self._length = len(body)
        elif self._length < len(body):
            body = body[: self._length]
        elif self._length > len(body) and not self._head_only and self.status[:3] not in ("204", "304"):
            self.close = True  # the promise can't be kept: the client must see the cut
        head = self._head()
        self.started = True
        if self._head_only:
            self._send(head)
        else:
            self.sent = len(body)
            self._send(head + body)

    def write(self, data: bytes) -> None:
        """Send one item of the body; an empty one sends the head alone if that did not leave yet."""
        if not isinstance(data, bytes):
            raise TypeError(f"an app yields bytes, found {type(data).__name__}")
        head = b""
        if not self.started:
            if not self.status:
                raise AssertionError("the app did not call start_response")
            head = self._head()
            self.started = True
        if self._head_only:
            data = b""
        elif self._chunked:
            self.sent += len(data)
            if data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
        elif self._length is not None:
            data = data[: self._length - self.sent]
            self.sent += len(data)
        if head or data:
            self._send(head + data)

    def items(self, result: Iterable[bytes]) -> None:
        """Send what the app yields, item by item, and the end."""
        write = self.write
        for item in result:
            write(item)
        if not self.started:
            if not self._head_only and self._length is None and self.status:
                self._length = 0
            write(b"")
        if self._chunked:
            self._send(b"0\r\n\r\n")
        elif self._length is not None and not self._head_only and self.sent < self._length:
            self.close = True

    def finish(self, result: Any) -> None:
        """Send the app's whole result."""
        if type(result) is list and len(result) == 1 and not self.started:
            item = result[0]
            if not isinstance(item, bytes):
                raise TypeError(f"an app yields bytes, found {type(item).__name__}")
            self.whole(item)
        else:
            self.items(result)
