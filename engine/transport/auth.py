"""How a credential goes with a request: a table of schemes.

Takes the declared scheme, the secret, the headers and the address; puts the secret where the scheme says. No exception
of this module holds the secret or a part of it. Knows no channel and no place where secrets are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from engine.transport.faults import TransportError

HeaderList = list[tuple[str, str]]
Scheme = Callable[[Mapping[str, Any], str, HeaderList, str], str]


def _bearer(auth: Mapping[str, Any], secret: str, headers: HeaderList, url: str) -> str:
    headers.append((auth.get("name") or "Authorization", f"{auth.get('prefix') or 'Bearer'} {secret}"))
    return url


def _header(auth: Mapping[str, Any], secret: str, headers: HeaderList, url: str) -> str:
    headers.append((str(auth["name"]), f"{auth.get('prefix') or ''}{secret}"))
    return url


def _query(auth: Mapping[str, Any], secret: str, _headers: HeaderList, url: str) -> str:
    joint = "&" if "?" in url else "?"
    return f"{url}{joint}{quote(auth.get('name') or 'key', safe='')}={quote(secret, safe='')}"


SCHEMES: dict[str, Scheme] = {"bearer": _bearer, "header": _header, "query": _query}


def apply(auth: Mapping[str, Any] | None, secret: str | None, headers: HeaderList, url: str) -> str:
    """The address to call; headers are added to the list. Scheme ``none``, or no ``auth``, adds nothing."""
    name = (auth or {}).get("scheme", "none")
    if auth is None or name == "none":
        return url
    scheme = SCHEMES.get(name)
    if scheme is None:
        raise TransportError("invalid", f"auth scheme {name!r} is not known: expected {', '.join(SCHEMES)} or none")
    if name == "header" and not auth.get("name"):
        raise TransportError("invalid", "auth scheme 'header' needs the header's name")
    if (why := unfit(auth, secret)) is not None:
        raise TransportError("invalid", why)
    # A line end at the end of a secret comes from files and copying; inside it nothing good can be meant.
    secret = (secret or "").strip()
    return scheme(auth, secret, headers, url) if secret else url


def carries_secret(auth: Mapping[str, Any] | None) -> bool:
    """Whether calls carry a credential."""
    return str((auth or {}).get("scheme", "none")) != "none"


def unfit(auth: Mapping[str, Any] | None, secret: str | None) -> str | None:
    """Why a credential can't be sent; nothing where it can, or where none is needed."""
    if auth is None or not carries_secret(auth):
        return None
    secret = (secret or "").strip()
    if not secret:
        if auth.get("optional"):
            return None
        return f"auth scheme {auth.get('scheme')!r} needs a credential and the channel has none"
    if not secret.isascii() or not secret.isprintable():
        return "the channel's credential holds a character that can't be sent: set it anew"
    return None
