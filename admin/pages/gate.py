"""Before a session: first start, signing in, registering; and the session that ended, asked for in place."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from admin import shell
from admin.view import NOBODY, USER, Moved, Page, Result, Sent, Shown, View
from admin.words import LANGUAGES, gettext
from engine.api import identity
from engine.catalogue import options
from engine.errors import Conflict, Forbidden, GatewrightError, Invalid

_FAULTS = (Invalid, Conflict, Forbidden)
_YEAR = 31_536_000
_ATTENDED = ("login.html", "register.html", "forgotten.html")


def _option(view: View, name: str) -> Any:
    return options.value_of(view.worker.options, name)


def framed(view: View, template: str, status: int = 200, **values: Any) -> Shown:
    """A page in the frame of those without a session."""
    frame = {"name": view.worker.options.get("SystemName") or "Gatewright", "footer": _option(view, "Footer") or ""}
    about = view.api("GET", "/api/status")
    captcha = about.get("captcha") if template in _ATTENDED and not values.get("flow") else None
    frame |= {"ways": _ways(about), "registering": _option(view, "RegisterEnabled"), "languages": LANGUAGES}
    frame |= {"agreements": agreements(view), "about": bool(str(_option(view, "About") or "").strip())}
    frame["captcha"] = captcha
    frame |= {"vouched": view.vouched, "mailing": _option(view, "EmailVerificationEnabled"), "mailed_to": ""}
    frame["priced"] = _priced(view)
    frame["passkeys"] = _option(view, "passkey.enabled")
    values = {"next": "", "flow": "", "methods": "", "invited": "", **frame, **values}
    return Shown(template, values, status, opened=_opened(captcha) if captcha else {})


def _priced(view: View) -> bool:
    """Whether strangers may see the prices."""
    rule = shell.price_rule(view.worker.options)
    return rule.get("enabled") is not False and rule.get("requireAuth") is not True


def agreements(view: View) -> list[str]:
    """Which texts whoever registers has to agree to: those that are set."""
    texts = {"agreement": "legal.user_agreement", "privacy": "legal.privacy_policy"}
    return [name for name, option in texts.items() if str(_option(view, option) or "").strip()]


def _ways(about: dict[str, Any]) -> list[dict[str, str]]:
    """The outside logins that a page can offer: a widget would need scripts of others."""
    return [way for way in about.get("logins", []) if way["way"] != "proof"]


def _opened(captcha: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """What the policy of a page with a captcha opens: the host of its script, and what its document says."""
    parts = urlsplit(captcha["script"])
    allow = {name: tuple(sources) for name, sources in captcha["allow"].items()}
    return {**allow, "script": (f"{parts.scheme}://{parts.netloc}", *allow.get("script", ()))}


def attended(view: View) -> dict[str, str]:
    """What the widget of a captcha put into the form, as the API takes it."""
    captcha = view.api("GET", "/api/status").get("captcha")
    return {captcha["parameter"]: view.form.get(captcha["field"], "")} if captcha else {}


def _next(view: View) -> str:
    """Where to go after signing in: a page of ours alone."""
    wanted = view.form.get("next") or view.query.get("next") or ""
    good = (
        wanted.startswith("/console")
        and "//" not in wanted
        and "\\" not in wanted
        and not wanted.startswith("/console/login")
    )
    return wanted if good else "/console"


def login(view: View) -> Result:
    """The card for signing in; a gateway without a user is set up first."""
    if not view.api("GET", "/api/setup").get("status"):
        return Moved("/console/setup")
    if view.person is not None:
        return Moved(_next(view))
    return framed(view, "login.html", next=_next(view))


def sign_in(view: View) -> Result:
    """A name and a password, and a second factor where one is set up."""
    name, flow = view.form.get("username", "").strip(), view.form.get("flow", "")
    values = {"next": _next(view), "username": name, "flow": flow, "methods": view.form.get("methods", "")}
    try:
        if flow:
            view.api("POST", "/api/user/login/2fa", {"code": view.form.get("code", "").strip(), "flow_token": flow})
        else:
            body = {"username": name, "password": view.form.get("password", "")}
            data = view.api("POST", "/api/user/login", body, **attended(view))
            if data.get("require_2fa"):
                return _halfway(view, data, name)
    except _FAULTS as error:
        return framed(view, "login.html", 422, faults={"password": view.words(error)}, **values)
    return Moved(_next(view))


def _halfway(view: View, data: dict[str, Any], name: str = "") -> Shown:
    methods = " ".join(data["methods"])
    return framed(view, "login.html", next=_next(view), flow=data["flow_token"], methods=methods, username=name)


def passkey_asked(view: View) -> Result:
    """What the browser asks a passkey for: any, or one of who waits for a second factor."""
    flow = view.form.get("flow")
    return ceremony(view, "login/begin", {"flow_token": flow} if flow else {})


def passkey(view: View) -> Result:
    """Sign in by what it answered."""
    try:
        view.api("POST", "/api/user/passkey/login/finish", answered(view))
    except _FAULTS as error:
        return framed(view, "login.html", 422, faults={"way": view.words(error)}, next=_next(view))
    return Moved(_next(view))


def ceremony(view: View, step: str, body: dict[str, Any]) -> Result:
    """A step of a ceremony, as scripts read it; a refusal is its words."""
    try:
        return Sent(orjson.dumps(view.api("POST", f"/api/user/passkey/{step}", body)), "application/json")
    except _FAULTS as error:
        return Sent(view.words(error), status=422)


def answered(view: View) -> dict[str, Any]:
    """What a script brings of a ceremony."""
    try:
        credential = orjson.loads(view.form.get("credential", ""))
    except orjson.JSONDecodeError:
        credential = None
    held = credential if isinstance(credential, dict) else {}
    return {"flow_token": view.form.get("flow_token", ""), "credential": held}


def by_proxy(view: View) -> Result:
    """Sign in as whom a trusted proxy names."""
    try:
        return _entered(view, view.api("POST", "/api/user/login/proxy"))
    except _FAULTS as error:
        return framed(view, "login.html", 422, faults={"way": view.words(error)}, next=_next(view))


def leave(view: View) -> Result:
    """Begin an outside login: the browser goes to the service, or brings a code that it has."""
    name, form = view.path["provider"], view.form
    try:
        if form.get("code"):
            return _entered(view, view.api("GET", f"/api/oauth/{name}", code=form["code"].strip()))
        body = {"provider": name, "intent": "login", "authorize": True, "aff": form.get("aff", "")}
        data = view.api("POST", "/api/oauth/state", body)
    except _FAULTS as error:
        return framed(view, "login.html", 422, faults={"way": view.words(error)}, next=_next(view))
    return leaving(view, data["authorize_url"])


def leaving(view: View, to: str) -> Shown:
    """A page that goes on by itself: a redirect after a form would be one of the form's targets, which are our own."""
    return framed(view, "leave.html", to=to)


def back(view: View) -> Result:
    """An outside service sent the browser back.

    What comes by a link of another site has no cookies of ours, so the page calls itself once more first.
    """
    query, name = view.query, view.path["provider"]
    if query.get(f"{name}_bind") == "success":
        return Moved("/console/profile")
    if "own" not in query:
        return leaving(view, f"{quote(view.address)}?{urlencode({**query, 'own': '1'})}")
    try:
        if f"{name}_bind" in query:
            raise Conflict(query.get("message", "")[:500])
        data = view.api("GET", f"/api/oauth/{name}", **{key: text for key, text in query.items() if key != "own"})
    except _FAULTS as error:
        if view.person is not None:
            return Shown("fault.html", {"kind": "refused", "detail": view.words(error)}, 409)
        return framed(view, "login.html", 422, faults={"way": view.words(error)})
    return Moved("/console/profile") if data.get("action") == "bind" else _entered(view, data)


def _entered(view: View, data: dict[str, Any]) -> Result:
    if data.get("require_2fa"):
        return _halfway(view, data)
    return Moved(_next(view))


def again(view: View) -> Result:
    """The password of a session that ended, and a code where one is asked for: answers the seal of the new one."""
    form = view.form
    try:
        if form.get("flow"):
            view.api("POST", "/api/user/login/2fa", {"code": form.get("code", "").strip(), "flow_token": form["flow"]})
        else:
            body = {"username": form.get("username", ""), "password": form.get("password", "")}
            data = view.api("POST", "/api/user/login", body)
            if data.get("require_2fa"):
                return Sent(data["flow_token"], status=202)
    except _FAULTS as error:
        return Sent(view.words(error), status=422)
    cookie = next(value for name, value in view.headers if value.startswith(f"{identity.COOKIE}="))
    pair = identity.by_cookie(view.worker, cookie.partition("=")[2].partition(";")[0])
    view.session = pair[0] if pair else None
    return Sent(view.seal)


def sign_out(view: View) -> Result:
    """End the session."""
    view.api("POST", "/api/user/auth/logout")
    return Moved("/console/login")


def register_card(view: View) -> Result:
    """The card for registering."""
    return framed(view, "register.html", invited=view.query.get("aff", ""))


def register(view: View) -> Result:
    """Make an account, and sign in."""
    form = view.form
    names = ("username", "password", "email", "verification_code", "aff_code")
    body = {name: form.get(name, "").strip() if name != "password" else form.get(name, "") for name in names}
    if form.get("password") != form.get("again"):
        return framed(view, "register.html", 422, faults={"again": gettext("The two passwords differ")}, invited="")
    if agreements(view) and "agreed" not in form:
        return framed(view, "register.html", 422, faults={"agreed": gettext("Agree to it, or leave")}, invited="")
    try:
        person = attended(view)
        view.api("POST", "/api/user/register", body, **person)
        if person:  # an answer counts once: the login needs another
            return Moved("/console/login")
        view.api("POST", "/api/user/login", {name: body[name] for name in ("username", "password")})
    except _FAULTS as error:
        return framed(view, "register.html", 422, faults={_field(error, "username"): view.words(error)}, invited="")
    return Moved("/console")


def _field(error: GatewrightError, usual: str) -> str:
    return (error.field if isinstance(error, Invalid) else "") or usual


def setup_card(view: View) -> Result:
    """The card of the first start."""
    if view.api("GET", "/api/setup").get("status"):
        return Moved("/console/login")
    return framed(view, "setup.html")


def setup(view: View) -> Result:
    """Make the first account and sign in."""
    form = view.form
    body = {
        "username": form.get("username", ""),
        "password": form.get("password", ""),
        "confirmPassword": form.get("again", ""),
        "SelfUseModeEnabled": form.get("use") == "self",
        "DemoSiteEnabled": form.get("use") == "demo",
    }
    try:
        view.api("POST", "/api/setup", body)
        view.api("POST", "/api/user/login", {name: body[name] for name in ("username", "password")})
    except _FAULTS as error:
        return framed(view, "setup.html", 422, faults={_field(error, "password"): view.words(error)})
    return Moved("/console")


def look(view: View) -> Result:
    """Language, theme and density of this browser."""
    chosen = {"lang": view.language, "theme": view.theme, "density": view.density}
    for name in chosen:
        value = view.form.get(name, chosen[name])
        chosen[name] = value if value.isalpha() and len(value) < 9 else ""
    cookie = ".".join("" if value in ("system", "normal") else value for value in chosen.values())
    secure = "; Secure" if view.secure else ""
    view.headers.append(
        ("set-cookie", f"console_view={cookie}; Path=/console; Max-Age={_YEAR}; HttpOnly; SameSite=Lax{secure}")
    )
    return Sent("")


PAGES = (
    Page("GET", "/console/login", NOBODY, login),
    Page("POST", "/console/login", NOBODY, sign_in, unsealed=True),
    Page("POST", "/console/login/proxy", NOBODY, by_proxy, unsealed=True),
    Page("POST", "/console/login/passkey", NOBODY, passkey, unsealed=True),
    Page("POST", "/console/login/passkey/begin", NOBODY, passkey_asked, unsealed=True),
    Page("POST", "/console/login/:provider", NOBODY, leave, unsealed=True),
    Page("GET", "/oauth/:provider", NOBODY, back),
    Page("POST", "/console/again", NOBODY, again, unsealed=True),
    Page("POST", "/console/logout", USER, sign_out),
    Page("GET", "/console/register", NOBODY, register_card),
    Page("POST", "/console/register", NOBODY, register, unsealed=True),
    Page("GET", "/console/setup", NOBODY, setup_card),
    Page("POST", "/console/setup", NOBODY, setup, unsealed=True),
    Page("POST", "/console/view", NOBODY, look, unsealed=True),
)
