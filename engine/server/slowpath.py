"""gunicorn's own path for what is unusual: chunked requests, Expect, Upgrade, HTTP/1.0, absolute URIs, PROXY protocol.

A parser of gunicorn's with the rules of the short path added, so that both give the same verdict. Bytes that the short
path has read already are played again by ``Connection.recv``.
"""

from __future__ import annotations

from typing import Any

from gunicorn.http.errors import InvalidHeader, InvalidRequestLine
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser

from engine.relay.ids import fresh_id
from engine.server import rules


class StrictRequest(Request):  # type: ignore[misc]
    """gunicorn's request with our rules."""

    def set_body_reader(self) -> None:
        """The first moment at which the whole head is known: check it."""
        names = [name for name, _ in self.headers]
        for name in names:
            if "_" in name:
                raise InvalidHeader("a header name has an underscore", req=self)
        for name in ("HOST", "AUTHORIZATION"):
            if names.count(name) > 1:
                raise InvalidHeader(f"header {name} stands twice", req=self)
        values = dict(self.headers)
        host = values.get("HOST")
        try:
            if self.version > (1, 1):
                raise rules.HeadError(505, "only HTTP/1.0 and HTTP/1.1 are served here")
            rules.check_host(host, self.version >= (1, 1))
            rules.check_target(self.method, self.uri, host)
            if "CONTENT-LENGTH" in values:
                rules.length_of(values["CONTENT-LENGTH"])
            if "TRANSFER-ENCODING" in values and ("CONTENT-LENGTH" in values or self.version < (1, 1)):
                raise rules.HeadError(400, "Transfer-Encoding does not go with Content-Length or HTTP/1.0")
        except rules.HeadError as refused:
            raise InvalidRequestLine(str(refused)) from None
        super().set_body_reader()

    def should_close(self) -> bool:
        """As on the short path: the token ``close`` among others closes too."""
        for name, value in self.headers:
            if name == "CONNECTION" and "close" in value.lower():
                return True
        return bool(super().should_close())


class StrictParser(RequestParser):  # type: ignore[misc]
    """Requests of one connection, by our rules."""

    mesg_class = StrictRequest

    def rest(self) -> bytes:
        """Bytes read beyond the last request."""
        data: Any = self.unreader.take_buffered()
        return bytes(data)


class Named:
    """A socket on which gunicorn tells an error of its own: the answer gets a request id, as every other has."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def sendall(self, data: bytes) -> None:
        """Send an answer whose first line is in ``data``."""
        first, end, rest = data.partition(b"\r\n")
        self._sock.sendall(first + end + b"X-Request-Id: " + fresh_id().encode() + end + rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
