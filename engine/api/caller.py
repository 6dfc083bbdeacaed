"""Who asks about a key: the key itself. Takes a request, gives its ``Holder``, or says with which status it may not.

An expired or used-up key may still ask about itself; a disabled one, one whose user is disabled, and one that comes
from a place it may not be used from may not. Knows no answers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Protocol

import falcon

from engine.errors import GatewrightError
from engine.relay.app import client_ip
from engine.storage.accounts import DISABLED, split_key
from engine.storage.database import Database
from engine.storage.holders import Holder, find

_ENABLED = 1
_BEARER = "bearer "


class Settings(Protocol):
    """What is read of the settings."""

    @property
    def trusted_proxies(self) -> tuple[Any, ...]: ...


class State(Protocol):
    """What is read of a worker's state."""

    @property
    def settings(self) -> Settings: ...
    @property
    def db(self) -> Database: ...
    @property
    def log_db(self) -> Database: ...
    @property
    def options(self) -> Mapping[str, str]: ...


class NotAllowed(GatewrightError):  # noqa: N818 - says what happened
    """The caller may not ask; ``status`` is the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def holder_of(state: State, req: falcon.Request, *, query: str = "") -> Holder:
    """The key that asks, from the authorization header (or the parameter ``query``, where older tools put it)."""
    sent = (req.get_header("Authorization") or "").strip()
    if sent[: len(_BEARER)].lower() == _BEARER:
        sent = sent[len(_BEARER) :].strip()
    if not sent and query:
        sent = (req.get_param(query) or "").strip()
    if not sent:
        raise NotAllowed(401, "no API key was sent; send it as a bearer token in the authorization header")
    holder = find(state.db, split_key(sent)[0])
    if holder is None or holder.account.status == DISABLED:
        raise NotAllowed(401, "the API key is not known here, or is disabled")
    account = holder.account
    if account.user_deleted or account.user_status != _ENABLED:
        raise NotAllowed(403, "the user of this API key is disabled; ask the administrator")
    ip = client_ip(req.env.get("REMOTE_ADDR", ""), req.get_header("X-Forwarded-For"), state.settings.trusted_proxies)
    if account.networks and not _inside(ip, account.networks):
        raise NotAllowed(403, f"this API key may not be used from {ip}")
    return holder


def _inside(ip: str, networks: tuple[Any, ...]) -> bool:
    try:
        found = ipaddress.ip_address(ip)
    except ValueError:
        return False
    address = getattr(found, "ipv4_mapped", None) or found
    return any(address.version == network.version and address in network for network in networks)
