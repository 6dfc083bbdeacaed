"""The Falcon application of a worker: a request becomes a ``Call``, a ``Reply`` becomes the response.

Health checks are fixed routes; every other route comes from the Format documents of the running program.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl

import falcon
from falcon.routing import CompiledRouter

from engine import __version__
from engine.errors import CallError
from engine.relay import dialect, keeping, models, pipeline
from engine.relay.call import Call, Reply
from engine.relay.identify import is_operator
from engine.relay.ids import fresh_id
from engine.relay.lane import REQUEST_ID
from engine.storage.database import StorageError
from engine.transport.watch import Watch

if TYPE_CHECKING:
    from engine.program import Endpoint
    from engine.relay.state import RelayState

_OPERATIONS: dict[str, pipeline.Operation] = {
    "generate": pipeline.relay,
    "list_models": models.list_models,
    "get_model": models.get_model,
    "count_tokens": models.count_tokens,
    "get_stored": keeping.get_stored,
    "delete_stored": keeping.delete_stored,
    "cancel_stored": keeping.cancel_stored,
    "list_stored_items": keeping.list_stored_items,
}
_CORS = (
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", "x-request-id, x-gatewright-loss, x-gatewright-budget, retry-after"),
)
_PREFLIGHT = (
    ("access-control-allow-methods", "GET, POST, PUT, DELETE, OPTIONS"),
    ("access-control-allow-headers", "*, authorization"),
    ("access-control-max-age", "86400"),
)


class Gateway:
    """The router that Falcon asks, and the one resource behind every generated route."""

    def __init__(self, state: RelayState) -> None:
        self._state = state
        self._fixed: dict[str, dict[str, Callable[..., None]]] = {}
        self._methods = dict.fromkeys(falcon.HTTP_METHODS, self._serve)

    def add_route(self, uri_template: str, resource: object, **kwargs: Any) -> None:
        """Add a fixed route (Falcon's interface)."""
        responders = {m: getattr(resource, f"on_{m.lower()}", None) for m in ("GET", "HEAD")}
        self._fixed[uri_template] = {m: _with_id(responder) for m, responder in responders.items() if responder}

    def find(self, uri: str, req: falcon.Request | None = None) -> tuple[object, dict[str, Any], dict[str, Any], str]:
        """Return resource, responders, parameters and template of a request (Falcon's interface)."""
        fixed = self._fixed.get(uri)
        if fixed is not None and req is not None and req.method in fixed:
            return self, fixed, {}, uri
        return self, self._methods, {}, uri

    def _serve(self, req: falcon.Request, resp: falcon.Response) -> None:
        state, environ = self._state, req.env
        headers = lower_headers(environ)
        text = environ.get("QUERY_STRING", "")
        query = dict(parse_qsl(text, keep_blank_values=True)) if text else {}
        method = req.method
        if method == "OPTIONS":
            resp.status = 204
            resp.set_headers((*_CORS, *_PREFLIGHT, ("x-request-id", fresh_id())))
            return
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        endpoint, variables, methods = state.router.find("GET" if method == "HEAD" else method, path, headers, query)
        call = self._call(endpoint or state.router.nearest(path), variables, headers, query, environ)
        if endpoint is None:
            reply = dialect.refuse(call, _no_route(method, path, methods))
            if methods:
                reply.headers.append(("allow", ", ".join(sorted({*methods, "OPTIONS"}))))
        else:
            reply = pipeline.serve(_OPERATIONS[endpoint.operation], state, call, environ)
        _answer(resp, reply, call)

    def _call(
        self,
        endpoint: Endpoint | None,
        path: dict[str, str],
        headers: dict[str, str],
        query: dict[str, str],
        environ: dict[str, Any],
    ) -> Call:
        if endpoint is None:
            raise falcon.HTTPNotFound(description="no format is compiled, so no route is served")
        reader = self._state.reader
        sock = environ.get("gunicorn.socket")
        return Call(
            request_id=environ.get(REQUEST_ID) or fresh_id(),
            started=time.monotonic(),
            now=int(time.time()),
            reader=reader,
            format=reader.program.formats[endpoint.format],
            endpoint=endpoint,
            path=path,
            query=query,
            headers=headers,
            ip=client_ip(
                environ.get("REMOTE_ADDR", ""), headers.get("x-forwarded-for"), self._state.settings.trusted_proxies
            ),
            watch=None if sock is None else lambda on_gone: Watch(sock, on_gone).stop,
        )


def _with_id(responder: Callable[..., None]) -> Callable[..., None]:
    """The responder of a fixed route, with an id on its answers as on all others."""

    def serve(req: falcon.Request, resp: falcon.Response, **more: Any) -> None:
        resp.set_header("x-request-id", fresh_id())
        responder(req, resp, **more)

    return serve


def _no_route(method: str, path: str, methods: tuple[str, ...]) -> CallError:
    if methods:
        return CallError(
            "method_not_allowed", f"{method} is not served on {path}; use {' or '.join(sorted(set(methods)))}"
        )
    return CallError(
        "not_found", f"unknown URL: {method} {path}; check the base URL and the version in the path", code="unknown_url"
    )


def _answer(resp: falcon.Response, reply: Reply, call: Call) -> None:
    resp.status = reply.status
    request_id = call.request_id
    headers = [*reply.headers, *_CORS, ("x-request-id", request_id), ("x-oneapi-request-id", request_id)]
    if call.budget is not None and call.budget.warnings:
        headers.append(("x-gatewright-budget", "; ".join(call.budget.warnings)))
    headers += [(name, request_id) for name in call.format.headers.get("requestId") or ()]
    for name, value in headers:
        resp.set_header(name, value)
    if reply.stream is not None:
        resp.stream = reply.stream
    else:
        resp.data = reply.body


def lower_headers(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the request's headers by lower-case name."""
    found = {}
    for key, value in environ.items():
        name = _NAMES.get(key)
        if name is None:
            name = _header_name(key)
        if name:
            found[name] = value
    return found


_NAMES: dict[str, str] = {}
"""Header names of environ keys, empty for what is no header. PERF: a look-up instead of three string operations."""
_MOST_NAMES = 2_000


def _header_name(key: str) -> str:
    header = key.startswith("HTTP_") or key == "CONTENT_TYPE"
    name = key.removeprefix("HTTP_").replace("_", "-").lower() if header else ""
    if len(_NAMES) < _MOST_NAMES and len(key) <= 64:
        _NAMES[key] = name
    return name


def client_ip(remote: str, forwarded: str | None, trusted: tuple[Any, ...]) -> str:
    """Return the caller's address: the last forwarded hop that no trusted proxy added, else the socket's."""
    if not forwarded or not _trusted(remote, trusted):
        return remote
    for hop in reversed([part.strip() for part in forwarded.split(",")]):
        if not _trusted(hop, trusted):
            return hop if _is_address(hop) else remote
    return remote


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _trusted(text: str, trusted: tuple[Any, ...]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address.version == network.version and address in network for network in trusted)


class Health:
    """``/healthz``: the worker answers. ``/readyz``: it can serve, and (for operators) on which release."""

    def __init__(self, state: RelayState) -> None:
        self._state = state

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
        that it has not taken yet. Strangers get words alone; release, version, stalls and the places of faults are for
        those who send an administrator's key as a bearer token.
        """
        state = self._state
        last = state.status()
        reachable = _reachable(state)
        silent = state.ledger.away  # of commits: reads may go on, as on an SQLite file that another process holds
        refused = last.get("ok") is False
        word = "unready" if not reachable else "degraded" if refused or silent else "ready"
        resp.status = 200 if reachable else 503
        resp.media = {
            "status": word,
            "database": "unreachable" if not reachable else "takes no commits" if silent else "ok",
            "waiting": state.ledger.waiting,
            "documents": "refused; the last good release is running" if refused else "ok",
        }
        if self._asked_by_operator(req):
            resp.media |= {
                "release": state.program.hash,
                "version": __version__,
                "large": {"open": state.lane.open, "served": state.lane.served} if state.lane is not None else "here",
                "stalls": _stalls(req.env.get("gatewright.stalls")),
                "faults": [_fault_in_words(fault) for fault in last.get("faults", [])[:20]],
            }

    on_head = on_get

    def _asked_by_operator(self, req: falcon.Request) -> bool:
        sent = (req.get_header("Authorization") or "").strip()
        if not sent:
            return False
        trusted = self._state.settings.trusted_proxies
        ip = client_ip(req.env.get("REMOTE_ADDR", ""), req.get_header("X-Forwarded-For"), trusted)
        return is_operator(self._state.keys, sent.rpartition(" ")[2], ip, int(time.time()))


def _stalls(seen: Any) -> dict[str, int]:
    """How often one piece of work held up this worker, and for how long at most; nothing where nobody looks."""
    return {"count": seen.count, "longest_ms": seen.longest_ms} if seen is not None else {}


def _fault_in_words(fault: dict[str, Any]) -> str:
    place = ":".join(str(fault[key]) for key in ("file", "line", "column") if key in fault)
    nearest = f"; did you mean {fault['nearest']}" if "nearest" in fault else ""
    return f"{place}: {fault.get('message', '')}{nearest}"


def _reachable(state: RelayState) -> bool:
    try:
        state.db.run("SELECT 1", ())
    except StorageError:
        return False
    return True


class Root:
    """``/``: what answers here. Some clients probe it before their first call."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Name the product."""
        resp.media = {"name": "gatewright"}

    on_head = on_get


def create_app(state: RelayState, more: Iterable[tuple[str, object]] = ()) -> Any:
    """Return the WSGI application of a worker; ``more`` are fixed routes of other rooms."""
    app = falcon.App(router=cast(CompiledRouter, Gateway(state)))
    app.add_route("/", Root())
    app.add_route("/healthz", Health(state))
    app.add_route("/readyz", Ready(state))
    for path, resource in more:
        app.add_route(path, resource)
    return app
