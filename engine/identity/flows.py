"""A login on its way: what has to come back, which browser it was given to, and what it stands for.

``state`` is a long random text that counts once and for ten minutes, kept as its hash. It is bound to a cookie of the
browser that asked, to a login, and to the person and session where an identity is to be bound. What the service has to
repeat (``nonce``) and what only we know (``verifier``, RFC 7636) follow from it and the session secret: nothing that
is of use lies in the database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from engine.accounts.sessions import hashed
from engine.errors import MappingError
from engine.identity.directory import Directory
from engine.identity.refused import refused
from engine.program.outside.logins import Login
from engine.storage.database import Database
from engine.storage.rows.api import identities

LASTS = 600
LOGIN, BIND = "login", "bind"


@dataclass(frozen=True, slots=True)
class Flow:
    """See the module. ``strict``: we made the address that people were sent to, with nonce and challenge."""

    state: str
    login: str
    intent: str
    user: int = 0
    strict: bool = True
    invited_by: str = ""


@dataclass(frozen=True, slots=True)
class Proofs:
    """What belongs to a state."""

    nonce: str
    verifier: str

    @property
    def challenge(self) -> str:
        """What is sent of the verifier (S256)."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())


def begin(db: Database, flow: Flow, browser: str) -> None:
    """Note a flow for the browser that holds this cookie."""
    row = {
        "hash": hashed(flow.state),
        "login": flow.login,
        "intent": flow.intent,
        "user_id": flow.user,
        "browser": hashed(browser),
        "strict": flow.strict,
        "invited_by": flow.invited_by[:32],
        "expires_at": int(time.time()) + LASTS,
    }
    identities.put_flow(db, row)


def fresh() -> str:
    """A text that nobody guesses."""
    return secrets.token_urlsafe(32)


def take(db: Database, state: str, login: str, browser: str) -> Flow:
    """The flow that a state means, which is used up by that; raises ``LoginRefused``."""
    row = identities.take_flow(db, hashed(state[:200])) if state else None
    same = row is not None and bool(browser) and hmac.compare_digest(row["browser"], hashed(browser[:200]))
    if row is None or not same or row["login"] not in ("", login):
        raise refused("oauth.state", 403, "OAUTH_STATE")
    return Flow(state, login, row["intent"], row["user_id"] or 0, bool(row["strict"]), row["invited_by"] or "")


def proofs(secret: bytes, flow: Flow) -> Proofs:
    """Nonce and verifier of a flow; empty where we did not make the address."""
    if not flow.strict:
        return Proofs("", "")
    made = [hmac.digest(secret, f"oauth {name}\n{flow.state}".encode(), "sha256") for name in ("nonce", "verifier")]
    return Proofs(*(_text(one) for one in made))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def address(
    directory: Directory, login: Login, options: dict[str, str], flow: Flow, proofs: Proofs, redirect: str
) -> str:
    """Where the browser is sent to. Raises ``LoginRefused`` where the service is away or the document names none."""
    place = login.authorize
    if place is None:
        raise refused("oauth.code", title=login.title)
    try:
        found = directory.found(login, options)
        url = place.url([], options, found) if place.url else found.get("authorization_endpoint")
        scopes = place.scopes([], options) if place.scopes else None
        values: dict[str, Any] = {
            "clientId": login.client.id([], options) if login.client.id else "",
            "redirect": redirect,
            "state": flow.state,
            "nonce": proofs.nonce if login.id_token is not None else None,
            "challenge": proofs.challenge if place.pkce else None,
            "scopes": scopes if isinstance(scopes, str) and scopes else None,
        }
        sent = place.parameters([], options, values) if place.parameters else _parameters(values)
    except MappingError as error:
        raise refused("oauth.away", title=login.title, what=str(error)[:200]) from None
    if not isinstance(url, str) or not url.startswith(("https://", "http://")) or not isinstance(sent, dict):
        raise refused("oauth.away", title=login.title, what="its configuration names no address to sign in at")
    text = urlencode({name: value for name, value in sent.items() if value is not None})
    return f"{url}{'&' if '?' in url else '?'}{text}"


def _parameters(values: dict[str, Any]) -> dict[str, Any]:
    """Those of OAuth 2.0 and OpenID Connect."""
    return {
        "response_type": "code",
        "client_id": values["clientId"],
        "redirect_uri": values["redirect"],
        "scope": values["scopes"],
        "state": values["state"],
        "nonce": values["nonce"],
        "code_challenge": values["challenge"],
        "code_challenge_method": "S256" if values["challenge"] else None,
    }
