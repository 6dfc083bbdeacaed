"""The one resource behind all routes of the management API: find the route, who asks, whether they may, and answer.

Each family of routes has a voice (``engine.api.envelope``, ``engine.api.problems``) that reads bodies and tells answers
and refusals in its own form. Refusals are in the caller's language and never a fault of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl

import falcon

from engine.api import identity, networks
from engine.api.reading import checked
from engine.api.refusals import Denied
from engine.api.route import NOBODY, Answer, Ask, Route, Worker
from engine.errors import CallError, GatewrightError, Internal, Unauthenticated, Unavailable
from engine.net import MANAGEMENT, client_ip
from engine.relay.ingress.ids import fresh_id
from engine.storage.releases.acting import acting
from engine.storage.releases.documents import Author
from engine.texts import language, refusal

Rights = Callable[[Ask], bool]


class Voice(Protocol):
    """How a family of routes reads and answers."""

    def nowhere(self, method: str, path: str, allowed: list[str], resp: falcon.Response) -> None: ...
    def serve(self, ask: Ask, req: falcon.Request) -> Answer: ...
    def tell(self, ask: Ask, answer: Answer, resp: falcon.Response) -> None: ...
    def refuse(self, ask: Ask, error: GatewrightError, request_id: str, resp: falcon.Response) -> None: ...


class Routes:
    """Routes by method and path. A path is found with or without a slash at its end."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[tuple[str, str], Route] = {}
        self._open: dict[tuple[str, int], list[Route]] = {}
        self._methods: set[str] = set()
        for route in routes:
            self._methods.add(route.method)
            if ":" in route.path:
                self._open.setdefault((route.method, len(route.parts)), []).append(route)
            else:
                self._exact[route.method, route.path] = route

    def find(self, method: str, path: str) -> tuple[Route | None, Mapping[str, str]]:
        """The route of a path and its variables."""
        for text in (path, path[:-1] if path.endswith("/") else path + "/"):
            if (route := self._exact.get((method, text))) is not None:
                return route, {}
        for text in (path, path[:-1] if path.endswith("/") else path + "/"):
            pieces = text.split("/")[1:]
            for route in self._open.get((method, len(pieces)), ()):
                pairs = list(zip(route.parts, pieces, strict=True))
                if all(part == piece or (part[:1] == ":" and piece) for part, piece in pairs):
                    return route, {part[1:]: piece for part, piece in pairs if part[:1] == ":"}
        return None, {}

    def methods(self, path: str) -> list[str]:
        """With which methods a path is there."""
        return sorted(method for method in self._methods if self.find(method, path)[0] is not None)


class Management:
    """See the module. ``families``: the begin of their paths, voice and routes, the longest begin first.

    ``note`` writes a change into the trail; ``declared`` are routes that documents declare, by method and path.
    """

    def __init__(
        self,
        worker: Worker,
        families: Iterable[tuple[str, Voice, Iterable[Route]]],
        rights: Rights,
        note: Callable[[Ask, Answer], None],
        declared: Callable[[Worker], Mapping[tuple[str, str], Route]],
    ) -> None:
        self._worker, self._declared = worker, declared
        self._rights, self._note = rights, note
        self._families = [(begin, voice, Routes(routes)) for begin, voice, routes in families]

    def __call__(self, req: falcon.Request, resp: falcon.Response, **_: Any) -> None:
        """Answer a call."""
        request_id = fresh_id()
        resp.set_header("x-request-id", request_id)
        resp.set_header("x-oneapi-request-id", request_id)
        resp.set_header("cache-control", "no-store")
        path = req.env["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        voice, routes = next((voice, routes) for begin, voice, routes in self._families if path.startswith(begin))
        method = "GET" if req.method == "HEAD" else req.method
        route, variables = self.find(method, path)
        if route is None:
            voice.nowhere(req.method, path, routes.methods(path), resp)
            return
        ask = self._ask(route, variables, req)
        try:
            voice.tell(ask, self._serve(ask, voice, req), resp)
        except GatewrightError as error:
            voice.refuse(ask, error, request_id, resp)
        except Exception as error:
            fault = Internal(type(error).__name__)
            fault.__cause__ = error
            voice.refuse(ask, fault, request_id, resp)
        for name, value in ask.headers:
            resp.append_header(name, value)

    def _ask(self, route: Route, variables: Mapping[str, str], req: falcon.Request) -> Ask:
        sent = (req.get_header("Authorization") or "").strip()
        if sent[:7].lower() == "bearer ":
            sent = sent[7:].strip()
        text = req.env.get("QUERY_STRING", "")
        remote = req.env.get("REMOTE_ADDR", "")
        ip = client_ip(remote, req.get_header("X-Forwarded-For"), self._worker.settings.trusted_proxies)
        https = req.env.get("wsgi.url_scheme") == "https"
        if ip != remote or req.get_header("X-Forwarded-For"):
            https = https or (req.get_header("X-Forwarded-Proto") or "").lower() == "https"
        return Ask(
            worker=self._worker,
            route=route,
            path=variables,
            query=dict(parse_qsl(text, keep_blank_values=True, errors="replace")) if text else {},
            body={},
            ip=ip,
            agent=(req.get_header("User-Agent") or "")[:255],
            language=language("", req.get_header("Accept-Language") or ""),
            secure=https or self._worker.settings.session_cookie_secure,
            bearer=sent,
            cookie=(req.cookies or {}).get(identity.COOKIE, ""),
            browser=(req.cookies or {}).get(identity.BROWSER, ""),
            refresh=(req.cookies or {}).get(identity.REFRESH, ""),
            proof=(req.get_header("X-Security-Proof") or ""),
            vouched=identity.vouched(self._worker.settings, req),
        )

    def _serve(self, ask: Ask, voice: Voice, req: falcon.Request) -> Answer:
        route = ask.route
        self._worker.catch_up()
        if not route.raw:  # a service that tells of a payment signs what it says
            networks.admit(self._worker.snapshot, MANAGEMENT, ask.ip)
        named = req.get_header("New-Api-User")
        if route.role > NOBODY or ((ask.bearer or ask.cookie) and (route.body is None or route.known)):
            try:
                identity.identify(ask, named)
            except Unauthenticated:
                if route.role > NOBODY:
                    raise
        if ask.person is not None:
            ask.language = language(ask.person.language, req.get_header("Accept-Language") or "")
        self._admit(ask)
        lane = self._worker.lane if route.heavy else None
        with acting(_author(ask)):
            return self._noted(ask, voice.serve(ask, req) if lane is None else _aside(lane, req))

    def find(self, method: str, path: str) -> tuple[Route | None, Mapping[str, str]]:
        """The route of a path, and its variables."""
        routes = next(routes for begin, _, routes in self._families if path.startswith(begin))
        route, variables = routes.find(method, path)
        return route or self._declared(self._worker).get((method, path.rstrip("/"))), variables

    def perform(self, ask: Ask) -> Answer:
        """What a page asks in the name of who looks at it: the checks of a call of the route, without HTTP."""
        self._admit(ask)
        checked(ask.body, ask.route)
        with acting(_author(ask)):
            return self._noted(ask, ask.route.call(ask))

    def _noted(self, ask: Ask, answer: Answer) -> Answer:
        route = ask.route
        changes = (route.method != "GET") if route.noted is None else route.noted
        if changes and ask.person is not None and answer.success and answer.noted:
            self._note(ask, answer)
        return answer

    def _admit(self, ask: Ask) -> None:
        if ask.route.role == NOBODY:
            return
        if ask.user.role < ask.route.role or (ask.route.right and not self._rights(ask)):
            raise refusal(Denied, "auth.role")
        if ask.route.session and ask.session is None:
            raise refusal(Denied, "auth.session")


def _author(ask: Ask) -> Author:
    return Author(ask.person.id, ask.person.username) if ask.person is not None else Author()


def _aside(lane: Any, req: falcon.Request) -> Answer:
    """The answer of the process beside the workers, as it comes."""
    try:
        reply = lane.pass_on(req.env, fresh_id())
    except CallError as error:
        raise Unavailable(error.message) from None
    return Answer(status=reply.status, headers=dict(reply.headers), stream=reply.stream or iter((reply.body,)))
