"""A code becomes a person: it is exchanged, the id token is proved, the service is asked who it is.

Takes what came back and gives an ``Outsider``. What a service answers is told to nobody; who it can't be read of is
refused.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from engine.accounts.people import is_email
from engine.accounts.sessions import hashed
from engine.errors import MappingError
from engine.identity import tokens
from engine.identity.directory import Directory
from engine.identity.refused import refused
from engine.program.layout import Function
from engine.program.outside.logins import Login, LoginRead, LoginToken
from engine.storage.database import Database
from engine.storage.rows import logins
from engine.transport import declared
from engine.transport.faults import TransportError

_LONGEST = 128
"""Characters of an identity that the family's columns hold."""
_PROOF = 3600
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outsider:
    """Who came. ``email`` is one that the service has verified, or nothing; ``known`` is what conditions read."""

    subject: str
    former: str
    name: str
    display_name: str
    email: str
    known: tuple[Any, ...] = ()
    """``person``, ``claims``, ``answers`` and ``options``, in the order of the schema."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back: the query, where to, and what belongs to its state."""

    query: Mapping[str, str]
    redirect: str = ""
    nonce: str = ""
    verifier: str = ""


def outsider(db: Database, directory: Directory, login: Login, options: dict[str, str], back: Returned) -> Outsider:
    """Who came back. Raises ``LoginRefused``."""
    try:
        if login.proof is not None:
            _proved(db, login, options, back)
            return _person(login, {}, None, back, options)
        return _asked(directory, login, options, back)
    except TransportError as error:
        _log.warning("login %s: its service failed: %s", login.name, error.public)
        raise refused("oauth.away", title=login.title, what=error.public) from None
    except MappingError as error:
        _log.warning("login %s: an answer has not the shape that its document says: %s", login.name, error)
        raise refused("oauth.away", title=login.title, what="its answer is not what its document says") from None


def _proved(db: Database, login: Login, options: dict[str, str], back: Returned) -> None:
    assert login.proof is not None
    query = dict(back.query)
    good = all(options[name].strip() for name in login.needs)  # an empty secret signs nothing
    try:
        genuine = good and login.proof.genuine([], query, options, int(time.time())) is True
        once = login.proof.once([], query)
    except MappingError:
        genuine = False
    if not genuine or not isinstance(once, str) or not once:
        raise refused("oauth.proof", 403, "OAUTH_STATE", title=login.title)
    if logins.attempt(db, f"proof:{hashed(f'{login.name} {once}')}", lambda _: _PROOF):
        raise refused("oauth.used", 403, "OAUTH_STATE", title=login.title)


def _asked(directory: Directory, login: Login, options: dict[str, str], back: Returned) -> Outsider:
    code = back.query.get("code")
    if login.authorize is not None and login.authorize.code is not None:
        code = login.authorize.code([], dict(back.query))
    if not isinstance(code, str) or not code or len(code) > 4096:
        raise refused("oauth.code", title=login.title)
    found = directory.found(login, options)
    _issued(found, back)
    flow: dict[str, Any] = {
        "code": code,
        "redirect": back.redirect,
        "verifier": back.verifier if back.verifier and login.authorize and login.authorize.pkce else None,
        "clientId": login.client.id([], options) if login.client.id else "",
        "clientSecret": login.client.secret([], options) if login.client.secret else "",
    }
    answers: dict[str, Any] = {}
    if login.authorize is not None:
        answers["token"] = _token(directory, login.token, options, found, flow)
        if not isinstance(answers["token"], dict) or answers["token"].get("error"):
            raise refused("oauth.exchange", title=login.title)
    claims = _claims(directory, login, options, found, answers.get("token"), flow, back.nonce)
    for read in login.reads:
        answers[read.name] = _read(directory, read, (options, found, flow, answers))
        answer = answers[read.name]
        # OpenID Connect Core 1.0, 5.3.2: what is said of somebody else must not be believed of this one
        if claims is not None and isinstance(answer, dict) and answer.get("sub", claims["sub"]) != claims["sub"]:
            raise refused("oauth.token", what="what was asked about the person is said of somebody else")
    return _person(login, answers, claims, back, options)


def _issued(found: dict[str, Any], back: Returned) -> None:
    """Whether the service itself sent the browser back, where it says so (RFC 9207): no other one's code is used."""
    said = back.query.get("iss")
    if said is None and found.get("authorization_response_iss_parameter_supported") is not True:
        return
    if "issuer" in found and said != found["issuer"]:
        raise refused("oauth.token", what="another service sent you back")


def _token(
    directory: Directory, call: LoginToken | None, options: dict[str, str], found: dict[str, Any], flow: dict[str, Any]
) -> Any:
    def made(part: Function | None) -> Any:
        return None if part is None else part([], options, found, flow)

    call = call or LoginToken("POST", None, None, None, None, "body")
    url, headers, form, json = made(call.url), made(call.headers) or {}, made(call.form), made(call.json)
    if form is None and json is None and call.method == "POST":
        form = {
            "grant_type": "authorization_code",
            "code": flow["code"],
            "redirect_uri": flow["redirect"],
            "code_verifier": flow["verifier"],
        }
        if call.auth == "header":
            pair = ":".join(quote(str(flow[name]), safe="") for name in ("clientId", "clientSecret"))
            headers = {"authorization": "Basic " + base64.b64encode(pair.encode()).decode(), **headers}
        else:
            form |= {"client_id": flow["clientId"], "client_secret": flow["clientSecret"]}
    url = url if call.url is not None else found.get("token_endpoint")
    return declared.ask(directory.pool, call.method, str(url), headers, form=form, json=json)


def _read(directory: Directory, read: LoginRead, known: tuple[Any, ...]) -> Any:
    def made(part: Function | None) -> Any:
        return None if part is None else part([], *known)

    url = made(read.url)
    if not isinstance(url, str) or not url:
        return None
    headers = made(read.headers)
    if headers is None:
        token = known[3].get("token") or {}
        headers = {"authorization": f"Bearer {token.get('access_token')}"}
    return declared.ask(directory.pool, read.method, url, headers, form=made(read.form), json=made(read.json))


def _claims(
    directory: Directory,
    login: Login,
    options: dict[str, str],
    found: dict[str, Any],
    answer: Any,
    flow: dict[str, Any],
    nonce: str,
) -> dict[str, Any] | None:
    """What the id token says, once it is proved; nothing where the service has no keys that are known."""
    rules = login.id_token
    if rules is None:
        return None
    place = rules.keys([], options, found) if rules.keys else found.get("jwks_uri")
    if not isinstance(place, str) or not place:
        return None
    token = answer.get("id_token") if isinstance(answer, dict) else None
    claims = tokens.claims_of(token)
    issuer = rules.issuer([], options, found, claims) if rules.issuer else found.get("issuer")
    tokens.prove(str(token), _keys(directory, login, place))
    tokens.check(
        claims, issuer=issuer, client=str(flow["clientId"]), nonce=nonce, access_token=answer.get("access_token")
    )
    return claims


def _keys(directory: Directory, login: Login, place: str) -> Callable[[str | None], list[dict[str, Any]]]:
    return lambda key_id: directory.key(login, place, key_id)


def _person(
    login: Login, answers: dict[str, Any], claims: dict[str, Any] | None, back: Returned, options: dict[str, str]
) -> Outsider:
    known: tuple[Any, ...] = (answers, claims, dict(back.query))
    rules = login.person

    def said(part: Function | None) -> Any:
        try:
            return None if part is None else part([], *known)
        except MappingError:
            return None

    subject = _identity(said(rules.id))
    if not subject:
        raise refused("oauth.nobody", title=login.title)
    email, verified = said(rules.email), said(rules.email_verified) is True
    email = email.strip() if isinstance(email, str) and verified and is_email(email.strip()) else ""
    name, display_name = _line(said(rules.name)), _line(said(rules.display_name))
    person = {"id": subject, "name": name, "displayName": display_name, "email": email, "emailVerified": bool(email)}
    former = _identity(said(rules.former_id))
    read = (person, claims, answers, options)
    return Outsider(subject, former, name, display_name, email, read)


def _identity(value: Any) -> str:
    """An id as text: a text, or a whole number; nothing where it is neither, or longer than the columns hold."""
    if type(value) is int:
        value = str(value)
    good = isinstance(value, str) and value == value.strip() and "\0" not in value and len(value) <= _LONGEST
    return value if good else ""


def _line(value: Any) -> str:
    """A name as one line without what can't be seen."""
    text = "".join(char for char in value if char.isprintable()) if isinstance(value, str) else ""
    return " ".join(text.split())[:255]
