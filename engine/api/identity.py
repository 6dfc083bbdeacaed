"""Who calls the management API: by a cookie, a short token, or a script's access token; and whether that is enough.

The header ``New-Api-User`` names the caller's id: with a cookie it has to be there, as no other site can send it; with
anything it must not name another.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from engine.accounts import sessions
from engine.accounts.people import Person
from engine.errors import Unauthenticated
from engine.net import inside
from engine.storage.values import ENABLED
from engine.texts import refusal

if TYPE_CHECKING:
    import falcon

    from engine.api.route import Ask, Worker
    from engine.storage.rows.crud import Row

COOKIE, REFRESH, BROWSER = "session", "new_api_refresh", "gatewright_login"


VOUCHER = "X-Gatewright-Login-Secret"


def vouched(settings: Any, req: falcon.Request) -> str:
    """Whom a trusted proxy names as signed in, by its header and the secret beside it; nothing where that is off."""
    if not settings.login_header:
        return ""
    name, secret = (req.get_header(settings.login_header) or "").strip(), req.get_header(VOUCHER) or ""
    same = hmac.compare_digest(secret.encode("utf-8", "replace"), settings.login_secret.encode())
    return name if same and inside(req.env.get("REMOTE_ADDR", ""), settings.trusted_proxies) else ""


def identify(ask: Ask, named: str | None) -> None:
    """Note who asks; raises ``Unauthenticated`` where a credential or the header is wrong."""
    if ask.bearer:
        session, user = _by_token(ask)
    elif ask.cookie:
        session, user = _by_cookie(ask)
        if not named:
            raise refusal(Unauthenticated, "auth.header")
    else:
        raise refusal(Unauthenticated, "auth.none")
    if named:
        if not (named.isascii() and named.isdigit()):
            raise refusal(Unauthenticated, "auth.header.format")
        if int(named[:19]) != user["id"]:
            raise refusal(Unauthenticated, "auth.header.other")
    ask.person, ask.session = Person(user), session


def _by_token(ask: Ask) -> tuple[Row | None, Row]:
    db, session, user = ask.worker.db, None, None
    claims = sessions.read(ask.worker.secret, "access", ask.bearer)
    if claims is None:
        user = sessions.by_access_token(db, ask.bearer, reading=ask.route.method == "GET")
    elif (pair := sessions.resume(db, str(claims.get("sid")))) is not None:
        session, user = pair
    if user is None or user.get("status") != ENABLED:
        raise refusal(Unauthenticated, "auth.token")
    return session, user


def _by_cookie(ask: Ask) -> tuple[Row, Row]:
    pair = by_cookie(ask.worker, ask.cookie)
    if pair is None:
        raise refusal(Unauthenticated, "auth.none")
    return pair


def by_cookie(worker: Worker, cookie: str) -> tuple[Row, Row] | None:
    """The session and the user that a cookie means, if both hold."""
    claims = sessions.read(worker.secret, "cookie", cookie)
    pair = sessions.resume(worker.db, str(claims.get("sid"))) if claims is not None else None
    return pair if pair is not None and pair[1].get("status") == ENABLED else None
