"""Step-up: the proof that whoever uses a session has just shown a second factor, asked for before dangerous acts.

A proof is a signed text. It holds for five minutes, for one session and one scope, and for one act; one for reading
keys of channels for as many as are read in its time, as New API's scripts expect.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from engine.accounts import sessions
from engine.accounts.factors import codes
from engine.errors import Forbidden
from engine.storage.database import Database
from engine.storage.rows import logins
from engine.storage.rows.api import passkeys
from engine.texts import refusal

LASTS = 300
CHANNEL_KEY, SECURE, REGISTER, REMOVE, SET_UP, BACKUP = SCOPES = (
    *("channel.key.read", "user.secure"),
    *("passkey.register", "passkey.delete", "2fa.setup", "2fa.backup_codes"),
)


class ProofNeeded(Forbidden):
    """A dangerous act without the proof that it needs: ``beside`` says its scope and how it can be had."""

    status = 403
    code = "SECURITY_PROOF_REQUIRED"
    beside: Mapping[str, Any] = {}


def methods(db: Database, user: int) -> list[str]:
    """What a user can show: ``2fa`` (a code), ``passkey``."""
    code = codes.enabled(db, user) is not None or passkeys.asked_for(db, user)
    return [*(["2fa"] if code else []), *(["passkey"] if passkeys.of_user(db, user) else [])]


def asked(db: Database, user: int) -> bool:
    """Whether a password alone is not enough for a user."""
    return codes.enabled(db, user) is not None or passkeys.asked_for(db, user)


def make(secret: bytes, sid: str, scope: str, method: str) -> dict[str, Any]:
    """A proof for a scope, as it is answered."""
    ends = int(time.time()) + LASTS
    claims: dict[str, Any] = {"sid": sid, "scope": scope, "method": method, "exp": ends}
    claims["jti"] = secrets.token_urlsafe(9)  # each counts once, also of two that are made in one second
    token = sessions.sign(secret, "proof", claims)
    return {"proof_token": token, "expires_at": ends, "method": method, "scope": scope, "verified": True}


def need(db: Database, secret: bytes, user: int, sid: str, token: str, scope: str) -> None:
    """Raise ``ProofNeeded`` unless a proof of this session and scope is brought, which is used up by that."""
    claims = sessions.read(secret, "proof", token, late=True) or {}
    code = ""
    if not token:
        code = "REQUIRED"
    elif not claims or claims.get("sid") != sid or not sid:
        code = "INVALID"
    elif claims["exp"] <= time.time():
        code = "EXPIRED"
    elif claims.get("scope") != scope:
        code = "SCOPE_MISMATCH"
    elif scope != CHANNEL_KEY and logins.attempt(db, f"step:{sessions.hashed(token)}", lambda _: 2 * LASTS):
        code = "INVALID"
    if code:
        error = refusal(ProofNeeded, "channel.proof")
        error.code = f"SECURITY_PROOF_{code}"
        error.beside = {"scope": scope, "methods": methods(db, user)}
        raise error
