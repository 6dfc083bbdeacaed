"""Reads a request head on the short path: bytes in, an environ out, by a C parser and a table of header names.

``Head.read`` is given exactly the bytes of one head (with its empty line) and a ready environ; it fills in what the
request says and tells whether gunicorn's own path must take over. Knows nothing of sockets or bodies.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

import httptools

from engine.server.http import rules
from engine.server.http.rules import HeadError

Environ = dict[str, Any]

_KEYS: dict[bytes, str] = {}
"""Header names as they were sent, and their environ keys. PERF: one look-up instead of decode, upper, replace."""
_MAX_KEYS = 2_000
_HOSTS: set[str] = set()
"""Host headers that were found sound. PERF: most requests name the same."""
_UNUSUAL = frozenset(("HTTP_TRANSFER_ENCODING", "HTTP_EXPECT", "HTTP_UPGRADE", "HTTP_HTTP2_SETTINGS"))


def environ_key(name: bytes) -> str:
    """The environ key of a header. A name with an underscore never counts as the one with a dash in its place."""
    if b"_" in name:
        rules.check_underscored(name.decode("latin-1"))
        key = rules.UNDERSCORED + name.decode("latin-1").lower()
    else:
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
    if len(_KEYS) < _MAX_KEYS and len(name) <= 64:
        _KEYS[name] = key
    return key


class Head:
    """One head being read; an object per connection, used again for each request."""

    __slots__ = ("_complete", "_env", "_fault", "_fields", "close", "length", "line", "unusual")

    def __init__(self) -> None:
        self._env: Environ = {}
        self._complete = 0
        self._fields = 0
        self._fault: HeadError | None = None
        self.close = False
        self.length = 0
        self.line = ""
        self.unusual = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header from the parser."""
        env = self._env
        try:
            key = _KEYS.get(name) or environ_key(name)
        except HeadError as refused:  # an exception would pass through C code and lose its kind
            self._fault = refused
            return
        self._fields += 1
        if key in env:
            if key in rules.SINGLETONS:
                self._fault = HeadError(400, f"header {name.decode('latin-1')} stands twice")
                return
            env[key] = f"{env[key]},{value.decode('latin-1').strip()}"
        else:
            env[key] = value.decode("latin-1").strip(" \t")

    def on_headers_complete(self) -> None:
        """The parser has seen the empty line."""
        self._complete += 1

    def read(self, data: bytes, env: Environ) -> None:
        """Fill ``env`` from the head; sets ``length``, ``close`` and ``unusual``; raises ``HeadError``."""
        lines = data.count(b"\r\n")
        if data.count(b"\n") != lines or data.count(b"\r") != lines:
            raise HeadError(400, "a line ends with a bare CR or LF")
        line = data[: data.index(b"\r\n")]
        match = rules.REQUEST_LINE.fullmatch(line)
        if match is None or len(line) > rules.MAX_LINE:
            raise rules.bad_line(line)
        self._parse(data, env)
        if len(data) > rules.MAX_FIELD and max(map(len, data.split(b"\r\n"))) > rules.MAX_FIELD:
            raise HeadError(431, f"a header is longer than {rules.MAX_FIELD} bytes")
        if self._fields > rules.MAX_FIELDS:
            raise HeadError(431, f"the head has more than {rules.MAX_FIELDS} headers")
        method, target = match[1].decode(), match[2].decode()
        new = match[3] == b"1"
        host = env.get("HTTP_HOST")
        if host not in _HOSTS:
            rules.check_host(host, new)
            if host is not None and len(_HOSTS) < _MAX_KEYS and len(host) <= 64:
                _HOSTS.add(host)
        rules.check_target(method, target, host)
        length = env.get("CONTENT_LENGTH")
        self.length = 0 if length is None else rules.length_of(length)
        if "HTTP_TRANSFER_ENCODING" in env:
            rules.check_transfer(env["HTTP_TRANSFER_ENCODING"], length, new)
        self.unusual = not new or target[0] != "/" or not _UNUSUAL.isdisjoint(env)
        connection = env.get("HTTP_CONNECTION")
        self.close = connection is not None and "close" in connection.lower()
        self.line = target
        path, _, query = target.partition("?")
        env["REQUEST_METHOD"] = method
        env["RAW_URI"] = target
        env["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1") if "%" in path else path
        env["QUERY_STRING"] = query

    def _parse(self, data: bytes, env: Environ) -> None:
        self._env = env
        self._complete = self._fields = 0
        self._fault = None
        try:
            httptools.HttpRequestParser(self).feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the Upgrade header, which is looked at below
        except httptools.HttpParserError as error:
            raise HeadError(400, f"the head is malformed: {str(error).lower()}") from None
        finally:
            self._env = {}
        if self._fault is not None:
            raise self._fault
        if self._complete != 1:
            raise HeadError(400, "the head is malformed")
