"""The way to an upstream through a proxy: the leg's interface over ``requests``.

Takes an ``http``, ``https``, ``socks5`` or ``socks5h`` proxy and the same arguments as the leg; gives an answer with
the same methods and raises the same faults. It costs some twenty times the leg, so only channels with a proxy take it.
The proxy resolves and connects, so the egress guard can only judge what the address itself spells out.
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter

from engine.transport.answer import decoder_of, mute, over_limit
from engine.transport.coding import CodingError, Inflater
from engine.transport.connection import Handle, aborted, hang_up, until
from engine.transport.egress import Guard
from engine.transport.faults import TransportError
from engine.transport.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from engine.transport.spool import Body
from engine.transport.url import Url, parse_url
from engine.transport.waiting import Waiting, beside, outcome_of
from engine.transport.wire import Headers, request_bytes

SCHEMES = ("http", "https", "socks5", "socks5h")
_PIECE = 65_536


def unfit(proxy: str) -> str | None:
    """Why a proxy's address can't be used, without repeating it: it may hold a password."""
    try:
        parts = urlsplit(proxy)
        fits = parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    return None if fits else f"the proxy's address must be one of {'://HOST:PORT, '.join(SCHEMES)}://HOST:PORT"


class Sender:
    """Calls through one proxy; keep one per proxy and worker."""

    def __init__(self, guard: Guard, proxy: str, *, limits: Limits = DEFAULT_LIMITS, verify: bool | str = True) -> None:
        if (why := unfit(proxy)) is not None:
            raise TransportError("invalid", why)
        self._guard = guard
        self._session = requests.Session()
        # PERF: looking up proxies and netrc in the environment costs 290 us a call, and the channel names its proxy.
        self._session.trust_env = False
        self._session.verify = verify
        self._session.headers.clear()
        self._session.proxies = {"http": proxy, "https": proxy}
        adapter = HTTPAdapter(pool_connections=16, pool_maxsize=limits.idle_per_host, max_retries=0)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def send(
        self,
        method: str,
        url: Url | str,
        headers: Headers,
        body: Body = b"",
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        handle: Handle | None = None,
    ) -> ProxiedAnswer:
        """Send a request and wait for the answer's head; without gevent ``handle.abort()`` works only after that."""
        return outcome_of(self.exchange(method, url, headers, body, timeouts, handle))

    def exchange(
        self,
        method: str,
        url: Url | str,
        headers: Headers,
        body: Body = b"",
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        handle: Handle | None = None,
        tick: float = 0.0,
    ) -> Waiting[ProxiedAnswer]:
        """The same in steps: gives way after each ``tick`` seconds without a head (0: never), returns the answer."""
        if isinstance(url, str):
            url = parse_url(url)
        handle = handle or Handle()
        self._guard.check_literal(url.host, url.port)
        # For its checks only: requests writes the bytes itself.
        request_bytes(method, url, headers, b"")
        deadline = time.monotonic() + timeouts.total if timeouts.total else 0.0
        if handle.aborted:
            raise aborted()
        fields = {"Accept-Encoding": "identity"}
        for name, value in headers:
            fields[name] = f"{fields[name]}, {value}" if name in fields and name != "Accept-Encoding" else value
        limits: Any = (until(timeouts.connect, deadline), until(timeouts.first_byte, deadline))

        def request() -> requests.Response:
            with _ending(handle):
                return self._session.request(
                    method, url.text(), data=body, headers=fields, stream=True, timeout=limits, allow_redirects=False
                )

        handle.reached = True
        try:
            response = (yield from beside(request, tick)) if tick else request()
        except requests.RequestException as ex:
            raise aborted() if handle.aborted else _fault(ex, url) from None
        return ProxiedAnswer(response, handle, timeouts.idle, deadline, bare=method == "HEAD")

    def close(self) -> None:
        """Close the kept connections."""
        self._session.close()


class ProxiedAnswer:
    """An answer that came through a proxy."""

    def __init__(
        self, response: requests.Response, handle: Handle, idle: float, deadline: float, *, bare: bool = False
    ) -> None:
        self.status = response.status_code
        self.header_list = [(name.lower(), value) for name, value in response.raw.headers.iteritems()]
        self.headers: dict[str, str] = {}
        for name, value in self.header_list:
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self.complete = False
        self.reused = False
        self._response = response
        self._handle = handle
        self._idle = idle
        self._deadline = deadline
        self._hurry = 0.0
        self._ahead = False
        """A thread reads: who waits for it looks at the clock, as a wait that has begun keeps its limit."""
        self._sock = _socket_of(response)
        encoding = self.headers.get("content-encoding")
        self._inflater: Inflater | None = None
        try:
            handle.attach(self._sock)
            if encoding is not None and not bare:
                self._inflater = decoder_of(encoding)
        except TransportError:
            response.close()
            raise

    def read(self, limit: int = DEFAULT_LIMITS.read_bytes) -> bytes:
        """The whole body; raises ``TransportError`` when it is cut, or longer than ``limit``."""
        pieces: list[bytes] = []
        size = 0
        for piece in self.pieces():
            size += len(piece)
            if size > limit:
                self.abort()
                raise over_limit(limit)
            pieces.append(piece)
        return b"".join(pieces)

    def pieces(self, tick: float = 0.0) -> Iterator[bytes]:
        """The body as it arrives; closing the iterator early ends the call.

        With ``tick`` an empty piece comes after each that many seconds of silence.
        """
        if not tick:
            return self._pieces()
        self._ahead = True
        return _ticking(self, tick)

    def hurry(self, until: float) -> None:
        """Wait for pieces until this moment (monotonic seconds) at most; 0: as long as the call's limits allow."""
        self._hurry = until if self._sock is not None else 0.0

    def patience(self, tick: float) -> float:
        """Seconds until the next tick, or until there is no more time."""
        return min(tick, max(0.02, self._hurry - time.monotonic())) if self._hurry else tick

    @property
    def late(self) -> bool:
        """Whether nothing came in the time that there was for it."""
        return bool(self._hurry) and time.monotonic() >= self._hurry

    def _pieces(self) -> Iterator[bytes]:
        raw = self._response.raw
        inflater = self._inflater
        any_came = False
        try:
            while True:
                if self._sock is not None:
                    hurry = 0.0 if self._ahead else self._hurry
                    self._sock.settimeout(until(self._idle, min(filter(None, (self._deadline, hurry)), default=0.0)))
                piece = raw.read1(_PIECE, decode_content=False)
                if self._handle.aborted:
                    raise aborted()
                if not piece and self.late:
                    raise mute()
                if not piece:
                    break
                any_came = True
                if inflater is None:
                    yield piece
                else:
                    yield from inflater.feed(piece)
            if inflater is not None and any_came:
                inflater.finish()
            self.complete = True
        except CodingError as ex:
            raise TransportError("cut" if ex.cut else "protocol", f"the upstream's answer: {ex}") from None
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as ex:
            raise self._broken(ex) from None
        finally:
            self.drop()

    def abort(self) -> None:
        """End the call at once."""
        if not self.complete:
            self._handle.abort()
            self.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, ex: BaseException | None, trace: TracebackType | None) -> None:
        self.drop()

    def hang_up(self) -> None:
        """End whatever is read now, by a socket that gives nothing any more."""
        if self._sock is not None:
            hang_up(self._sock)

    def drop(self) -> None:
        """Give the connection back, or close it when the body was not read to its end."""
        self._handle.attach(None)
        if self.complete:
            self._response.raw.release_conn()
            return
        self.hang_up()
        self._response.close()

    def _broken(self, ex: Exception) -> TransportError:
        if self._handle.aborted:
            return aborted()
        if self.late:
            return mute()
        if _timed_out(ex):
            if self._deadline and until(0.0, self._deadline) == 0.001:
                return TransportError("total_timeout", "the upstream's answer took longer than the whole call may")
            return TransportError("idle_timeout", f"the upstream was silent for {self._idle:g} seconds")
        if isinstance(ex, ConnectionResetError) or "reset by peer" in str(ex):
            return TransportError("reset", "the connection to the upstream broke off")
        return TransportError("cut", "the upstream's answer ended too early")


class _EndedError(BaseException):
    """Thrown into a greenlet whose call is to end; no library on the way takes it for a fault of its own."""


@contextmanager
def _ending(handle: Handle) -> Iterator[None]:
    """Let ``handle.abort()`` end what runs within, where that is a greenlet: the library hides its socket."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("socket"):
        yield
        return
    gevent = sys.modules["gevent"]
    waiting, loop = gevent.getcurrent(), gevent.get_hub().loop

    def throw() -> None:
        # The call may have come back between the abort and this turn of the hub.
        if handle.ender is not None:
            handle.ender = None
            waiting.throw(_EndedError)

    handle.ender = lambda: loop.run_callback(throw)
    try:
        yield
    except _EndedError:
        raise aborted() from None
    finally:
        handle.ender = None


def _ticking(answer: ProxiedAnswer, tick: float) -> Iterator[bytes]:
    """The answer's pieces with an empty one for each tick of silence; a thread reads, at most two pieces ahead.

    The library's reader can't go on after a time limit, so waiting and reading must be two things.
    """
    arrived: queue.Queue[bytes | Exception | None] = queue.Queue(maxsize=1)
    abandoned = threading.Event()

    threading.Thread(target=_read_ahead, args=(answer, arrived, abandoned), daemon=True).start()
    try:
        while True:
            try:
                piece = arrived.get(timeout=answer.patience(tick))
            except queue.Empty:
                if answer.late:  # the thread that reads ends by this; what it holds may not be closed under it
                    answer.hang_up()
                else:
                    yield b""
                continue
            if piece is None:
                return
            if isinstance(piece, Exception):
                raise piece
            yield piece
    finally:
        abandoned.set()
        answer.drop()
        # Room for the piece that the thread may be holding, so that it comes to its end.
        while not arrived.empty():
            arrived.get_nowait()


def _read_ahead(
    answer: ProxiedAnswer, arrived: queue.Queue[bytes | Exception | None], abandoned: threading.Event
) -> None:
    """Put the answer's pieces where they are waited for, and its end: None, or what broke it off."""
    end: Exception | None = None
    try:
        for piece in answer.pieces():
            if abandoned.is_set():
                return
            arrived.put(piece)
    except Exception as ex:
        end = ex
    if not abandoned.is_set():
        arrived.put(end)


def _socket_of(response: requests.Response) -> socket.socket | None:
    """The answer's socket, for limits and aborts; None where the library keeps it elsewhere."""
    connection = getattr(response.raw, "connection", None) or getattr(response.raw, "_connection", None)
    sock = getattr(connection, "sock", None)
    return sock if isinstance(sock, socket.socket) else None


def _timed_out(ex: BaseException) -> bool:
    kinds = (TimeoutError, urllib3.exceptions.TimeoutError)
    return isinstance(ex, kinds) or any(isinstance(cause, kinds) for cause in ex.args)


def _fault(ex: requests.RequestException, url: Url) -> TransportError:
    """The leg's fault for one of the library's; texts are ours, as theirs hold addresses with queries."""
    where = url.authority
    if isinstance(ex, requests.exceptions.ProxyError):
        return TransportError("connect", f"the proxy gave no connection to {where}")
    if isinstance(ex, requests.exceptions.SSLError):
        return TransportError("tls", f"no tls with {where}: the certificate or the handshake failed")
    if isinstance(ex, requests.exceptions.ConnectTimeout):
        return TransportError("connect_timeout", f"no connection to {where} in time")
    if isinstance(ex, requests.exceptions.Timeout):
        return TransportError("first_byte_timeout", f"no answer's head from {where} in time")
    if isinstance(ex, requests.exceptions.ConnectionError):
        cause = ex.args[0] if ex.args else None
        if isinstance(cause, urllib3.exceptions.ProtocolError):
            return TransportError("reset", f"the connection to {where} broke off before the answer's head")
        return TransportError("connect", f"no connection to {where}")
    return TransportError("invalid", f"the call to {where} could not be made")
