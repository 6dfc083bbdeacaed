"""The short worker: gunicorn's gevent worker with loops of our own.

gunicorn keeps sockets, signals, timeouts and limits; the loop of a connection parses heads with a C parser, copies a
ready environ, reads a plain body in one go and sends an answer in one send. PERF: bench_server shows it beside the
stock worker.
What is unusual goes to gunicorn's own path, request by request, and comes back. Knows no app but ``self.wsgi``.
"""

from __future__ import annotations

import errno
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http.errors import NoMoreData
from gunicorn.http.wsgi import base_environ
from gunicorn.sock import ssl_context
from gunicorn.workers.ggevent import GeventWorker

from engine.relay.ingress.ids import fresh_id
from engine.server.http import connection as conn
from engine.server.http import rules
from engine.server.http.answer import HttpAnswer
from engine.server.http.body import LengthBody
from engine.server.http.connection import ClientConnection, Clock
from engine.server.http.head import Environ, Head
from engine.server.http.rules import HeadError
from engine.server.http.slowpath import Named, StrictParser
from engine.server.watchdog import Watchdog

_DROPPED = 262_144
"""Bytes of a body that nobody wanted which are read all the same, so that the connection can go on."""
STALLS = "gatewright.stalls"
"""The environ key of what the watchdog saw."""
_LOOK = 0.1
"""Seconds between two looks at what is still open."""
_QUIET = frozenset((errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF, errno.ESHUTDOWN))


class ShortWorker(GeventWorker):  # type: ignore[misc]
    """A gevent worker whose usual request takes a short way."""

    last_words = 3
    """Seconds before the end of a stopping worker in which open streams are told so."""
    most_stall = 100
    """Milliseconds of the processor's time that a piece of work may take alone; more is told. 0 = nobody looks."""
    cuts_idle = True
    """Whether connections on which nothing is asked are closed when it is to stop."""
    stop_idle = 5
    """Seconds that these stay open: a balancer that does not know yet may be sending on one, and what it sends is
    answered with the word that the connection ends."""
    head_timeout = 15
    body_timeout = 60
    send_timeout = 300
    share = 0
    """Connections that one address may have open; 0 = any number."""
    trusted: tuple[Any, ...] = ()
    whole = False
    """Whether gunicorn's own path serves every connection from first to last byte."""
    alive: bool
    _waker: Any = None

    def run(self) -> None:
        """Serve until told to stop; a greenlet keeps the seconds."""
        self.clock = Clock()
        watchdog = Watchdog(self.log, self.most_stall)
        beat = gevent.spawn(self._beat, watchdog)
        self.template[STALLS] = watchdog.stalls
        if self.most_stall:
            watchdog.start()
        try:
            self.serve()
        finally:
            watchdog.stop()
            beat.kill()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stop in order; whoever waits in ``serve`` hears of it at once."""
        super().handle_exit(sig, frame)
        if self._waker is not None:
            self._waker.send()

    def serve(self) -> None:
        """Take connections until told to stop, then wait for what is open: gunicorn's loop, but that it does not sleep.

        Seconds in which a worker still takes what it will not serve to the end are seconds of every release.
        """
        stop = Event()
        self._waker = gevent.get_hub().loop.async_()
        self._waker.start(stop.set)
        servers = [self._server(sock) for sock in self.sockets]
        while self.alive:
            self.notify()
            stop.wait(1.0)
        for server in servers:
            self._take_queued(server)
            server.close()
        end = time.monotonic() + self.cfg.graceful_timeout
        while any(server.pool.free_count() != server.pool.size for server in servers):
            if time.monotonic() > end:
                self.log.warning("worker %s: its time to stop is over, what is open is cut", self.pid)
                break
            self.notify()
            gevent.sleep(_LOOK)
        for server in servers:
            server.stop(timeout=1)

    def _take_queued(self, server: StreamServer) -> None:
        """Take what the kernel has connected already: its callers have sent, and closing the listener resets them."""
        with suppress(OSError):
            for _ in range(self.cfg.backlog):
                arrived = None if server.full() else server.do_read()
                if arrived is None:
                    return
                server.do_handle(*arrived)

    def _server(self, sock: Any) -> StreamServer:
        sock.setblocking(1)
        tls = {"ssl_context": ssl_context(self.cfg)} if self.cfg.is_ssl else {}
        handle = partial(self.handle, sock.getsockname())
        server = StreamServer(sock, handle=handle, spawn=Pool(self.worker_connections), **tls)
        if self.cfg.workers > 1:
            server.max_accept = 1  # the others have their turn
        server.start()
        return server

    def _beat(self, watchdog: Watchdog) -> None:
        stopped = stalls = 0
        last_words = max(self.cfg.graceful_timeout - self.last_words, 0)
        while True:
            gevent.sleep(1.0)
            if self.cuts_idle and not self.alive and not self.clock.idle_until:
                self.clock.idle_until = self.clock.tick + self.stop_idle
            self.clock.beat()
            if watchdog.stalls.count > stalls and hasattr(self.app, "stalled"):
                self.app.stalled(watchdog.stalls.count - stalls)
                stalls = watchdog.stalls.count
            stopped = 0 if self.alive else stopped + 1
            if stopped > last_words and hasattr(self.app, "drain"):
                self.app.drain()

    def init_process(self) -> None:
        """After the fork: what every request's environ has in common."""
        settings = getattr(self.app, "settings", None)
        if settings is not None:
            self.head_timeout = settings.head_timeout
            self.body_timeout = settings.body_timeout
            self.send_timeout = max(settings.streaming_timeout, 1)
            self.stop_idle = settings.stop_idle
            self.share = settings.connections_per_address or max(settings.max_connections // 4, 1)
            self.trusted = settings.trusted_proxies
        self.peers: Counter[str] = Counter()
        self.access = self.log.answered if self.cfg.accesslog else None
        # PROXY lines stand before the head, where only gunicorn's own parser looks for them
        self.whole = self.whole or self.cfg.proxy_protocol != "off" or self.cfg.is_ssl
        self.template: Environ = {
            **base_environ(self.cfg),
            "wsgi.multithread": True,
            "wsgi.url_scheme": "http",
            "SCRIPT_NAME": "",
            "SERVER_PROTOCOL": "HTTP/1.1",
        }
        super().init_process()

    def handle(self, name: Any, client: Any, addr: Any) -> None:
        """Serve one connection until it ends. ``name`` is its listener's, which may be closed before this begins."""
        client.setblocking(1)
        link = ClientConnection(client, self.clock, self.body_timeout, self.send_timeout)
        self.clock.open.add(link)
        peer = addr[0] if isinstance(addr, tuple) else ""
        self.peers[peer] += 1
        try:
            if self.share and self.peers[peer] > self.share and not self._trusts(peer):
                self._refuse(link, HeadError(429, "too many connections are open from this address"), addr)
            elif self.whole:
                self._whole(link, name, addr)
            else:
                self._serve(link, name, addr)
        except OSError as error:
            if error.errno not in _QUIET:
                self.log.debug("connection ended: %s", error)
        except (gevent.GreenletExit, StopIteration):
            pass
        except Exception:
            self.log.exception("connection ended by an error")
        finally:
            self.peers[peer] -= 1
            if not self.peers[peer]:
                del self.peers[peer]
            self.clock.open.discard(link)
            link.close()

    def _trusts(self, peer: str) -> bool:
        """Whether it is a proxy of ours, which brings many callers. Asked only of an address that has many."""
        try:
            address = ip_address(peer)
        except ValueError:
            return True
        return any(address in network for network in self.trusted if network.version == address.version)

    def _serve(self, link: ClientConnection, name: Any, addr: Any) -> None:
        template = self._connection_environ(link.sock, name, addr)
        head = Head()
        while True:
            try:
                data = self._read_head(link)
                if data is None:
                    return
                env = template.copy()
                end = data.find(b"\r\n\r\n") + 4
                head.read(data[:end], env)
            except HeadError as refused:
                self._refuse(link, refused, addr)
                return
            link.request()
            if head.unusual:
                link.held = data
                if not self._handover(link, name, addr):
                    return
            elif not self._respond(link, head, env, data[end:]):
                return
            if not self.alive:
                return

    def _connection_environ(self, client: Any, name: Any, addr: Any) -> Environ:
        template = self.template.copy()
        if isinstance(name, tuple):
            template["SERVER_NAME"], template["SERVER_PORT"] = name[0], str(name[1])
        else:
            template["SERVER_NAME"], template["SERVER_PORT"] = "localhost", ""
        if isinstance(addr, tuple):
            template["REMOTE_ADDR"], template["REMOTE_PORT"] = addr[0], str(addr[1])
        else:
            template["REMOTE_ADDR"] = addr.decode() if isinstance(addr, bytes) else str(addr or "")
        template["gunicorn.socket"] = client
        return template

    def _read_head(self, link: ClientConnection) -> bytes | None:
        """Bytes that begin with a whole head; nothing when the client is done."""
        data, link.held = link.held, b""
        if not data:
            link.wait(conn.IDLE, self.cfg.keepalive or self.head_timeout)
            data = link.first()
            if not data:
                return None
        if data[:2] == b"\r\n":
            data = data[2:]
        if 0 <= data.find(b"\r\n\r\n") <= rules.MAX_HEAD:
            return data
        link.wait(conn.HEAD, self.head_timeout)
        while not rules.complete(data):
            more = link.sock.recv(65_536)
            if not more:
                return None
            data += more
            if data[:2] == b"\r\n":
                data = data[2:]
        return data

    def _respond(self, link: ClientConnection, head: Head, env: Environ, rest: bytes) -> bool:
        """Call the app and send its answer; whether the connection goes on."""
        length = head.length
        body = LengthBody(link.recv_body, rest, length)
        link.held = rest[length:]
        env["wsgi.input"] = body
        answer = HttpAnswer(link.send, self.clock.date, env["REQUEST_METHOD"] == "HEAD", self._count(head))
        started = time.monotonic() if self.access is not None else 0.0
        try:
            self._run(env, answer, body)
        finally:
            if self.access is not None:
                self.access(env, answer.status, answer.sent, time.monotonic() - started)
        if body.left and not answer.close and not self._drop(link, body):
            answer.close = True
        if answer.close and (link.held or body.left):
            link.linger()
        return not answer.close

    @staticmethod
    def _drop(link: ClientConnection, body: LengthBody) -> bool:
        if not link.discard(body.left):
            return False
        body.left = 0
        return True

    def _count(self, head: Head) -> bool:
        """Note one more request; whether the connection ends with it."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("worker %s has served its %s requests and is replaced", self.pid, self.nr)
            self.alive = False
        return head.close or not self.alive or not self.cfg.keepalive

    def _run(self, env: Environ, answer: HttpAnswer, body: LengthBody) -> None:
        result: Any = None
        try:
            result = self.wsgi(env, answer.start)
            if body.left > _DROPPED:
                answer.close = True  # it is too much to be thrown away, and the client should know before it sends on
            answer.finish(result)
        except (OSError, StopIteration, gevent.GreenletExit):
            raise  # the client left, or the app ended the connection itself
        except Exception:
            self.log.exception("error in the app")
            if answer.started:
                raise StopIteration from None  # a cut is all that can still be said
            answer.status = ""
            answer.close = True
            answer.start("500 Internal Server Error", [("content-type", "text/plain")])
            answer.whole(b"internal server error\n")
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _refuse(self, link: ClientConnection, refused: HeadError, addr: Any) -> None:
        """Answer a head that is not served, and end the connection."""
        self.log.debug("refused a request from %s: %s", addr[0] if isinstance(addr, tuple) else addr, refused.why)
        text = refused.why.encode("latin-1", "replace") + b"\n"
        link.send(
            b"HTTP/1.1 %d %b\r\n%bcontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
            b"connection: close\r\nx-request-id: %b\r\n\r\n%b"
            % (
                refused.status,
                rules.REASONS[refused.status].encode(),
                self.clock.date,
                len(text),
                fresh_id().encode(),
                text,
            )
        )
        link.linger(1.0, 1_048_576)

    def _handover(self, link: ClientConnection, name: Any, addr: Any) -> bool:
        """One request by gunicorn's own path; whether the connection goes on."""
        parser = StrictParser(self.cfg, link, addr)
        if not self._stock(parser, link, name, addr, {}):
            return False
        link.state = conn.APP
        with gevent.Timeout(1.0, False):
            if parser.finish_body(max_bytes=_DROPPED):
                link.held = parser.rest() + link.held
                return True
        return False

    def _whole(self, link: ClientConnection, name: Any, addr: Any) -> None:
        """A connection that gunicorn's own path serves from first to last byte."""
        parser = StrictParser(self.cfg, link, addr)
        info: dict[str, Any] = {}
        while self._stock(parser, link, name, addr, info) and self.alive:
            pass

    def _stock(self, parser: StrictParser, link: ClientConnection, name: Any, addr: Any, info: dict[str, Any]) -> bool:
        request = None
        link.request()
        try:
            request = next(parser)
            if request.proxy_protocol_info:
                info.update(request.proxy_protocol_info)
            request.proxy_protocol_info = info
            self.handle_request(name, request, link.sock, addr)
            link.deadline = 0
            return not (request.should_close() or not self.alive)
        except (StopIteration, NoMoreData):
            return False
        except OSError:
            raise
        except Exception as error:
            self.handle_error(request, Named(link.sock), addr, error)
            link.linger(1.0, 1_048_576)
            return False
