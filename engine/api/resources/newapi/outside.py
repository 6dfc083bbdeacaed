"""Outside logins: the state that has to come back, what came back, and the identities of an account.

The routes are New API's; ``:provider`` is a login's name. With ``authorize`` in its body the start answers the address
to send the browser to, and the login is then bound to it by nonce and PKCE as well.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

from engine.accounts import people as rules
from engine.accounts import sessions
from engine.api.identity import BROWSER
from engine.api.refusals import Told
from engine.api.resources.newapi.logins import browser_of, cookie, entered
from engine.api.route import ADMIN, NOBODY, USER, Answer, Ask, Route
from engine.catalogue import options
from engine.errors import GatewrightError, Internal, NotFound
from engine.identity import bindings, entering, exchange, flows, offers
from engine.identity.directory import Directory
from engine.identity.exchange import Outsider, Returned
from engine.identity.flows import BIND, LOGIN, Flow
from engine.program.outside.logins import Login
from engine.storage.rows import people
from engine.texts import told

_INVITED = 32


def every(ask: Ask) -> tuple[Login, ...]:
    """All logins, on or off."""
    return offers.every(ask.worker.db, ask.worker.snapshot.program.logins)


def _login(ask: Ask, name: str) -> Login:
    login = next((one for one in every(ask) if one.name == name), None)
    if login is None:
        raise Told.of("oauth.unknown", 400)
    return login


def _on(ask: Ask, login: Login) -> dict[str, str]:
    """The options of a login that is on."""
    if not offers.is_on(login, ask.worker.options):
        raise Told.of("oauth.off", title=login.title)
    return login.read(ask.worker.options)


def _home(ask: Ask) -> str:
    return str(options.value_of(ask.worker.options, "ServerAddress") or "").rstrip("/")


def _directory(ask: Ask) -> Directory:
    return Directory(ask.worker.upstream.pool)


def state(ask: Ask) -> Answer:
    """Begin a login, or the binding of an identity to the caller's account."""
    intent, invited = ask.given("intent", LOGIN) or LOGIN, ask.given("aff", "")
    if intent not in (LOGIN, BIND) or len(invited) > _INVITED:
        raise Told.of("invalid")
    login = _login(ask, ask.given("provider", ""))
    values = _on(ask, login)
    if login.authorize is None:
        raise Told.of("invalid")
    strict = bool(ask.given("authorize", False))
    flow = _begun(ask, login.name, intent, strict=strict, invited=invited)
    data: dict[str, Any] = {"flow_token": flow.state, "expires_at": int(time.time()) + flows.LASTS}
    if strict:
        proofs = flows.proofs(ask.worker.secret, flow)
        back = f"{_home(ask)}/oauth/{login.name}"
        data["authorize_url"] = flows.address(_directory(ask), login, values, flow, proofs, back)
    return Answer(data)


def old_state(ask: Ask) -> Answer:
    """The same in the old form: a text, for any login; who has a session binds an identity to it."""
    intent = BIND if ask.session is not None else LOGIN
    flow = _begun(ask, "", intent, strict=False, invited=ask.query.get("aff", "")[:_INVITED])
    return Answer(flow.state)


def _begun(ask: Ask, login: str, intent: str, *, strict: bool, invited: str) -> Flow:
    user = 0
    if intent == BIND:
        if ask.session is None:
            raise Told.of("auth.none", 401, "AUTH_UNAUTHORIZED")
        user = ask.user.id
    flow = Flow(flows.fresh(), login, intent, user, strict, invited)
    browser = browser_of(ask)
    flows.begin(ask.worker.db, flow, browser)
    cookie(ask, BROWSER, browser, "/", flows.LASTS)
    return flow


def back(ask: Ask) -> Answer:
    """What an outside service sent back by the browser: a session, or an identity that is bound."""
    login = _login(ask, ask.path["provider"])
    if login.authorize is None:
        return _by_code(ask, login)
    flow = flows.take(ask.worker.db, ask.query.get("state", ""), login.name, ask.browser)
    values = _on(ask, login)
    if ask.query.get("error"):
        raise Told.of("oauth.denied", title=login.title)
    proofs = flows.proofs(ask.worker.secret, flow)
    returned = Returned(ask.query, f"{_home(ask)}/oauth/{login.name}", proofs.nonce, proofs.verifier)
    if flow.intent == BIND and (ask.session is None or ask.user.id != flow.user):
        raise Told.of("auth.none", 401, "AUTH_UNAUTHORIZED")
    who = exchange.outsider(ask.worker.db, _directory(ask), login, values, returned)
    if flow.intent == BIND:
        _bind(ask, login, who)
        return Answer({"action": "bind"}, message="oauth.bound", values={"title": login.title})
    return _enter(ask, login, who, flow.invited_by)


def _by_code(ask: Ask, login: Login) -> Answer:
    """A login by a code that people bring themselves: it is short, so addresses have a number of tries."""
    values = _on(ask, login)
    if login.proof is not None:
        raise Told.of("oauth.unknown", 400)
    return _enter(ask, login, _counted(ask, login, values, ask.query))


def _counted(ask: Ask, login: Login, values: dict[str, str], sent: Any) -> Outsider:
    limited = ask.worker.settings.login_limit
    if limited:
        sessions.count(ask.worker.db, ask.ip)
    who = exchange.outsider(ask.worker.db, _directory(ask), login, values, Returned(sent))
    if limited:
        sessions.forgive(ask.worker.db, ask.ip)
    return who


def proved(ask: Ask) -> Answer:
    """A login by fields that the service signed itself."""
    login = _login(ask, ask.path["provider"])
    if login.proof is None:
        raise Told.of("oauth.unknown", 400)
    return _enter(ask, login, _counted(ask, login, _on(ask, login), ask.query))


def bind_code(ask: Ask) -> Answer:
    """Bind an identity for a code that people bring themselves."""
    login = _login(ask, ask.path["provider"])
    if login.authorize is not None or login.proof is not None:
        raise Told.of("oauth.unknown", 400)
    _bind(ask, login, _counted(ask, login, _on(ask, login), {"code": ask.given("code", "")}))
    return Answer(message="oauth.bound", values={"title": login.title})


def bind_start(ask: Ask) -> Answer:
    """Where the service has to send fields that it signed, for an identity to be bound."""
    login = _login(ask, ask.path["provider"])
    _on(ask, login)
    if login.proof is None:
        raise Told.of("oauth.unknown", 400)
    flow = _begun(ask, login.name, BIND, strict=False, invited="")
    place = f"{_home(ask)}/api/oauth/{login.name}/bind/{flow.state}"
    return Answer({"flow_token": flow.state, "callback_url": place, "expires_at": int(time.time()) + flows.LASTS})


def bind_proved(ask: Ask) -> Answer:
    """Bind an identity by fields that the service signed; the browser goes on to a page."""
    login = _login(ask, ask.path["provider"])
    name = login.name
    try:
        flow = flows.take(ask.worker.db, ask.path["flow"], name, ask.browser)
        person = people.by_id(ask.worker.db, flow.user)
        if person is None:
            raise Told.of("auth.none")
        who = _counted(ask, login, _on(ask, login), ask.query)
        entering.admitted(login, who, ask.language)
        bindings.bind(ask.worker.db, login, flow.user, who)
        ask.person = rules.Person(person)
        word = f"{name}_bind=success"
    except GatewrightError as error:
        if isinstance(error, Internal):
            raise
        word = f"{name}_bind=error&message={quote(told(error, ask.language))}"
    ask.headers.append(("location", f"/oauth/{quote(name)}?{word}"))
    return Answer(whole=b"", status=302)


def _bind(ask: Ask, login: Login, who: Outsider) -> None:
    entering.admitted(login, who, ask.language)
    bindings.bind(ask.worker.db, login, ask.user.id, who)


def _enter(ask: Ask, login: Login, who: Outsider, invited_by: str = "") -> Answer:
    registering = bool(options.value_of(ask.worker.options, "RegisterEnabled"))
    user = entering.enter(
        ask.worker.db, login, who, open_to_all=registering, invited_by=invited_by, tongue=ask.language
    )
    method = f"oauth:{login.name}" if login.authorize is not None else login.name
    answer = entered(ask, user, method[:32])
    answer.noted = False
    return answer


def _listed(ask: Ask, user: Any) -> Answer:
    rows = [
        {
            "provider_id": login.number or login.name,
            "provider_name": login.title,
            "provider_slug": login.name,
            "provider_icon": login.icon,
            "provider_user_id": subject,
        }
        for login, subject in bindings.listed(ask.worker.db, every(ask), user)
    ]
    return Answer(rows, shown=True)


def own(ask: Ask) -> Answer:
    """The identities of the caller's account."""
    return _listed(ask, ask.user.row)


def unbind(ask: Ask) -> Answer:
    """Take one of them away."""
    try:
        login = bindings.by_name(every(ask), ask.path["provider"])
    except NotFound:
        return Answer(message="unbound", noted=False)
    done = bindings.unbind(ask.worker.db, every(ask), ask.user.row, login)
    return Answer(message="unbound", noted=done)


def of_user(ask: Ask) -> Answer:
    """The identities of a user of a lower role."""
    return _listed(ask, rules.lower(ask.worker.db, ask.user, ask.number()))


def unbind_user(ask: Ask) -> Answer:
    """Take one of them away, by the login's name or number."""
    row = rules.lower(ask.worker.db, ask.user, ask.number())
    try:
        login = bindings.by_name(every(ask), ask.path["provider"])
    except NotFound:
        return Answer(message="success", noted=False)
    done = bindings.unbind(ask.worker.db, every(ask), row, login, forced=True)
    return Answer(message="success", noted=done)


def unbind_kind(ask: Ask) -> Answer:
    """Take an identity, or the e-mail address, from a user, by the word that New API has for it."""
    kind = ask.path["kind"]
    login = next((one for one in every(ask) if one.name == kind), None)
    if kind in rules.BINDINGS or login is None:
        rules.unbind(ask.worker.db, ask.user, ask.number(), kind)
    else:
        row = rules.lower(ask.worker.db, ask.user, ask.number())
        bindings.unbind(ask.worker.db, every(ask), row, login, forced=True)
    return Answer(message="success")


_STATE = {"provider": str, "intent": str, "aff": str, "authorize": bool}
ROUTES = (
    Route("POST", "/api/oauth/state", NOBODY, state, _STATE, known=True, noted=False),
    Route("GET", "/api/oauth/state", NOBODY, old_state),
    Route("GET", "/api/oauth/:provider", NOBODY, back, noted=True),
    Route("GET", "/api/oauth/:provider/login", NOBODY, proved),
    Route("POST", "/api/oauth/:provider/bind", USER, bind_code, {"code": str}),
    Route("POST", "/api/oauth/:provider/bind/start", USER, bind_start, session=True, noted=False),
    Route("GET", "/api/oauth/:provider/bind/:flow", NOBODY, bind_proved, noted=True),
    Route("GET", "/api/user/oauth/bindings", USER, own),
    Route("DELETE", "/api/user/oauth/bindings/:provider", USER, unbind),
    Route("DELETE", "/api/user/:id/bindings/:kind", ADMIN, unbind_kind, right="user.write"),
    Route("GET", "/api/user/:id/oauth/bindings", ADMIN, of_user, right="user.read"),
    Route("DELETE", "/api/user/:id/oauth/bindings/:provider", ADMIN, unbind_user, right="user.write"),
)
