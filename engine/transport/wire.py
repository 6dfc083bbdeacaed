"""The bytes of an HTTP/1.1 request, and the reading of the answer's head and body out of raw bytes.

``request_bytes`` gives head and body in one piece of bytes. ``Reading`` is the protocol object of one connection's
parser: fed with what arrived, it gathers status, headers and body pieces and knows whether the message is whole. Both
refuse what could split a message. Neither knows sockets, pools or content codings.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from engine.transport.faults import TransportError
from engine.transport.limits import Limits
from engine.transport.spool import Body, Pieces
from engine.transport.url import Url

Headers = Sequence[tuple[str, str]]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_SPLITTING = re.compile(r"[\r\n\0]|[^\x00-\xff]")
_OURS = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "keep-alive",
        "te",
        "trailer",
        "expect",
        "proxy-connection",
    }
)
# PERF: names come from documents and repeat; a look-up is 0.04 us, the pattern 0.4 us.
_names: dict[str, str] = {}
_NAMES_KEPT = 4096
# PERF: most calls of a channel have the same head; a look-up is a tenth of writing it. At most 1 MB is kept.
_heads: dict[tuple[Any, ...], bytes] = {}
_HEADS_KEPT, _HEAD_KEPT = 512, 2048
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "DELETE"})


def header_name(name: str) -> str:
    """The lower-case name, if it is a token and not one that the leg writes itself."""
    lower = _names.get(name)
    if lower is None:
        lower = name.lower()
        if not _TOKEN.match(name):
            raise TransportError("invalid", f"header name {name[:80]!r} holds a character that no name may hold")
        if lower in _OURS:
            raise TransportError("invalid", f"header {lower!r} is written by the gateway itself: leave it out")
        if len(_names) < _NAMES_KEPT:
            _names[name] = lower
    return lower


def request_bytes(method: str, url: Url, headers: Headers, body: Body) -> bytes | Pieces:
    """Head and body of a request, ready for one ``send``; in pieces where the body is."""
    key: tuple[Any, ...] = (method, url.target, url.authority, *headers)
    head = _heads.get(key)
    if head is None:
        head = _head(method, url, headers)
        if len(head) <= _HEAD_KEPT:
            if len(_heads) >= _HEADS_KEPT:
                _heads.clear()
            _heads[key] = head
    if not isinstance(body, bytes):
        return Pieces((b"%bContent-Length: %d\r\n\r\n" % (head, len(body)), body))
    if body or method not in _BODILESS:
        return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
    return head + b"\r\n"


def _head(method: str, url: Url, headers: Headers) -> bytes:
    """The request line and all headers but the length, each with its line end."""
    if not _TOKEN.match(method):
        raise TransportError("invalid", "the method is no token")
    lines = [f"{method} {url.target} HTTP/1.1\r\nHost: {url.authority}"]
    identity = True
    for name, value in headers:
        if header_name(name) == "accept-encoding":
            identity = False
        lines.append(f"{name}: {value}")
    if identity:
        lines.append("Accept-Encoding: identity")
    head = "\r\n".join(lines)
    # PERF: one count over the head instead of a search per value; any CR or LF of a value shows as a surplus.
    if head.count("\n") != len(lines) or head.count("\r") != len(lines) or "\0" in head:
        raise TransportError("invalid", f"{_culprit(headers)} holds a line end or a NUL")
    try:
        return head.encode("latin-1") + b"\r\n"
    except UnicodeEncodeError:
        raise TransportError("invalid", f"{_culprit(headers)} holds a letter beyond latin-1") from None


def _culprit(headers: Headers) -> str:
    for name, value in headers:
        if _SPLITTING.search(value):
            return f"the value of header {name!r}"
    return "the request's target"


class ResponseReading:
    """The answer on one connection, filled by the parser's callbacks; ``begin`` makes it ready for the next answer."""

    __slots__ = (
        "_counted", "_interim", "_limits", "_parser", "_quiet", "bare", "complete", "head_done", "header_list",
        "headers", "pieces", "reusable", "status", "until_close",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parser = HttpResponseParser(self)
        self.begin(bare=False)

    def begin(self, *, bare: bool) -> None:
        """Forget the last answer; ``bare``: this one has no body whatever its head says (HEAD)."""
        self.bare = bare
        self.status = 0
        self.headers: dict[str, str] = {}
        self.header_list: list[tuple[str, str]] = []
        self.pieces: list[bytes] = []
        self.head_done = self.complete = self.until_close = False
        self.reusable = True
        self._interim = False
        self._quiet = self._counted = 0

    def feed(self, data: bytes) -> None:
        """Take what arrived; raises ``TransportError`` (protocol) on bytes that no HTTP/1.1 answer may hold."""
        had = len(self.pieces)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            raise TransportError("protocol", "the upstream switched protocols unasked") from None
        except HttpParserError as ex:
            cause = ex.__context__
            if isinstance(cause, TransportError):
                raise cause from None
            if not self.complete:
                raise TransportError("protocol", f"the upstream's answer is no sound http/1.1: {ex}") from None
            self.reusable = False
        if len(self.pieces) == had and not self.complete:
            # Bytes that bring no body: head, interim answers, chunk extensions, trailers. They must end some time.
            self._quiet += len(data)
            if self._quiet > self._limits.head_bytes:
                raise TransportError("protocol", f"the upstream's head is longer than {self._limits.head_bytes} bytes")
        else:
            self._quiet = 0

    def end(self) -> bool:
        """The connection ended: whether that is a proper end of this answer."""
        if not self.complete and self.until_close:
            self.complete = True
        self.reusable = False
        return self.complete

    def take(self) -> bytes:
        """The body bytes that are there, as one piece."""
        pieces = self.pieces
        if not pieces:
            return b""
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return piece

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        if self.complete:
            # Something came after the answer: not ours, so the connection is done for.
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.complete:
            return
        self._counted += 1
        if self._counted > self._limits.headers:
            raise TransportError("protocol", f"the upstream's answer has more than {self._limits.headers} headers")
        if not self.head_done:
            self.header_list.append((name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        status = self._parser.get_status_code()
        if status < 200:
            if status < 100 or status == 101:
                raise TransportError("protocol", f"the upstream answered with status {status}, which nobody asked for")
            self._interim = True
            self.header_list.clear()
            return
        headers = self.headers
        for name, value in self.header_list:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        coding = headers.get("transfer-encoding")
        if coding is not None and coding.lower() != "chunked":
            raise TransportError(
                "protocol", f"the upstream used transfer-encoding {coding[:40]!r}: only chunked is read"
            )
        self.status = status
        self.head_done = True
        bodiless = self.bare or status in (204, 304)
        self.until_close = not bodiless and coding is None and "content-length" not in headers
        if bodiless:
            # With HEAD the parser would wait for the body that the length announces, so this connection ends here.
            self.complete = True
            self.reusable = not self.bare

    def on_body(self, data: bytes) -> None:
        if not self.complete:
            self.pieces.append(data)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
            return
        if self.complete and not self.bare and self.status not in (204, 304):
            self.reusable = False
        self.complete = True
        if self.until_close or not self._parser.should_keep_alive():
            self.reusable = False
