"""The short worker: gunicorn's gevent worker with a connection loop of our own.

gunicorn keeps sockets, signals, timeouts and limits; the loop parses heads with a C parser, copies a ready environ,
reads a plain body in one go and sends an answer in one send. PERF: bench_server shows it beside the stock worker.
What is unusual goes to gunicorn's own path, request by request, and comes back. Knows no app but ``self.wsgi``.
"""

from __future__ import annotations

import errno
import time
from collections import Counter
from ipaddress import ip_address
from typing import Any

import gevent
from gunicorn.http.errors import NoMoreData
from gunicorn.http.wsgi import base_environ
from gunicorn.workers.ggevent import GeventWorker

from engine.relay.ids import fresh_id
from engine.server import connection as conn
from engine.server import rules
from engine.server.answer import Answer
from engine.server.body import LengthBody
from engine.server.connection import Clock, Connection
from engine.server.head import Environ, Head
from engine.server.logs import access_line
from engine.server.rules import HeadError
from engine.server.slowpath import Named, StrictParser
from engine.server.watchdog import Watchdog

_DROPPED = 262_144
"""Bytes of a body that nobody wanted which are read all the same, so that the connection can go on."""
STALLS = "gatewright.stalls"
"""The environ key of what the watchdog saw."""
_QUIET = frozenset((errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF, errno.ESHUTDOWN))


class ShortWorker(GeventWorker):  # type: ignore[misc]
    """A gevent worker whose usual request takes a short way."""

    last_words = 3
    """Seconds before the end of a stopping worker in which open streams are told so."""
    most_stall = 100
    """Milliseconds of the processor's time that a piece of work may take alone; more is told. 0 = nobody looks."""
    cuts_idle = True
    """Whether connections on which nothing is asked are closed as soon as it is to stop."""
    head_timeout = 15
    body_timeout = 60
    send_timeout = 300
    share = 0
    """Connections that one address may have open; 0 = any number."""
    trusted: tuple[Any, ...] = ()
    whole = False
    """Whether gunicorn's own path serves every connection from first to last byte."""
    alive: bool

    def run(self) -> None:
        """Serve until told to stop; a greenlet keeps the seconds."""
        self.clock = Clock()
        beat = gevent.spawn(self._beat)
        watchdog = Watchdog(self.log, self.most_stall)
        self.template[STALLS] = watchdog.stalls
        if self.most_stall:
            watchdog.start()
        try:
            self.serve()
        finally:
            watchdog.stop()
            beat.kill()

    def serve(self) -> None:
        """Take connections until told to stop, then wait for what is open."""
        super().run()

    def _beat(self) -> None:
        stopped = 0
        last_words = max(self.cfg.graceful_timeout - self.last_words, 0)
        while True:
            gevent.sleep(1.0)
            self.clock.draining = self.cuts_idle and not self.alive
            self.clock.beat()
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
            self.share = settings.connections_per_address or max(settings.max_connections // 4, 1)
            self.trusted = settings.trusted_proxies
        self.peers: Counter[str] = Counter()
        self.access = self.log.access_log.info if self.cfg.accesslog else None
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

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection until it ends."""
        client.setblocking(1)
        link = Connection(client, self.clock, self.body_timeout, self.send_timeout)
        self.clock.open.add(link)
        name = listener.getsockname()
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

    def _serve(self, link: Connection, name: Any, addr: Any) -> None:
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

    def _read_head(self, link: Connection) -> bytes | None:
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

    def _respond(self, link: Connection, head: Head, env: Environ, rest: bytes) -> bool:
        """Call the app and send its answer; whether the connection goes on."""
        length = head.length
        body = LengthBody(link.recv_body, rest, length)
        link.held = rest[length:]
        env["wsgi.input"] = body
        answer = Answer(link.send, self.clock.date, env["REQUEST_METHOD"] == "HEAD", self._count(head))
        started = time.monotonic() if self.access is not None else 0.0
        try:
            self._run(env, answer, body)
        finally:
            if self.access is not None:
                self.access(access_line(env, answer.status, answer.sent, time.monotonic() - started))
        if body.left and not answer.close and not self._drop(link, body):
            answer.close = True
        if answer.close and (link.held or body.left):
            link.linger()
        return not answer.close

    @staticmethod
    def _drop(link: Connection, body: LengthBody) -> bool:
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

    def _run(self, env: Environ, answer: Answer, body: LengthBody) -> None:
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

    def _refuse(self, link: Connection, refused: HeadError, addr: Any) -> None:
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

    def _handover(self, link: Connection, name: Any, addr: Any) -> bool:
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

    def _whole(self, link: Connection, name: Any, addr: Any) -> None:
        """A connection that gunicorn's own path serves from first to last byte."""
        parser = StrictParser(self.cfg, link, addr)
        info: dict[str, Any] = {}
        while self._stock(parser, link, name, addr, info) and self.alive:
            pass

    def _stock(self, parser: StrictParser, link: Connection, name: Any, addr: Any, info: dict[str, Any]) -> bool:
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
