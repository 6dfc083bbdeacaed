"""gunicorn's own path for what is unusual: chunked requests, Expect, Upgrade, HTTP/1.0, absolute URIs, PROXY protocol.

A parser of gunicorn's with the rules of the short path added, so that both give the same verdict. Bytes that the short
path has read already are played again by ``Connection.recv``.
"""

from __future__ import annotations

from typing import Any

from gunicorn.http.body import Body
from gunicorn.http.errors import (
    ChunkMissingTerminator,
    InvalidChunkExtension,
    InvalidChunkSize,
    InvalidHeader,
    InvalidRequestLine,
    NoMoreData,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser

from engine.errors import CallError
from engine.relay.ingress.ids import fresh_id
from engine.server.http import rules

_FAULTS: dict[type[Exception], str] = {
    InvalidChunkSize: "a chunk's size is not a hexadecimal number on a line of its own that ends with CR LF",
    InvalidChunkExtension: "what follows a chunk's size is no chunk extension",
    ChunkMissingTerminator: "a chunk is not followed by CR LF",
    NoMoreData: "it ended before its last chunk",
}


class MalformedBodyError(CallError, InvalidChunkSize):  # type: ignore[misc]
    """A body whose framing is broken, in words of ours: what the caller sent stands in no message and no log."""

    def __init__(self, error: Exception) -> None:
        why = _FAULTS.get(type(error), "its trailers are malformed")
        super().__init__("bad_request", f"the request body is malformed: {why}")

    def __str__(self) -> str:
        return self.message


class WordedBody(Body):  # type: ignore[misc]
    """gunicorn's body; whoever reads it is told in words what is wrong with it."""

    def _read_reader(self, size: int) -> bytes:
        try:
            data: bytes = super()._read_reader(size)
        except ParseException as error:
            raise MalformedBodyError(error) from None
        return data


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
            codings = [value for name, value in self.headers if name == "TRANSFER-ENCODING"]
            coding = ",".join(codings) if codings else None
            rules.check_transfer(coding, values.get("CONTENT-LENGTH"), self.version >= (1, 1))
        except rules.HeadError as refused:
            kind = UnsupportedTransferCoding if refused.status == 501 else InvalidRequestLine
            raise kind(str(refused)) from None
        super().set_body_reader()
        self.body: Any = WordedBody(self.body.reader)

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
