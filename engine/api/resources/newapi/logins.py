"""Logging in and out, registering, sessions: both forms, the cookie with ``New-Api-User`` and short tokens."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from engine.accounts import mailed, people, rights, sessions
from engine.accounts.factors import proofs
from engine.api.identity import COOKIE, REFRESH
from engine.api.refusals import Told
from engine.api.resources.newapi.shapes import own_user
from engine.api.rights import prove
from engine.api.route import NOBODY, USER, Answer, Ask, Route
from engine.catalogue import options
from engine.identity import captchas
from engine.storage.database import Database
from engine.storage.rows import logins
from engine.storage.rows import people as rows
from engine.storage.rows.crud import Row
from engine.storage.values import ENABLED, ROOT

_PATH = "/api/user/auth"
_FLOW = 300


def login(ask: Ask) -> Answer:
    """A name (or e-mail) and a password become a session."""
    name, password = ask.given("username", ""), ask.given("password", "")
    if not _on(ask, "PasswordLoginEnabled"):
        raise Told.of("login.off")
    if not name or not password:
        raise Told.of("invalid")
    attended(ask)
    limited = ask.worker.settings.login_limit
    user = sessions.check(ask.worker.db, name, password, ask.ip, limited=limited)
    return entered(ask, user, "password")


def attended(ask: Ask) -> None:
    """Refuse where a person has to be there, and nothing that was brought says so."""
    worker = ask.worker
    captcha = captchas.active(worker.snapshot.program.captchas, worker.options)
    if captcha is not None:
        captchas.prove(worker.upstream.pool, captcha, worker.options, ask.query.get(captcha.parameter, ""), ask.ip)


def by_proxy(ask: Ask) -> Answer:
    """Whom a trusted proxy names is signed in, but never root: one header must not open everything."""
    if not ask.vouched:
        raise Told.of("proxy.nobody", 403, "PROXY_LOGIN")
    user = rows.by_login(ask.worker.db, ask.vouched)
    if user is None or user.get("status") != ENABLED:
        raise Told.of("proxy.unknown", 403, "PROXY_LOGIN", name=ask.vouched[:64])
    if (user.get("role") or 0) >= ROOT:
        raise Told.of("proxy.root", 403, "PROXY_LOGIN")
    return entered(ask, user, "proxy")


def entered(ask: Ask, user: Row, method: str) -> Answer:
    """Somebody has proved to be a user: a session, or the question for a second factor."""
    db, which = ask.worker.db, user["id"]
    if proofs.asked(db, which):
        ends = int(time.time()) + _FLOW
        token = sessions.sign(ask.worker.secret, "flow", {"sub": str(which), "exp": ends})
        data = {"require_2fa": True, "flow_token": token, "expires_at": ends, "methods": proofs.methods(db, which)}
        return Answer(data, message="login.second")
    return begun(ask, sessions.begin(ask.worker.db, user, method, ask.ip, ask.agent))


def halfway(ask: Ask, token: str) -> Row:
    """The user of a login that waits for a second factor."""
    claims = sessions.read(ask.worker.secret, "flow", token)
    user = rows.by_id(ask.worker.db, int(claims["sub"])) if claims is not None else None
    if user is None or user.get("status") != ENABLED:
        raise Told.of("login.flow")
    return user


def reset_factor(ask: Ask, forget: Callable[[Database, int], None]) -> Answer:
    """Take a second factor away from a user of a lower role, for a proof; all its logins end."""
    db, which = ask.worker.db, ask.number()
    people.lower(db, ask.user, which)
    prove(ask, proofs.SECURE)
    forget(db, which)
    db.write(lambda connection: rows.change(db, connection, which, {}, end=True))
    return Answer()


def alone(ask: Ask) -> dict[str, Any]:
    """What proves the caller has changed: all other logins end, and this one is given a new token."""
    db, row = ask.worker.db, ask.session
    assert row is not None

    def work(connection: Any) -> None:
        rows.change(db, connection, ask.user.id, {}, end=True)
        logins.end(db, connection, ask.user.id, but=row["sid"])

    db.write(work)
    return stays(ask, row)


def stays(ask: Ask, row: Row) -> dict[str, Any]:
    """This session holds, though all of the caller's ended with a change."""
    db = ask.worker.db
    version = (rows.by_id(db, ask.user.id) or {}).get("auth_version") or 1
    db.write(lambda connection: logins.raise_version(db, connection, row["sid"], version))
    return rotation(ask, row)


def begun(ask: Ask, made: sessions.Login) -> Answer:
    """What a login gives: the union of both forms, and both cookies."""
    user, row = made.user, made.session
    until = {"exp": row["expires_at"]}
    cookie(ask, COOKIE, sessions.sign(ask.worker.secret, "cookie", {"sid": row["sid"], **until}), "/", sessions.LONG)
    if made.refresh:
        cookie(ask, REFRESH, made.refresh, _PATH, sessions.LONG)
    old = {name: user.get(name) for name in ("id", "username", "display_name", "role", "status", "group")}
    person = people.Person(user)
    return Answer(
        {
            **old,
            **rotation(ask, row),
            "user": own_user(person, rights.of(ask.worker.db, person.id, person.role)["channel"]),
        }
    )


def rotation(ask: Ask, row: Row) -> dict[str, Any]:
    """The short token of a session."""
    token, ends = sessions.short_token(ask.worker.secret, row)
    return {
        "access_token": token,
        "token_type": "Bearer",
        "access_expires_at": ends,
        "session": _session(row, current=True),
    }


def _session(row: Row, *, current: bool) -> dict[str, Any]:
    return {
        "sid": row["sid"],
        "current": current,
        "login_method": row["method"],
        "ip": row["ip"],
        "user_agent": row["agent"],
        "created_at": row["created_at"],
        "last_active_at": row["active_at"],
        "expires_at": row["expires_at"],
    }


def cookie(ask: Ask, name: str, value: str, path: str, age: int) -> None:
    """Give the browser a cookie that no script and no other site sees."""
    secure = "; Secure" if ask.secure else ""
    ask.headers.append(("set-cookie", f"{name}={value}; Path={path}; Max-Age={age}; HttpOnly; SameSite=Strict{secure}"))


def browser_of(ask: Ask) -> str:
    """What names the browser of a login on its way; logins in several tabs are of one."""
    known = 20 <= len(ask.browser) <= 100 and ask.browser.isascii()
    return ask.browser if known else secrets.token_urlsafe(32)


def _on(ask: Ask, option: str) -> bool:
    return bool(options.value_of(ask.worker.options, option))


def register(ask: Ask) -> Answer:
    """Make an ordinary user, where that is open to everybody."""
    if not _on(ask, "RegisterEnabled"):
        raise Told.of("register.off")
    if not _on(ask, "PasswordRegisterEnabled"):
        raise Told.of("register.password_off")
    attended(ask)
    db, email, code = ask.worker.db, "", ask.given("verification_code", "")
    if _on(ask, "EmailVerificationEnabled"):
        if not ask.given("email") or not code:
            raise Told.of("register.email")
        email = mailed.checked_address(partial(options.value_of, ask.worker.options), ask.body["email"])
        mailed.check_code(db, email, code)
    name, password = ask.given("username", ""), ask.given("password", "")
    user = people.register(db, name, password, ask.given("aff_code", ""), ask.language, email)
    if email:
        mailed.use(db, email, code)
    return Answer({"id": user["id"], "username": user["username"]})


def refresh(ask: Ask) -> Answer:
    """A new short token for the refresh cookie."""
    return begun(ask, sessions.renew(ask.worker.db, ask.refresh))


def end(ask: Ask) -> Answer:
    """End the session that calls; both cookies go."""
    row = ask.session
    if row is not None:
        db = ask.worker.db
        db.write(lambda connection: logins.end(db, connection, row["user_id"], sid=row["sid"]))
    cookie(ask, COOKIE, "", "/", 0)
    cookie(ask, REFRESH, "", _PATH, 0)
    return Answer({"revoked_sid": row["sid"], "cookie_cleared": True}) if row is not None else Answer()


def listed(ask: Ask) -> Answer:
    """The caller's sessions."""
    here = ask.session["sid"] if ask.session else ""
    rows = logins.sessions_of(ask.worker.db, ask.user.id)
    return Answer([_session(row, current=row["sid"] == here) for row in rows], shown=True)


def revoke(ask: Ask) -> Answer:
    """End one of the caller's sessions."""
    db, sid = ask.worker.db, ask.path["sid"]
    if not db.write(lambda connection: logins.end(db, connection, ask.user.id, sid=sid)):
        raise Told.of("not_found", 404)
    return Answer({"revoked_sid": sid, "current": bool(ask.session and ask.session["sid"] == sid)})


def revoke_others(ask: Ask) -> Answer:
    """End all of the caller's sessions but this one."""
    db, here = ask.worker.db, ask.session["sid"] if ask.session else ""
    return Answer({"revoked_count": db.write(lambda connection: logins.end(db, connection, ask.user.id, but=here))})


def verification(ask: Ask) -> Answer:
    """A code by e-mail."""
    attended(ask)
    value = partial(options.value_of, ask.worker.options)
    mailed.send_code(ask.worker.db, value, ask.query.get("email", "")[:254], ask.ip, ask.language)
    return Answer()


def forgotten(ask: Ask) -> Answer:
    """A link by e-mail; whether the address is known is not told."""
    attended(ask)
    value = partial(options.value_of, ask.worker.options)
    mailed.send_link(ask.worker.db, value, ask.query.get("email", "")[:254], ask.ip, ask.language)
    return Answer()


def reset(ask: Ask) -> Answer:
    """The password that the person has chosen, for a mailed link."""
    email, token = ask.given("email", ""), ask.given("token", "")
    if not email or not token:
        raise Told.of("invalid")
    mailed.reset(ask.worker.db, email[:254], token[:200], ask.given("password", ""))
    return Answer()


def access_token(ask: Ask) -> Answer:
    """A new token for scripts, in place of the one before."""
    return Answer(sessions.access_token(ask.worker.db, ask.user.id))


_REGISTER = {"username": str, "password": str, "email": str, "verification_code": str, "aff_code": str}
ROUTES = (
    Route("POST", "/api/user/login", NOBODY, login, {"username": str, "password": str}),
    Route("POST", "/api/user/login/proxy", NOBODY, by_proxy, {}),
    Route("GET", "/api/user/logout", NOBODY, end),
    Route("POST", "/api/user/register", NOBODY, register, _REGISTER),
    Route("POST", "/api/user/auth/refresh", NOBODY, refresh, {}),
    Route("POST", "/api/user/auth/logout", NOBODY, end),
    Route("GET", "/api/user/sessions", USER, listed, session=True),
    Route("DELETE", "/api/user/sessions/:sid", USER, revoke, session=True),
    Route("POST", "/api/user/sessions/revoke-others", USER, revoke_others, session=True),
    Route("GET", "/api/user/token", USER, access_token),
    Route("GET", "/api/verification", NOBODY, verification),
    Route("GET", "/api/reset_password", NOBODY, forgotten),
    Route("POST", "/api/user/reset", NOBODY, reset, {"email": str, "token": str, "password": str}),
)
