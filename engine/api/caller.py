"""Who asks about a key: the key itself. Takes a request, gives its ``KeyReport``, or raises what says why it may not.

An expired or used-up key may still ask about itself; a disabled one, one whose user is disabled, and one that comes
from a place it may not be used from may not. Knows no answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import falcon

from engine.accounts.key_report import KeyReport, find
from engine.api.networks import admit
from engine.errors import Forbidden, Unauthenticated
from engine.net import MANAGEMENT, client_ip, inside
from engine.storage.database import Database
from engine.storage.rows.accounts import split_key
from engine.storage.values import DISABLED, ENABLED
from engine.texts import refusal

_BEARER = "bearer "


class ProxySettings(Protocol):
    """What is read of the settings."""

    @property
    def trusted_proxies(self) -> tuple[Any, ...]: ...


class KeyServices(Protocol):
    """What is read of a worker's state."""

    @property
    def settings(self) -> ProxySettings: ...
    @property
    def db(self) -> Database: ...
    @property
    def log_db(self) -> Database: ...
    @property
    def options(self) -> Mapping[str, str]: ...
    @property
    def snapshot(self) -> Any: ...
    @property
    def upstream(self) -> Any: ...


def holder_of(state: KeyServices, req: falcon.Request, *, query: str = "") -> KeyReport:
    """The key that asks, from the authorization header (or the parameter ``query``, where older tools put it)."""
    ip = client_ip(req.env.get("REMOTE_ADDR", ""), req.get_header("X-Forwarded-For"), state.settings.trusted_proxies)
    admit(state.snapshot, MANAGEMENT, ip)
    sent = (req.get_header("Authorization") or "").strip()
    if sent[: len(_BEARER)].lower() == _BEARER:
        sent = sent[len(_BEARER) :].strip()
    if not sent and query:
        sent = (req.get_param(query) or "").strip()
    if not sent:
        raise refusal(Unauthenticated, "key.none")
    holder = find(state.db, split_key(sent)[0])
    if holder is None or holder.account.status == DISABLED:
        raise refusal(Unauthenticated, "key.unknown")
    account = holder.account
    if account.user_deleted:
        raise refusal(Unauthenticated, "key.unknown")
    if account.user_status != ENABLED:
        raise refusal(Forbidden, "key.banned")
    if account.networks and not inside(ip, account.networks):
        raise Forbidden(f"this API key may not be used from {ip}")
    return holder
