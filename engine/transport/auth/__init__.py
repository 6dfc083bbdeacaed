"""How a credential goes with a request: a table of schemes.

Takes the declared scheme, the secret and the request; puts the secret, or what is made of it, where the scheme says. No
exception of this room holds the secret or a part of it. Knows no channel and no place where secrets are kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from engine.jsonbytes import dumps
from engine.transport.auth import signature, tokens
from engine.transport.auth.parts import fill, misfit, public, split
from engine.transport.auth.renewal import Keep, Tokens
from engine.transport.auth.rotation import Home, renews
from engine.transport.faults import TransportError
from engine.transport.spool import Body
from engine.transport.url import parse_url

__all__ = [
    "Home",
    "Keep",
    "Tokens",
    "apply",
    "carries_secret",
    "exchanges",
    "fill",
    "public",
    "renews",
    "secrets",
    "unfit",
]

_SECRET_FROM = 6
"""Characters of a part from which on it is struck out of texts: a shorter one is a word."""

HeaderList = list[tuple[str, str]]


@dataclass(slots=True)
class Request:
    """What a scheme sees of a request, and changes: headers are added to the list, the address may be another."""

    headers: HeaderList
    url: str
    method: str = "POST"
    body: Body = b""


Scheme = Callable[[Mapping[str, Any], dict[str, str], Request], None]
"""Takes the declared scheme and the credential's parts by their names."""


def _value(auth: Mapping[str, Any], words: Mapping[str, str]) -> str:
    return fill(auth.get("value") or ("{token}" if "token" in words else "{key}"), words)


def _bearer(auth: Mapping[str, Any], words: dict[str, str], request: Request) -> None:
    value = f"{auth.get('prefix') or 'Bearer'} {_value(auth, words)}"
    request.headers.append((auth.get("name") or "Authorization", value))


def _header(auth: Mapping[str, Any], words: dict[str, str], request: Request) -> None:
    request.headers.append((str(auth["name"]), f"{auth.get('prefix') or ''}{_value(auth, words)}"))


def _query(auth: Mapping[str, Any], words: dict[str, str], request: Request) -> None:
    joint = "&" if "?" in request.url else "?"
    value = quote(_value(auth, words), safe="")
    request.url = f"{request.url}{joint}{quote(auth.get('name') or 'key', safe='')}={value}"


def _jwt(auth: Mapping[str, Any], words: dict[str, str], request: Request) -> None:
    token = tokens.made(auth["token"], words, time.time())
    request.headers.append((auth.get("name") or "Authorization", f"{auth.get('prefix', 'Bearer ')}{token}"))


def _signature(auth: Mapping[str, Any], words: dict[str, str], request: Request) -> None:
    url = parse_url(request.url)
    signature.sign(auth["sign"], words, request.headers, url, request.method, request.body, time.time())


def _body(auth: Mapping[str, Any], words: dict[str, str], request: Request) -> None:
    """A member of the body; one that the caller sent under its name is no credential."""
    try:
        body = json.loads(request.body) if isinstance(request.body, bytes) else None
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise TransportError("invalid", "auth scheme 'body' needs a request that is a JSON object")
    *above, last = str(auth["name"]).split(".")
    holder = body
    for key in above:
        inner = holder.get(key)
        holder[key] = holder = inner if isinstance(inner, dict) else {}
    holder[last] = f"{auth.get('prefix') or ''}{_value(auth, words)}"
    request.body = dumps(body)


SCHEMES: dict[str, Scheme] = {
    "bearer": _bearer,
    "header": _header,
    "query": _query,
    "jwt": _jwt,
    "signature": _signature,
    "body": _body,
}
_NEEDS = {"header": "name", "body": "name", "jwt": "token", "signature": "sign"}


def apply(
    auth: Mapping[str, Any] | None,
    secret: str | None,
    headers: HeaderList,
    url: str,
    method: str = "POST",
    body: Body = b"",
    token: str | None = None,
) -> tuple[str, Body]:
    """The address to call and the body to send; headers are added to the list.

    Scheme ``none``, or no ``auth``, adds nothing; a request without a body (``GET``) carries no credential in it.
    ``token``: what the credential was exchanged for (``Tokens``), where the scheme says that it is.
    """
    name = (auth or {}).get("scheme", "none")
    if auth is None or name == "none" or (name == "body" and not body):
        return url, body
    scheme = SCHEMES.get(name)
    if scheme is None:
        raise TransportError("invalid", f"auth scheme {name!r} is not known: expected {', '.join(SCHEMES)} or none")
    needed = _NEEDS.get(name)
    if needed is not None and not auth.get(needed):
        raise TransportError("invalid", f"auth scheme {name!r} needs the field {needed!r}")
    if (why := unfit(auth, secret)) is not None:
        raise TransportError("invalid", why)
    # A line end at the end of a secret comes from files and copying; inside it nothing good can be meant.
    secret = (secret or "").strip()
    if not secret:
        return url, body
    words, request = split(auth, secret), Request(headers, url, method, body)
    if token is not None:
        words["token"] = token
    if "{" in request.url:
        request.url = fill(request.url, public(auth, secret))
    _set_headers(auth, words, request)
    scheme(auth, words, request)
    return request.url, request.body


def _set_headers(auth: Mapping[str, Any], words: Mapping[str, str], request: Request) -> None:
    """Further headers that the scheme wants; one whose part the credential lacks is not sent."""
    for name, text in (auth.get("headers") or {}).items():
        value = fill(text, words)
        if value and not (value == text and "{" in text):
            request.headers.append((name, value))


def carries_secret(auth: Mapping[str, Any] | None) -> bool:
    """Whether calls carry a credential."""
    return str((auth or {}).get("scheme", "none")) != "none"


def exchanges(auth: Mapping[str, Any] | None, secret: str | None) -> bool:
    """Whether calls carry a token that the credential has to be exchanged for."""
    return auth is not None and "exchange" in auth and bool(secret) and carries_secret(auth)


def secrets(auth: Mapping[str, Any] | None, secret: str) -> list[str]:
    """The credential and those of its parts that are secret: what no text may show."""
    if not auth or "key" not in auth:
        return [secret]
    shown = {
        *(auth["key"].get("public") or ()),
        *(auth["key"].get("derived") or ()),
        *(auth["key"].get("defaults") or ()),
    }
    return [text for name, text in split(auth, secret).items() if name not in shown and len(text) >= _SECRET_FROM]


def unfit(auth: Mapping[str, Any] | None, secret: str | None) -> str | None:
    """Why a credential can't be sent; nothing where it can, or where none is needed."""
    if auth is None or not carries_secret(auth):
        return None
    secret = (secret or "").strip()
    if not secret:
        if auth.get("optional"):
            return None
        return f"auth scheme {auth.get('scheme')!r} needs a credential and the channel has none"
    whole = not (auth.get("key") or {}).get("json")  # of a JSON object only members are sent
    if whole and (not secret.isascii() or not secret.isprintable()):
        return "the channel's credential holds a character that can't be sent: set it anew"
    return misfit(auth, secret) if "key" in auth else None
