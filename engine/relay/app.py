"""The Falcon application of a worker: a request becomes a ``Call``, a ``Reply`` becomes the response.

Health checks are fixed routes; every other route comes from the Format documents of the running program.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl

import falcon
from falcon.routing import CompiledRouter

from engine import __version__
from engine.errors import CallError
from engine.net import client_ip
from engine.relay import dialect, models, pipeline
from engine.relay.attempts import explained, limits
from engine.relay.attempts.explained import HEADER
from engine.relay.call import Call, Reply
from engine.relay.ingress.beside import RELEASE
from engine.relay.ingress.identify import is_operator
from engine.relay.ingress.ids import fresh_id
from engine.relay.ingress.lane import REQUEST_ID
from engine.relay.metrics.exposed import MetricsPage
from engine.storage.database import StorageError
from engine.transport.watch import Watch

if TYPE_CHECKING:
    from engine.program import Endpoint
    from engine.relay.attempts.channel_test import ChannelTest
    from engine.relay.current import CurrentSnapshot
    from engine.relay.kind import Kind, Operation
    from engine.relay.services import Services
    from engine.relay.snapshot import Snapshot

_CORS = (
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", "*"),
)
_SHOWN = 200
"""Characters of a path that a refusal quotes."""
_PREFLIGHT = (
    ("access-control-allow-methods", "GET, POST, PUT, DELETE, OPTIONS"),
    ("access-control-allow-headers", "*, authorization"),
    ("access-control-max-age", "86400"),
)


class GatewayRoutes:
    """The router that Falcon asks, and the one resource behind every generated route."""

    def __init__(
        self, services: Services, kinds: Mapping[str, Kind[Any, Any]], current: CurrentSnapshot | ChannelTest
    ) -> None:
        self._services = services
        self._calls = {name: (kind.call, _operations(services, kind)) for name, kind in kinds.items()}
        self._current = current
        self._fixed: dict[str, dict[str, Callable[..., None]]] = {}
        self._methods = dict.fromkeys(falcon.HTTP_METHODS, self._serve)
        self._below: tuple[str, ...] = ()
        self._managed: list[tuple[tuple[str, ...], dict[str, Callable[..., None]]]] = []

    def add_route(self, uri_template: str, resource: object, **kwargs: Any) -> None:
        """Add a fixed route (Falcon's interface)."""
        responders = {m: getattr(resource, f"on_{m.lower()}", None) for m in ("GET", "HEAD")}
        self._fixed[uri_template] = {m: _with_id(responder) for m, responder in responders.items() if responder}

    def hand_on(self, prefixes: tuple[str, ...], serve: Callable[..., None]) -> None:
        """Have every other path below the prefixes answered by another room."""
        self._below += prefixes
        self._managed.append((prefixes, dict.fromkeys((m for m in falcon.HTTP_METHODS if m != "OPTIONS"), serve)))

    def find(self, uri: str, req: falcon.Request | None = None) -> tuple[object, dict[str, Any], dict[str, Any], str]:
        """Return resource, responders, parameters and template of a request (Falcon's interface)."""
        fixed = self._fixed.get(uri)
        if fixed is not None and req is not None and req.method in fixed:
            return self, fixed, {}, uri
        if uri.startswith(self._below) and req is not None and req.method != "OPTIONS":
            return self, next(methods for prefixes, methods in self._managed if uri.startswith(prefixes)), {}, uri
        return self, self._methods, {}, uri

    def _serve(self, req: falcon.Request, resp: falcon.Response) -> None:
        environ = req.env
        headers = lower_headers(environ)
        text = environ.get("QUERY_STRING", "")
        query = dict(parse_qsl(text, keep_blank_values=True)) if text else {}
        method = req.method
        if method == "OPTIONS":
            resp.status = 204
            resp.set_headers((*_CORS, *_PREFLIGHT, ("x-request-id", fresh_id())))
            return
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        begin = partial(self._begun, "GET" if method == "HEAD" else method, path, headers, query, environ)
        beside = self._current.beside
        call, methods = begin(self._current.snapshot)
        try:
            if beside is not None and (RELEASE in headers or beside.share is not None):
                chosen = beside.chosen(call, self._services.keys)
                if chosen is not None:
                    snapshot, canary = chosen
                    call, methods = (call, methods) if snapshot is call.snapshot else begin(snapshot)
                    call.canary, call.chosen = canary, canary is None
        except CallError as ex:
            _answer(resp, dialect.refuse(call, ex), call)
            return
        if methods is not None:
            served = call.snapshot.router.served(call.format.name)
            reply = dialect.refuse(call, _no_route(method, path, methods, served))
            if methods:
                reply.headers.append(("allow", ", ".join(sorted({*methods, "OPTIONS"}))))
        else:
            operation = self._calls[call.format.kind][1].get(call.endpoint.operation, _not_of_this_kind)
            reply = pipeline.serve(operation, call, environ)
            if call.capture is not None and reply.takes is None:
                self._services.keeper.follow(call, reply)
            if reply.takes is not None:
                reply.takes(environ["gunicorn.socket"])
                raise StopIteration
        _answer(resp, reply, call)

    def _begun(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        query: dict[str, str],
        environ: dict[str, Any],
        snapshot: Snapshot,
    ) -> tuple[Call, tuple[str, ...] | None]:
        """The call as a snapshot reads it, and the methods with which the path would be served where this is none."""
        router = snapshot.router
        endpoint, variables, methods = router.find(method, path, headers, query)
        nearest = endpoint or router.nearest(path, headers, query)
        call = self._call(snapshot, nearest, variables, headers, query, environ)
        return call, methods if endpoint is None else None

    def _call(
        self,
        snapshot: Snapshot,
        endpoint: Endpoint | None,
        path: dict[str, str],
        headers: dict[str, str],
        query: dict[str, str],
        environ: dict[str, Any],
    ) -> Call:
        if endpoint is None:
            raise falcon.HTTPNotFound(description="no format is compiled, so no route is served")
        sock = environ.get("gunicorn.socket")
        spoken = snapshot.program.formats[endpoint.format]
        request_id = environ[REQUEST_ID] = environ.get(REQUEST_ID) or fresh_id()
        call: Call = self._calls[spoken.kind][0](
            request_id=request_id,
            started=time.monotonic(),
            now=int(time.time()),
            snapshot=snapshot,
            format=spoken,
            endpoint=endpoint,
            path=path,
            query=query,
            headers=headers,
            ip=client_ip(
                environ.get("REMOTE_ADDR", ""), headers.get("x-forwarded-for"), self._services.settings.trusted_proxies
            ),
            watch=None if sock is None else lambda on_gone: Watch(sock, on_gone).stop,
        )
        return call


def _operations(services: Services, kind: Kind[Any, Any]) -> dict[str, Operation]:
    """What endpoints of a kind's formats can do."""
    return {
        "generate": partial(pipeline.relay, services, kind),
        "list_models": partial(models.list_models, services),
        "get_model": partial(models.get_model, services),
        **kind.operations,
    }


def _not_of_this_kind(call: Call, environ: dict[str, Any]) -> Reply:
    raise CallError("not_found", f"{call.endpoint.operation} is nothing that {call.format.name} can do")


def _with_id(responder: Callable[..., None]) -> Callable[..., None]:
    """The responder of a fixed route, with an id on its answers as on all others."""

    def serve(req: falcon.Request, resp: falcon.Response, **more: Any) -> None:
        resp.set_header("x-request-id", fresh_id())
        responder(req, resp, **more)

    return serve


def _no_route(method: str, path: str, methods: tuple[str, ...], served: list[str]) -> CallError:
    """What is wrong with a request that no endpoint takes, and all that is served in its caller's dialect."""
    shown = path if len(path) <= _SHOWN else f"{path[:_SHOWN]}..."
    if methods:
        return CallError(
            "method_not_allowed", f"{method} is not served on {shown}; use {' or '.join(sorted(set(methods)))}"
        )
    return CallError(
        "not_found",
        f"unknown URL: {method} {shown}; check the base URL and the version in the path. Served here: "
        + ", ".join(served),
        code="unknown_url",
    )


def _taken(req: falcon.Request, resp: falcon.Response, ex: Exception, params: dict[str, Any]) -> None:
    """A call had the connection to itself, and has ended: nothing is answered, and the server closes it."""
    raise ex


def _answer(resp: falcon.Response, reply: Reply, call: Call) -> None:
    resp.status = reply.status
    request_id = call.request_id
    headers = [*reply.headers, *_CORS, ("x-request-id", request_id), ("x-oneapi-request-id", request_id)]
    if call.budget is not None and call.budget.warnings:
        headers.append(("x-gatewright-budget", "; ".join(call.budget.warnings)))
    if call.limited is not None:
        headers += limits.headers(call)
    if HEADER in call.headers:
        headers += explained.header(call)
    if call.chosen:
        headers.append((RELEASE, call.program.hash[:16]))
    headers += [(name, request_id) for name in call.format.headers.get("requestId") or ()]
    resp.set_headers(headers)
    if reply.stream is not None:
        resp.stream = reply.stream
    else:
        resp.data = reply.body


def lower_headers(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the request's headers by lower-case name."""
    names = _NAMES
    try:  # PERF: after the first requests all keys are known
        return {name: value for key, value in environ.items() if (name := names[key])}
    except KeyError:
        return {name: value for key, value in environ.items() if (name := _header_name(key))}


_NAMES: dict[str, str] = {}
"""Header names of environ keys, empty for what is no header. PERF: a look-up instead of three string operations."""
_MOST_NAMES = 2_000
_UNDERSCORED = "gatewright.header."
"""Begins the keys of headers whose names have an underscore (``engine.server.http.rules``)."""


def _header_name(key: str) -> str:
    if key.startswith(_UNDERSCORED):
        name = key.removeprefix(_UNDERSCORED)
    else:
        header = key.startswith("HTTP_") or key == "CONTENT_TYPE"
        name = key.removeprefix("HTTP_").replace("_", "-").lower() if header else ""
    if len(_NAMES) < _MOST_NAMES and len(key) <= 64:
        _NAMES[key] = name
    return name


class Health:
    """``/healthz``: the worker answers. ``/readyz``: it can serve, and (for operators) on which release."""

    def __init__(self, services: Services, current: CurrentSnapshot | ChannelTest) -> None:
        self._services = services
        self._current = current

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say that the process is alive."""
        resp.media = {"status": "ok"}

    on_head = on_get


class Ready(Health):
    """See ``Health``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say whether database and program are there; a refused set of documents makes it degraded, not unready.

        A database that does not answer is told within ``SQL_READ_TIMEOUT`` seconds (``SQL_CONNECT_TIMEOUT``, if no
        connection was idle), for every question as long as it is away; ``waiting`` are finished calls of this worker
        that it has not taken yet. Strangers get words alone; release, version, channels that are left out or fail
        (by what this worker saw), stalls and the places of faults are for those who send an administrator's key as a
        bearer token.
        """
        services = self._services
        last = services.status()
        reachable = _reachable(services)
        silent = services.ledger.away  # of commits: reads may go on, as on an SQLite file that another process holds
        refused = last.get("ok") is False
        word = "unready" if not reachable else "degraded" if refused or silent else "ready"
        resp.status = 200 if reachable else 503
        resp.media = {
            "status": word,
            "database": "unreachable" if not reachable else "takes no commits" if silent else "ok",
            "waiting": services.ledger.waiting,
            "documents": "refused; the last good release is running" if refused else "ok",
        }
        if self.asked_by_operator(req):
            resp.media |= {
                "release": self._current.snapshot.program.hash,
                "version": __version__,
                "large": {"open": services.lane.open, "served": services.lane.served}
                if services.lane is not None
                else "here",
                "channels": {"leftOut": list(self._current.left_out), "failing": services.troubles.shown()},
                "stalls": _stalls(req.env.get("gatewright.stalls")),
                "sources": _sources(last),
                "faults": [_fault_in_words(fault) for fault in last.get("faults", [])[:20]],
            }

    on_head = on_get

    def asked_by_operator(self, req: falcon.Request) -> bool:
        """Whether an administrator's key came with it."""
        sent = (req.get_header("Authorization") or "").strip()
        if not sent:
            return False
        trusted = self._services.settings.trusted_proxies
        ip = client_ip(req.env.get("REMOTE_ADDR", ""), req.get_header("X-Forwarded-For"), trusted)
        return is_operator(self._services.keys, sent.rpartition(" ")[2], ip, int(time.time()))


def _stalls(watch: Any) -> dict[str, int]:
    """How often one piece of work held up this worker, and for how long at most; nothing where nobody looks."""
    return {"count": watch.count, "longest_ms": watch.longest_ms} if watch is not None else {}


def _sources(last: dict[str, Any]) -> dict[str, Any]:
    """Which release of the database runs, which is the newest, and whether it can be read."""
    numbers = {name: last.get(name, 0) for name in ("release", "newest")}
    return {**numbers, "database": last.get("away") or "ok", **({"git": last["git"]} if last.get("git") else {})}


def _fault_in_words(fault: dict[str, Any]) -> str:
    place = ":".join(str(fault[key]) for key in ("file", "line", "column") if key in fault)
    nearest = f"; did you mean {fault['nearest']}" if "nearest" in fault else ""
    return f"{place}: {fault.get('message', '')}{nearest}"


def _reachable(services: Services) -> bool:
    try:
        services.db.run("SELECT 1", ())
    except StorageError:
        return False
    return True


class Root:
    """``/``: what answers here. Some clients probe it before their first call."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Name the product."""
        resp.media = {"name": "gatewright"}

    on_head = on_get


def create_app(
    services: Services,
    kinds: Mapping[str, Kind[Any, Any]],
    current: CurrentSnapshot | ChannelTest,
    more: Iterable[tuple[str, object]] = (),
    below: Iterable[tuple[tuple[str, ...], Callable[..., None]]] = (),
) -> Any:
    """Return the WSGI application of a worker; ``more`` are fixed routes of other rooms, ``below`` what serves all
    that lies below prefixes."""
    gateway = GatewayRoutes(services, kinds, current)
    for prefixes, serve in below:
        gateway.hand_on(prefixes, serve)
    app = falcon.App(router=cast(CompiledRouter, gateway))
    app.add_error_handler(StopIteration, _taken)
    app.add_route("/", Root())
    app.add_route("/healthz", Health(services, current))
    ready = Ready(services, current)
    app.add_route("/readyz", ready)
    app.add_route("/metrics", MetricsPage(services.told, lambda: services.metrics_path, ready.asked_by_operator))
    for path, resource in more:
        app.add_route(path, resource)
    return app
