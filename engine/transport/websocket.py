"""WebSocket (RFC 6455) over plain sockets: the protocol is a library's, the sockets and the waiting are ours.

``accept`` makes one of a caller's connection, ``connect`` one to an upstream; both give a ``WebSocket``. One greenlet
reads it, any may send. A peer that neither sends nor answers a ping is given up; so is one that takes nothing.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import socks
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import OPEN, Event, Protocol
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from websockets.utils import accept_key

from engine.errors import GatewrightError
from engine.transport.connection import Handle, dial, hang_up, timed_out
from engine.transport.egress import Guard
from engine.transport.faults import TransportError
from engine.transport.limits import Timeouts
from engine.transport.url import parse_url

MOST = 16 * 1024 * 1024
"""Bytes of a message."""
_FRAGMENTS = 10_000
"""Frames of a message: empty ones have no bytes that could be bounded."""
PING_EVERY = 30.0
_CHUNK = 65_536
_CLOSING = 3.0
_SENDABLE = frozenset((*range(1000, 1004), *range(1007, 1012), *range(3000, 5000)))
_PROXIES = {"http": socks.HTTP, "https": socks.HTTP, "socks5": socks.SOCKS5, "socks5h": socks.SOCKS5}


class UpgradeRefusedError(GatewrightError):
    """An upstream that did not upgrade: its answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(f"status {status}")
        self.status, self.headers, self.body = status, headers, body


@dataclass(frozen=True, slots=True)
class Message:
    """What came: a text's bytes in UTF-8, or bytes."""

    data: bytes
    text: bool


class WebSocket:
    """An open connection. ``code`` and ``reason`` are how it was closed, once it is."""

    def __init__(self, sock: socket.socket, protocol: Protocol, came: Iterable[Event] = ()) -> None:
        self._sock, self._protocol = sock, protocol
        self._came = list(came)
        """What came with the answer to the upgrade."""
        self._lock = threading.Lock()
        self._parts: list[bytes] = []
        self._text = True
        self.heard = time.monotonic()
        """When a message came last."""
        sock.settimeout(PING_EVERY)

    @property
    def code(self) -> int:
        """The close code: the peer's, else our own; 1006 where the connection broke."""
        close = self._protocol.close_rcvd or self._protocol.close_sent
        return close.code if close is not None else CloseCode.ABNORMAL_CLOSURE

    @property
    def reason(self) -> str:
        """The words with it."""
        close = self._protocol.close_rcvd
        return close.reason if close is not None else ""

    def messages(self) -> Iterator[Message]:
        """What comes, until it is closed, breaks, or its peer is gone."""
        waiting = False
        while True:
            came, self._came = self._came, []
            for event in (*came, *self._protocol.events_received()):
                if isinstance(event, Frame) and (message := self._message(event)) is not None:
                    self.heard = time.monotonic()
                    yield message
            if self._protocol.close_rcvd is not None:
                return
            ending = self._protocol.state is not OPEN
            try:
                if ending:
                    self._sock.settimeout(_CLOSING)
                data = self._sock.recv(_CHUNK)
            except OSError as ex:
                if not timed_out(ex) or waiting or ending:
                    hang_up(self._sock)
                    return
                waiting = True
                self._flush(ping=True)
                continue
            waiting = False
            if not data:
                return
            self._protocol.receive_data(data)
            self._flush()

    def send(self, data: bytes, *, text: bool = True) -> bool:
        """Send a message; false where nobody takes it any more."""
        with self._lock:
            if self._protocol.state is not OPEN:
                return False
            (self._protocol.send_text if text else self._protocol.send_binary)(data)
        return self._flush()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Say that it ends; whoever reads it comes back when the peer has answered, or after some seconds."""
        with self._lock:
            if self._protocol.state is not OPEN:
                return
            reason = reason.encode()[:120].decode("utf-8", "ignore")
            self._protocol.send_close(code if code in _SENDABLE else CloseCode.INTERNAL_ERROR, reason)
        self._flush()
        timer = threading.Timer(_CLOSING, hang_up, (self._sock,))
        timer.daemon = True
        timer.start()

    def drop(self) -> None:
        """Let go of the socket."""
        hang_up(self._sock)
        self._sock.close()

    def _message(self, frame: Frame) -> Message | None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._text, self._parts = frame.opcode is Opcode.TEXT, [bytes(frame.data)]
        elif frame.opcode is Opcode.CONT:
            self._parts.append(bytes(frame.data))
        else:
            return None
        if len(self._parts) > _FRAGMENTS:
            self._parts = []
            self.close(CloseCode.MESSAGE_TOO_BIG, f"a message may have {_FRAGMENTS} fragments")
            return None
        if not frame.fin:
            return None
        data, self._parts = b"".join(self._parts) if len(self._parts) > 1 else self._parts[0], []
        return Message(data, self._text)

    def _flush(self, *, ping: bool = False) -> bool:
        """Send what the protocol has to send; one at a time, as frames must not be mixed."""
        with self._lock:
            if ping and self._protocol.state is OPEN:
                self._protocol.send_ping(b"")
            try:
                for data in self._protocol.data_to_send():
                    if data:
                        self._sock.sendall(data)
            except OSError:
                hang_up(self._sock)
                return False
        return True


def accept(sock: socket.socket, key: str, subprotocol: str | None, more: Iterable[tuple[str, str]] = ()) -> WebSocket:
    """Answer a caller's upgrade."""
    lines = ["HTTP/1.1 101 Switching Protocols", "upgrade: websocket", "connection: Upgrade"]
    lines.append(f"sec-websocket-accept: {accept_key(key)}")
    if subprotocol:
        lines.append(f"sec-websocket-protocol: {subprotocol}")
    lines += [f"{name}: {value}" for name, value in more]
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace"))
    return WebSocket(sock, ServerProtocol(state=OPEN, max_size=MOST))


def connect(
    guard: Guard,
    url: str,
    headers: Iterable[tuple[str, str]],
    subprotocols: list[str],
    timeouts: Timeouts,
    handle: Handle,
    tls: ssl.SSLContext,
    proxy: str = "",
) -> WebSocket:
    """Open one to an upstream; raises ``TransportError``, or ``UpgradeRefusedError`` with what it answered instead."""
    parsed = parse_url(url)
    deadline = time.monotonic() + (timeouts.connect or 10) + (timeouts.first_byte or 60)
    if proxy:
        guard.check_literal(parsed.host, parsed.port)
        sock = _proxied(proxy, parsed.host, parsed.port, timeouts.connect or 10)
    else:
        addresses = guard.check(parsed.host, parsed.port)
        sock, _ = dial(parsed, addresses, timeouts, deadline, handle, tls if parsed.secure else None)
    try:
        if proxy and parsed.secure:
            sock = tls.wrap_socket(sock, server_hostname=parsed.host)
        handle.attach(sock)
        return _upgraded(sock, url, headers, subprotocols, deadline)
    except OSError as ex:
        sock.close()
        kind = "first_byte_timeout" if timed_out(ex) else "reset"
        raise TransportError(kind, f"the upstream did not upgrade the connection: {ex}") from None
    except BaseException:
        sock.close()
        raise
    finally:
        handle.attach(None)


def _upgraded(
    sock: socket.socket, url: str, headers: Iterable[tuple[str, str]], subprotocols: list[str], deadline: float
) -> WebSocket:
    protocol = ClientProtocol(parse_uri("ws" + url[4:]), max_size=MOST, subprotocols=subprotocols or None)  # type: ignore[arg-type]
    request = protocol.connect()
    _set(request.headers, headers)
    protocol.send_request(request)
    for data in protocol.data_to_send():
        sock.sendall(data)
    came: list[Event] = []
    while protocol.state is not OPEN:
        sock.settimeout(max(deadline - time.monotonic(), 0.01))
        data = sock.recv(_CHUNK)
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        came = protocol.events_received()
        if came and isinstance(came[0], Response) and protocol.state is not OPEN:
            answer_headers = {name.lower(): value for name, value in came[0].headers.raw_items()}
            raise UpgradeRefusedError(came[0].status_code, answer_headers, bytes(came[0].body or b""))
        if not data:
            raise TransportError("reset", "the upstream closed the connection before it upgraded it")
    return WebSocket(sock, protocol, came)


def _set(into: Headers, headers: Iterable[tuple[str, str]]) -> None:
    for name, value in headers:
        if name.lower() not in ("host", "connection", "upgrade", "content-length", "content-type", "accept-encoding"):
            into[name] = value


def _proxied(proxy: str, host: str, port: int, seconds: float) -> socket.socket:
    address = urlsplit(proxy)
    try:
        sock: socket.socket = socks.create_connection(
            (host, port), timeout=seconds, proxy_type=_PROXIES[address.scheme], proxy_addr=address.hostname,
            proxy_port=address.port, proxy_rdns=True, proxy_username=unquote(address.username or "") or None,
            proxy_password=unquote(address.password or "") or None,
        )  # fmt: skip
    except (OSError, socks.ProxyError):
        raise TransportError("connect", "the proxy gave no connection") from None
    return sock


def asked(headers: Mapping[str, str]) -> tuple[str, list[str]] | str:
    """The key and the subprotocols of an upgrade that a request asks for; or what is wrong with it."""
    if "websocket" not in headers.get("upgrade", "").lower() or "upgrade" not in headers.get("connection", "").lower():
        return "this endpoint is a WebSocket: send an upgrade (Connection: Upgrade, Upgrade: websocket)"
    if headers.get("sec-websocket-version") != "13":
        return "sec-websocket-version must be 13"
    key = headers.get("sec-websocket-key", "")
    if len(key) != 24 or not key.endswith("=="):
        return "sec-websocket-key must be 16 bytes in base64"
    offered = headers.get("sec-websocket-protocol", "")
    return key, [item.strip() for item in offered.split(",") if item.strip()]
