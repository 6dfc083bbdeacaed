"""Identify: a credential becomes an account: key found, valid, from an allowed address, in a usable group.

Refuses with 401, 403. The key's row is remembered for a few seconds, so a revoked key works that much longer at most.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.bounds import KEY
from engine.errors import CallError
from engine.net import RELAY, inside
from engine.storage.database import StorageError
from engine.storage.rows import accounts
from engine.storage.values import ENABLED

if TYPE_CHECKING:
    from engine.cluster.store import LastKnown
    from engine.relay.call import Call
    from engine.storage.database import Database
    from engine.storage.rows.accounts import Account

REMEMBER = 3.0
"""Seconds for which a key's row is believed without asking the database again."""
_BOUND = 10_000
_STATUS = {2: "is disabled", 3: "has expired", 4: "has used up its quota"}


class KeyCache:
    """Accounts by key, for ``REMEMBER`` seconds. Keys are held as keyed hashes, so a memory dump shows none.

    ``last`` is what workers share of keys that one of them knew, for while the database is away.
    """

    def __init__(self, db: Database, last: LastKnown) -> None:
        self._db = db
        self._last = last
        self._salt = os.urandom(16)
        self._held: dict[bytes, tuple[float, Account | None]] = {}
        self.patience = 0.0
        """Seconds for which a key that was known is believed while the database is away."""

    @contextmanager
    def lent(self, account: Account, seconds: float) -> Iterator[str]:
        """A key that this worker alone knows, for a call that the console makes for a user."""
        key = secrets.token_hex(24)
        digest = self._digest(key)
        self._held[digest] = (time.monotonic() + seconds, account)
        try:
            yield key
        finally:
            self._held.pop(digest, None)

    def _digest(self, key: str) -> bytes:
        return hashlib.blake2b(key.encode("utf-8", "replace"), key=self._salt, digest_size=16).digest()

    def find(self, key: str) -> Account | None:
        """Return the account of a bare key, or None."""
        digest = self._digest(key)
        held = self._held.get(digest)
        now = time.monotonic()
        if held is not None and now < held[0]:
            return held[1]
        if held is not None and self.patience:  # while one call asks, others of this key need not wait
            self._held[digest] = (now + REMEMBER, held[1])
        name = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
        try:
            row = accounts.find_row(self._db, key)
        except StorageError:
            row = self._last.get(name) if self.patience else None
            if row is None:
                raise
        else:
            if row is not None and self.patience:
                self._last.keep(name, row, self.patience)
        account = None if row is None else accounts.account(row, key)
        if len(self._held) >= _BOUND:
            self._held.clear()
        self._held[digest] = (now + REMEMBER, account)
        return account


def credential(call: Call, places: Iterable[Mapping[str, str]]) -> str | None:
    """Return the key that the caller sent, from the first of ``places`` that holds one."""
    for place in places:
        header = place.get("header")
        value = call.headers.get(header.lower()) if header else call.query.get(place["query"])
        if not value:
            continue
        if "item" in place:
            marked = (part.strip() for part in value.split(","))
            value = next((part[len(place["item"]) :] for part in marked if part.startswith(place["item"])), None)
            if value is None:
                continue
            return value
        scheme = place.get("scheme")
        if scheme is None:
            return value.strip()
        if value[: len(scheme)].lower() == scheme.lower():
            return value[len(scheme) :].strip()
        if " " not in value:  # clients that send the bare key where a scheme is wanted
            return value.strip()
    return None


def identify(call: Call, keys: KeyCache) -> Account:
    """Return the account behind the call's key, or refuse.

    The channel that an administrator named in the key is noted in the call.
    """
    rules = call.snapshot.networks.get(RELAY)
    if rules is not None and not rules.admit(call.ip, call.now):
        raise CallError("forbidden", f"calls from {call.ip} are not let in here", code="access_denied")
    sent = credential(call, call.snapshot.credentials[call.format.name])
    if not sent:
        raise CallError(
            "auth", "no API key was sent; send it as a bearer token in the authorization header", code="missing_api_key"
        )
    bare, channel = accounts.split_key(sent)
    account = keys.find(bare) if 0 < len(bare) <= KEY.most else None
    if account is None:
        raise CallError("auth", "the API key is not known here; check that it was copied whole", code="invalid_api_key")
    _check_key(account, call.now)
    if account.user_deleted or account.user_status != ENABLED:
        raise CallError(
            "forbidden", "the user of this API key is disabled; ask the administrator", code="user_disabled"
        )
    if account.networks and not inside(call.ip, account.networks):
        raise CallError("forbidden", f"this API key may not be used from {call.ip}", code="access_denied")
    refused = call.snapshot.groups.refusal(account)
    if refused:
        raise CallError("forbidden", refused, code="access_denied")
    if channel is not None and not account.admin:
        raise CallError("forbidden", "only administrators may name a channel in the API key", code="access_denied")
    call.pinned = channel
    return account


def is_operator(keys: KeyCache, sent: str, ip: str, now: int) -> bool:
    """Whether a credential is a usable key of an administrator; never raises, also where the database is away."""
    bare = accounts.split_key(sent)[0]
    try:
        account = keys.find(bare) if bare else None
        if account is None or not account.admin or account.user_deleted or account.user_status != ENABLED:
            return False
        _check_key(account, now)
    except (CallError, StorageError):
        return False
    return not account.networks or inside(ip, account.networks)


def _check_key(account: Account, now: int) -> None:
    if account.status != ENABLED:
        raise CallError("auth", f"the API key {_STATUS.get(account.status, 'is not enabled')}", code="invalid_api_key")
    if account.expires != -1 and account.expires <= now:
        raise CallError("auth", "the API key has expired", code="invalid_api_key")
