"""An upstream's address, taken apart once.

Takes the text of an ``http`` or ``https`` URL, gives an immutable ``Url`` with what the leg needs ready: host, port,
request target, Host header. Refuses user-info, fragments' effects, control characters and other schemes. Knows no DNS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urlsplit

from engine.bounds import ADDRESS, LONGEST_KEPT
from engine.transport.faults import TransportError

_PORTS = {"http": 80, "https": 443}
_TARGET = re.compile(r"/[\x21-\x7e]*\Z")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?\Z")
_V6 = re.compile(r"[0-9A-Fa-f:.]+\Z")
# Left as they are when a path holds spaces or letters beyond ASCII; an escape that is there already stays.
_KEEP = "/:?#[]@!$&'()*+,;=%-._~|"


@dataclass(frozen=True, slots=True)
class Url:
    """Where a request goes. ``host`` is without brackets, ``authority`` the Host header, ``target`` path and query."""

    scheme: str
    host: str
    port: int
    target: str
    authority: str

    @property
    def secure(self) -> bool:
        """Whether the way is TLS."""
        return self.scheme == "https"

    def without_query(self) -> str:
        """The address as logs and messages may show it."""
        return f"{self.scheme}://{self.authority}{self.target.partition('?')[0]}"

    def text(self) -> str:
        """The whole address."""
        return f"{self.scheme}://{self.authority}{self.target}"


def _host(name: str | None, where: str) -> str:
    if not name:
        raise TransportError("invalid", f"the address {where} names no host")
    if ":" in name:
        if not _V6.match(name):
            raise TransportError("invalid", f"the host in {where} is no ipv6 address (zones are not taken)")
        return name.lower()
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            raise TransportError("invalid", f"the host in {where} is no valid name") from None
    if not _HOST.match(name) or len(name) > 253:
        raise TransportError("invalid", f"the host in {where} is no valid name")
    return name.lower()


def parse_url(text: str) -> Url:
    """``Url`` of an address; raises ``TransportError`` (invalid) and shows neither query nor user-info in its text."""
    if len(text) > ADDRESS.most:
        raise TransportError("invalid", f"the address has {len(text)} characters, {ADDRESS.most} are taken at most")
    return _parsed(text) if len(text) <= LONGEST_KEPT else _parsed.__wrapped__(text)


@lru_cache(maxsize=2048)
def _parsed(text: str) -> Url:
    where = repr(text.partition("?")[0].rpartition("@")[2][:200])
    if any(char < " " or char == "\x7f" or char == "\\" for char in text):
        raise TransportError("invalid", f"the address {where} holds a control character or a backslash")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise TransportError("invalid", f"the address {where} can't be read: check brackets and port") from None
    if parts.scheme not in _PORTS:
        raise TransportError("invalid", f"the address {where} must begin with http:// or https://")
    if "@" in parts.netloc:
        raise TransportError("invalid", f"the address {where} holds user-info: put the credential into the channel")
    if port == 0:
        raise TransportError("invalid", f"the address {where} has port 0")
    host = _host(parts.hostname, where)
    target = quote(parts.path or "/", safe=_KEEP) + (f"?{quote(parts.query, safe=_KEEP)}" if parts.query else "")
    if not _TARGET.match(target):
        raise TransportError("invalid", f"the path of {where} can't be sent")
    shown = f"[{host}]" if ":" in host else host
    default = _PORTS[parts.scheme]
    authority = shown if port is None or port == default else f"{shown}:{port}"
    return Url(parts.scheme, host, port or default, target, authority)
