"""What a request head must be before it is served, the same on the short path and on gunicorn's own.

Whatever two programs on the way could read in two ways is refused: that is how requests are smuggled. Takes parts of a
head, gives a ``HeadError`` or nothing; knows no socket and no worker.
"""

from __future__ import annotations

import re

from engine import bounds
from engine.errors import GatewrightError

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
MAX_LINE = bounds.REQUEST_LINE.most
MAX_FIELD = bounds.HEADER.most
MAX_FIELDS = bounds.HEADERS.most
MAX_HEAD = bounds.HEAD.most
MAX_LENGTH_DIGITS = 15
UNDERSCORED = "gatewright.header."
"""Begins the environ keys of headers with an underscore in their names, as some agents send them."""
_TELLING = ("content-", "transfer-", "x-forwarded", "x-real-", "x-original-", "x-http-", "proxy-", "keep-")
"""How names begin by which a request's end, its sender or its target are told, here or before or behind."""
SINGLETONS = frozenset(("HTTP_HOST", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_AUTHORIZATION"))
"""Environ keys of headers that may stand once only."""

REQUEST_LINE = re.compile(rb"([A-Z]{3,20}) ([!-~]+) HTTP/1\.([01])")
_ABSOLUTE = re.compile(r"https?://([^/?#@]+)(?=[/?]|$)", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9._~!$&'()*+;=%:\[\]-]*")

REASONS = {
    400: "Bad Request",
    405: "Method Not Allowed",
    408: "Request Timeout",
    414: "URI Too Long",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    505: "HTTP Version Not Supported",
}


class HeadError(GatewrightError):
    """A head that is not served: the status to answer and one sentence why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


def check_underscored(name: str) -> None:
    """Refuse a header's name that whoever takes underscores for dashes reads as one that requests are told apart by."""
    if "_" in name and name.lower().replace("_", "-").startswith(_TELLING):
        raise HeadError(400, "a header name has an underscore where a dash belongs")


def check_host(host: str | None, version_1_1: bool) -> None:
    """A request of HTTP/1.1 names its host, and a host is a host."""
    if host is None:
        if version_1_1:
            raise HeadError(400, "the Host header is missing")
    elif not _HOST.fullmatch(host):
        raise HeadError(400, "the Host header has characters that no host has")


def check_target(method: str, target: str, host: str | None) -> None:
    """A target is a path, ``*`` for OPTIONS, or an absolute URI whose authority is the Host header's."""
    if target[0] == "/" and method in METHODS and "#" not in target and len(target) <= MAX_LINE:
        return
    if method not in METHODS:
        raise HeadError(405, f"method {method} is not served here")
    if len(target) > MAX_LINE:
        raise HeadError(414, f"the request line is longer than {MAX_LINE} bytes")
    if "#" in target:
        raise HeadError(400, "the request target has a fragment")
    if target == "*" and method == "OPTIONS":
        return
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        raise HeadError(400, "the request target is neither a path nor an absolute http URI")
    if host is None or absolute[1].lower() != host.lower():
        raise HeadError(400, "the request target and the Host header name different hosts")


def check_transfer(coding: str | None, length: str | None, version_1_1: bool) -> None:
    """A body in chunks has no other coding and no length; codings of its content stand in Content-Encoding."""
    if coding is None:
        return
    if length is not None or not version_1_1:
        raise HeadError(400, "Transfer-Encoding does not go with Content-Length or HTTP/1.0")
    if coding.strip().lower() != "chunked":
        raise HeadError(501, "Transfer-Encoding must be chunked and nothing else")


def length_of(text: str) -> int:
    """A Content-Length, digits only and of sane size."""
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_LENGTH_DIGITS):
        raise HeadError(400, "Content-Length is not a number")
    return int(text)


def bad_line(line: bytes) -> HeadError:
    """Why a request line did not match ``REQUEST_LINE``."""
    if len(line) > MAX_LINE:
        return HeadError(414, f"the request line is longer than {MAX_LINE} bytes")
    if re.fullmatch(rb"[A-Z]{3,20} [!-~]+ HTTP/[0-9]\.[0-9]", line):
        return HeadError(505, "only HTTP/1.0 and HTTP/1.1 are served here")
    return HeadError(400, "the request line is malformed")


def complete(data: bytes) -> bool:
    """Whether a whole head has come; one that can't become good is refused before its end."""
    end = data.find(b"\r\n\r\n")
    if (end if end >= 0 else len(data)) > MAX_HEAD:
        raise HeadError(431, f"the head is longer than {MAX_HEAD} bytes")
    if end >= 0:
        return True
    if data.count(b"\n") != data.count(b"\r\n"):
        raise HeadError(400, "a line ends with a bare CR or LF")
    if b"\r\n" not in data and len(data) > MAX_LINE:
        raise HeadError(414, f"the request line is longer than {MAX_LINE} bytes")
    return False
