"""Outside logins that the console keeps: New API's custom providers."""

from __future__ import annotations

import re
from typing import Any

import orjson

from engine.api.refusals import Told
from engine.api.route import ROOT, Answer, Ask, Route
from engine.identity import offers, policy
from engine.storage.rows import jobs
from engine.storage.rows.api import identities
from engine.storage.rows.crud import Row
from engine.transport.faults import TransportError
from engine.transport.fetch import fetch

_NEEDED = (
    "name",
    "slug",
    "client_id",
    "client_secret",
    "authorization_endpoint",
    "token_endpoint",
    "user_info_endpoint",
)
_TEXTS = {
    "name": 64,
    "slug": 64,
    "icon": 128,
    "client_id": 256,
    "client_secret": 512,
    "authorization_endpoint": 512,
    "token_endpoint": 512,
    "user_info_endpoint": 512,
    "scopes": 256,
    "user_id_field": 128,
    "username_field": 128,
    "display_name_field": 128,
    "email_field": 128,
    "well_known": 512,
    "access_policy": 60_000,
    "access_denied_message": 512,
}
_FRESH = {
    "icon": "",
    "enabled": False,
    "scopes": "openid profile email",
    "user_id_field": "sub",
    "auth_style": 0,
    "username_field": "preferred_username",
    "display_name_field": "name",
    "email_field": "email",
    "well_known": "",
    "access_policy": "",
    "access_denied_message": "",
}
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def _shown(row: Row) -> dict[str, Any]:
    texts = {name: row.get(name) or "" for name in _TEXTS if name != "client_secret"}
    return {"id": row["id"], **texts, "enabled": bool(row.get("enabled")), "auth_style": row.get("auth_style") or 0}


def shown(db: Any) -> list[dict[str, Any]]:
    """Those that are on, as pages are told of them before anybody has logged in."""
    names = ("id", "name", "slug", "icon", "client_id", "authorization_endpoint", "scopes")
    rows = [_shown(row) for row in jobs.everything(db, jobs.PROVIDERS)]
    return [{name: row[name] for name in names} for row in rows if row["enabled"]]


def _row(ask: Ask) -> Row:
    row = jobs.one(ask.worker.db, jobs.PROVIDERS, id=ask.number())
    if row is None:
        raise Told.of("not_found")
    return row


def _values(ask: Ask) -> dict[str, Any]:
    names = (*_TEXTS, "enabled", "auth_style")
    values = {name: ask.body[name] for name in names if ask.given(name) is not None}
    for name, most in _TEXTS.items():
        if len(values.get(name, "")) > most:
            raise Told.of("invalid.field", field=name, what=f"{most} characters at most")
    if "slug" in values and not _SLUG.fullmatch(values["slug"]):
        raise Told.of("invalid.field", field="slug", what="small letters, digits, - and _")
    if values.get("slug") in {"state", "email", *(one.name for one in ask.worker.snapshot.program.logins)}:
        raise Told.of("name.taken")
    if values.get("auth_style", 0) not in (0, 1, 2):
        raise Told.of("invalid.field", field="auth_style", what="0, 1 or 2")
    if (rule := values.get("access_policy", "")).strip():
        try:
            policy.parse(rule)
        except ValueError as error:
            raise Told.of("invalid.field", field="access_policy", what=str(error)) from None
    if secret := values.pop("client_secret", ""):
        values["client_secret"] = _sealed(ask, secret)
    return values


def _sealed(ask: Ask, secret: str) -> str:
    sealed: str = ask.worker.db.vault.seal(secret, offers.PLACE)
    if len(sealed) > _TEXTS["client_secret"]:
        raise Told.of("invalid.field", field="client_secret", what="it is too long to be kept encrypted")
    return sealed


def listed(ask: Ask) -> Answer:
    """All of them."""
    return Answer([_shown(row) for row in jobs.everything(ask.worker.db, jobs.PROVIDERS)], shown=True)


def one(ask: Ask) -> Answer:
    """One of them."""
    return Answer(_shown(_row(ask)))


def create(ask: Ask) -> Answer:
    """Note one."""
    for name in _NEEDED:
        if not ask.given(name):
            raise Told.of("required", name=name)
    values = _values(ask)
    if jobs.one(ask.worker.db, jobs.PROVIDERS, slug=values["slug"]) is not None:
        raise Told.of("name.taken")
    which = jobs.add(ask.worker.db, jobs.PROVIDERS, {**_FRESH, **values})
    row = jobs.one(ask.worker.db, jobs.PROVIDERS, id=which) or {}
    return Answer(_shown(row), message="success")


def change(ask: Ask) -> Answer:
    """Change what is given of one."""
    row, values = _row(ask), _values(ask)
    if values.get("slug", row["slug"]) != row["slug"] and jobs.one(ask.worker.db, jobs.PROVIDERS, slug=values["slug"]):
        raise Told.of("name.taken")
    jobs.change(ask.worker.db, jobs.PROVIDERS, row["id"], values)
    return Answer(_shown(_row(ask)), message="success")


def delete(ask: Ask) -> Answer:
    """Forget one that nobody is bound to."""
    row = _row(ask)
    if identities.bound(ask.worker.db, row["id"]):
        raise Told.of("oauth.in_use")
    jobs.remove(ask.worker.db, jobs.PROVIDERS, row["id"])
    return Answer(message="success")


def discover(ask: Ask) -> Answer:
    """What a provider says of itself at its well-known address."""
    url = ask.given("well_known_url", "").strip()
    issuer = ask.given("issuer_url", "").strip().rstrip("/")
    if not url and not issuer:
        raise Told.of("required", name="well_known_url or issuer_url")
    url = url or f"{issuer}/.well-known/openid-configuration"
    try:
        raw, _ = fetch(ask.worker.upstream.pool, url, limit=_LIMIT)
        discovery = orjson.loads(raw)
    except TransportError as error:
        raise Told.of("channel.away", what=error.public) from None
    except orjson.JSONDecodeError:
        raise Told.of("channel.away", what="its answer is no JSON") from None
    return Answer({"well_known_url": url, "discovery": discovery})


_LIMIT = 256 * 1024
_BODY: dict[str, Any] = {**dict.fromkeys(_TEXTS, str), "enabled": bool, "auth_style": int}
ROUTES = (
    Route("GET", "/api/custom-oauth-provider/", ROOT, listed),
    Route(
        "POST",
        "/api/custom-oauth-provider/discovery",
        ROOT,
        discover,
        {"well_known_url": str, "issuer_url": str},
        noted=False,
    ),
    Route("GET", "/api/custom-oauth-provider/:id", ROOT, one),
    Route("POST", "/api/custom-oauth-provider/", ROOT, create, _BODY),
    Route("PUT", "/api/custom-oauth-provider/:id", ROOT, change, _BODY),
    Route("DELETE", "/api/custom-oauth-provider/:id", ROOT, delete),
)
