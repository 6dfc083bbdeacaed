"""The one resource behind all pages: find the page, who looks, check the seal of a form, render.

Every answer has a strict Content-Security-Policy; a form without its seal, or from another site, is refused.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode

import falcon
import orjson

from admin import pages, static
from admin.render import render
from admin.view import NOBODY, Moved, Page, Result, Sent, Shown, StepUp, View
from admin.words import LANGUAGES, gettext, tongue
from engine.accounts.people import Person
from engine.api import identity
from engine.api.dispatch import Management
from engine.api.networks import admitted
from engine.api.operation import Operation
from engine.api.refusals import refused
from engine.api.route import Answer, Ask, Worker
from engine.errors import Conflict, Forbidden, GatewrightError, Invalid, NotFound, Unauthenticated
from engine.net import CONSOLE, client_ip
from engine.relay.ingress.ids import fresh_id
from engine.texts import language

if TYPE_CHECKING:
    from engine.storage.rows.crud import Row

PREFIXES = ("/console", "/oauth/", "/user/reset")
_MOST = 4 * 1024 * 1024
_VIEW = "console_view"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; media-src 'self';"
    " connect-src 'self';"
    " font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_STATUS: tuple[tuple[type[GatewrightError], int], ...] = (
    (Invalid, 422),
    (NotFound, 404),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (Conflict, 409),
)
_logger = logging.getLogger("gatewright.console")


class Console:
    """See the module."""

    def __init__(self, worker: Worker, management: Management) -> None:
        self._worker, self._management = worker, management
        self._exact: dict[tuple[str, str], Page] = {}
        self._open: dict[tuple[str, int], list[Page]] = {}
        for page in pages.PAGES:
            if ":" in page.address:
                self._open.setdefault((page.method, page.address.count("/")), []).append(page)
            else:
                self._exact[page.method, page.address] = page

    def __call__(self, req: falcon.Request, resp: falcon.Response, **_: Any) -> None:
        """Answer a request."""
        path = req.env["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        if path.startswith("/console/assets/"):
            _send_asset(path.rpartition("/")[2], req, resp)
            return
        method = "GET" if req.method == "HEAD" else req.method
        page, variables = self._find(method, path.rstrip("/") or "/")
        request_id = fresh_id()
        resp.set_header("x-request-id", request_id)
        view = self._view(req, path, variables)
        tongue.set(view.language)
        try:
            self._answer(view, self._result(page, view, req, request_id), resp)
        except Exception as error:
            _logger.error("page %s failed, request %s", path, request_id, exc_info=error)
            self._answer(view, Shown("fault.html", {"kind": "fault", "detail": request_id}, 500), resp)

    def _result(self, page: Page | None, view: View, req: falcon.Request, request_id: str) -> Result:
        try:
            return self._serve(page, view, req)
        except StepUp as step:
            if view.fragment:
                return Sent("", status=403, headers={"x-proof": step.asked})
            return _failed(view, step.error, request_id)
        except GatewrightError as error:
            return _failed(view, error, request_id)

    def _find(self, method: str, path: str) -> tuple[Page | None, Mapping[str, str]]:
        page = self._exact.get((method, path))
        if page is not None:
            return page, {}
        pieces = path.split("/")
        for page in self._open.get((method, len(pieces) - 1), ()):
            pairs = list(zip(page.address.split("/"), pieces, strict=True))
            if all(part == piece or (part[:1] == ":" and piece) for part, piece in pairs):
                return page, {part[1:]: piece for part, piece in pairs if part[:1] == ":"}
        return None, {}

    def _view(self, req: falcon.Request, path: str, variables: Mapping[str, str]) -> View:
        settings, remote = self._worker.settings, req.env.get("REMOTE_ADDR", "")
        ip = client_ip(remote, req.get_header("X-Forwarded-For"), settings.trusted_proxies)
        proxied = ip != remote or bool(req.get_header("X-Forwarded-For"))
        https = req.env.get("wsgi.url_scheme") == "https"
        https = https or (proxied and (req.get_header("X-Forwarded-Proto") or "").lower() == "https")
        person, session = self._who(req)
        chosen, theme, density = _looks(req.cookies or {})
        accepted = req.get_header("Accept-Language") or ""
        own = person.language if person is not None else ""
        named = parse_qs(req.env.get("QUERY_STRING", ""), keep_blank_values=True, errors="replace", max_num_fields=200)
        host = req.get_header("Host") or "localhost"
        return View(
            worker=self._worker,
            ask=self._ask,
            method=req.method,
            address=path,
            path=variables,
            query={name: values[-1].replace("\0", "") for name, values in named.items()},
            form={},
            language=chosen or language(own, accepted),
            theme=theme,
            density=density,
            nonce=secrets.token_urlsafe(16),
            ip=ip,
            agent=(req.get_header("User-Agent") or "")[:255],
            secure=https or settings.session_cookie_secure,
            origin=f"{'https' if https else 'http'}://{host}",
            browser=(req.cookies or {}).get(identity.BROWSER, ""),
            proof=req.get_header("X-Security-Proof") or "",
            vouched=identity.vouched(settings, req),
            fragment=_fragment(req),
            person=person,
            session=session,
        )

    def _who(self, req: falcon.Request) -> tuple[Person | None, Row | None]:
        sent = (req.cookies or {}).get(identity.COOKIE, "")
        if not sent:
            return None, None
        session, user = identity.by_cookie(self._worker, sent) or (None, None)
        return (Person(user), session) if user is not None else (None, None)

    def _serve(self, page: Page | None, view: View, req: falcon.Request) -> Result:
        self._worker.catch_up()
        if not admitted(self._worker.snapshot, CONSOLE, view.ip):
            return Shown("fault.html", {"kind": "forbidden"}, 403)
        if page is None:
            return Shown("fault.html", {"kind": "missing", "detail": view.address}, 404)
        if page.role > NOBODY and view.person is None:
            return _sign_in(view)
        if page.role > NOBODY and view.user.role < page.role:
            return Shown("fault.html", {"kind": "forbidden"}, 403)
        if page.method == "POST":
            view.form = _form(req)
            if not _sealed(page, view, req):
                return Shown("fault.html", {"kind": "seal"}, 403)
        return page.show(view)

    def _ask(self, view: View, method: str, path: str, body: dict[str, Any], query: dict[str, str]) -> Answer:
        """Ask the management API in the name of who looks."""
        route, variables = self._management.find(method, path)
        assert route is not None, f"{method} {path}"
        ask = Ask(
            worker=self._worker,
            route=route,
            path=variables,
            query=query,
            body=body,
            ip=view.ip,
            agent=view.agent,
            language=view.language,
            secure=view.secure,
            browser=view.browser,
            proof=view.proof,
            vouched=view.vouched,
            person=view.person,
            session=view.session,
        )
        if isinstance(route, Operation):  # as HTTP does it; who looks has read the page a moment ago
            ask.values = route.takes.take(body, fresh=route.makes) if route.takes is not None else {}
            ask.match = "*"
        answer = self._management.perform(ask)
        view.headers += ask.headers
        return answer

    def _answer(self, view: View, result: Result, resp: falcon.Response) -> None:
        resp.set_headers([("cache-control", "no-store"), ("x-content-type-options", "nosniff")])
        resp.set_headers([("referrer-policy", "same-origin"), ("vary", "hx-request, hx-target, cookie")])
        opened = result.opened if isinstance(result, Shown) else {}
        resp.set_header("content-security-policy", _policy(view.nonce, opened))
        if isinstance(result, Moved):
            resp.status = 303 if not view.fragment else 204
            resp.set_header("hx-redirect" if view.fragment else "location", result.to)
        elif isinstance(result, Sent):
            resp.status, resp.content_type = result.status, result.type
            resp.set_headers(dict(result.headers))
            if isinstance(result.body, bytes | str):
                resp.data = result.body.encode() if isinstance(result.body, str) else result.body
            else:
                resp.stream = result.body
        else:
            _show(view, result, resp)
        for name, value in view.headers:
            resp.append_header(name, value)


def _policy(nonce: str, opened: Mapping[str, Iterable[str]]) -> str:
    """The policy of a page; ``opened`` are sources of others for it alone."""
    policy = _POLICY.format(nonce=nonce)
    for name, sources in opened.items():
        more = " ".join(sources)
        head = f"{name}-src"
        policy = (
            policy.replace(f"; {head} ", f"; {head} {more} ") if f"; {head} " in policy else f"{policy}; {head} {more}"
        )
    return policy


def _show(view: View, result: Shown, resp: falcon.Response) -> None:
    resp.status, resp.content_type = result.status, "text/html; charset=utf-8"
    events: dict[str, Any] = {}
    if result.toast:
        undo = {"url": result.undo[0], "values": dict(result.undo[1])} if result.undo else None
        events["toast"] = {"text": result.toast, **({"undo": undo} if undo else {})}
    if result.fresh:
        events["refresh"] = {}
    if events:
        resp.set_header("hx-trigger", _ascii(events))
    if result.done:
        resp.set_header("x-done", "1")
    text = render(view, result) if result.template else ""
    if not text:  # what stands there stays, also beside a fault that is told
        resp.set_header("hx-reswap", "none")
    resp.data = text.encode("utf-8", "replace")


def _ascii(events: dict[str, Any]) -> str:
    """JSON in a header: what is no ASCII is escaped."""
    text = orjson.dumps(events).decode()
    return "".join(char if char < "\x7f" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _failed(view: View, error: GatewrightError, request_id: str) -> Result:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 0)
    if status == HTTPStatus.UNAUTHORIZED:
        return _sign_in(view)
    words = view.words(error) if status else refused(error, request_id).message
    if view.method == "POST" and view.fragment:
        return Shown("", status=status or 503, toast=words)
    kinds = {404: "missing", 403: "forbidden"}
    kind = kinds.get(status, "refused" if status else "away")
    return Shown("fault.html", {"kind": kind, "detail": words}, status or 503)


def _sign_in(view: View) -> Result:
    if view.fragment:
        return Sent(gettext("Your session ended"), status=401)
    address = view.address + (f"?{urlencode(view.query)}" if view.query else "")
    return Moved("/console/login" + (f"?next={quote(address)}" if address not in ("/console", "/console/") else ""))


def _fragment(req: falcon.Request) -> str:
    if not req.get_header("HX-Request") or req.get_header("HX-History-Restore-Request"):
        return ""
    return req.get_header("HX-Target") or "*"


def _looks(cookies: Mapping[str, str]) -> tuple[str, str, str]:
    """Language, theme and density that this browser chose."""
    parts = (cookies.get(_VIEW, "") + "...").split(".")
    chosen = parts[0] if parts[0] in LANGUAGES else ""
    theme = parts[1] if parts[1] in ("light", "dark") else ""
    return chosen, theme, parts[2] if parts[2] in ("compact", "roomy") else ""


def _form(req: falcon.Request) -> dict[str, str]:
    raw = req.env["wsgi.input"].read(_MOST + 1)
    if len(raw) > _MOST:
        raise Forbidden(gettext("The form is too large"))
    named = parse_qs(raw.decode("utf-8", "replace"), keep_blank_values=True, errors="replace", max_num_fields=5000)
    return {name: "\n".join(values).replace("\0", "").replace("\r\n", "\n") for name, values in named.items()}


def _sealed(page: Page, view: View, req: falcon.Request) -> bool:
    """Whether one of our own pages sent a form."""
    if (req.get_header("Sec-Fetch-Site") or "same-origin") not in ("same-origin", "none"):
        return False
    if page.unsealed:
        return True
    sent = req.get_header("X-Seal") or view.form.pop("seal", "")
    return bool(view.seal) and hmac.compare_digest(view.seal.encode(), sent.encode("utf-8", "replace"))


def _send_asset(name: str, req: falcon.Request, resp: falcon.Response) -> None:
    asset = static.asset(name)
    if asset is None:
        resp.status, resp.content_type, resp.data = 404, "text/plain", b"not built: make assets"
        return
    packed = "gzip" in (req.get_header("Accept-Encoding") or "")
    resp.content_type, resp.data = asset.type, asset.packed if packed else asset.whole
    resp.set_headers({"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"})
    if packed:
        resp.set_headers({"content-encoding": "gzip", "vary": "accept-encoding"})
