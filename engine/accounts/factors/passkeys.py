"""Passkeys (WebAuthn Level 3): made, asked for, named, taken away. The library ``webauthn`` proves what is signed.

A ceremony is two calls. The first gives options for the browser and a signed text that names the challenge, what it is
for, and which session or browser it was given to; the second brings that text and what the authenticator answered. The
text counts once and for five minutes, and nothing is written before the second call.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import webauthn
from sqlalchemy.exc import IntegrityError
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, options_to_json_dict
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorAttachment,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from engine.accounts import sessions
from engine.accounts.factors import codes
from engine.errors import Conflict, Invalid, NotFound
from engine.storage.database import Database
from engine.storage.faults import StatementError
from engine.storage.rows import factors, logins, people
from engine.storage.rows.api import passkeys as rows
from engine.storage.rows.crud import Row
from engine.storage.values import ENABLED
from engine.texts import refusal

LASTS = 300
REGISTER, VERIFY, LOGIN = "register", "verify", "login"
_MOST, _NAME = 20, 64
_TRANSPORTS = {one.value: one for one in AuthenticatorTransport}
_REQUIRED = UserVerificationRequirement.REQUIRED


@dataclass(frozen=True, slots=True)
class Party:
    """Who asks for passkeys (the relying party): its id, a name that is shown, and the origins of its pages."""

    id: str
    name: str
    origins: tuple[str, ...]
    verification: UserVerificationRequirement
    attachment: AuthenticatorAttachment | None


def party(home: str, name: str, options: Mapping[str, str]) -> Party:
    """The relying party: host and origin of the gateway's address, unless options say others.

    ``options`` are those of New API without ``passkey.``, as far as they were set. Raises ``Invalid``.
    """
    origins = tuple(one.strip().rstrip("/") for one in options.get("origins", "").split(",") if one.strip())
    parts = urlsplit(home if "//" in home else f"//{home}")
    if not origins and parts.scheme and parts.netloc:
        origins = (f"{parts.scheme}://{parts.netloc}".lower(),)
    which = options.get("rp_id", "").strip().rpartition("//")[2].partition(":")[0] or parts.hostname or ""
    if not origins or not which:
        raise refusal(Invalid, "passkey.home", field="ServerAddress")
    for origin in origins:
        parts = urlsplit(origin)
        local = parts.hostname == "localhost" or (parts.hostname or "").endswith(".localhost")
        if parts.scheme != "https" and not local and options.get("allow_insecure_origin") != "true":
            raise refusal(Invalid, "passkey.insecure", field="ServerAddress", origin=origin)
    verification = options.get("user_verification", "")
    attachment = options.get("attachment_preference", "")
    return Party(
        which,
        name,
        origins,
        UserVerificationRequirement(
            verification if verification in tuple(UserVerificationRequirement) else "preferred"
        ),
        AuthenticatorAttachment(attachment) if attachment in tuple(AuthenticatorAttachment) else None,
    )


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What a ceremony is for. ``holder`` is the session, or the browser's cookie, that it belongs to.

    ``user`` 0: whoever signs in is known by the passkey alone, which then has to verify the person.
    """

    purpose: str
    holder: str
    user: int = 0
    scope: str = ""
    challenge: str = ""


def begin(db: Database, secret: bytes, party: Party, ceremony: Ceremony) -> dict[str, Any]:
    """``options`` for the browser, and ``flow_token``, which has to come back, with when it ends."""
    challenge = secrets.token_bytes(32)
    ends = int(time.time()) + LASTS
    claims = {
        "for": ceremony.purpose,
        "holder": sessions.hashed(ceremony.holder),
        "sub": str(ceremony.user),
        "scope": ceremony.scope,
        "challenge": bytes_to_base64url(challenge),
        "exp": ends,
    }
    options_of = _register if ceremony.purpose == REGISTER else _ask
    options = options_of(db, party, ceremony, challenge)
    return {
        "options": {"publicKey": options_to_json_dict(options)},
        "flow_token": sessions.sign(secret, "passkey", claims),
        "expires_at": ends,
    }


def _register(db: Database, party: Party, ceremony: Ceremony, challenge: bytes) -> Any:
    user = people.by_id(db, ceremony.user) or {}
    passkeys = rows.of_user(db, ceremony.user)
    if len(passkeys) >= _MOST:
        raise refusal(Conflict, "passkey.many", most=_MOST)
    return webauthn.generate_registration_options(
        rp_id=party.id,
        rp_name=party.name,
        user_id=str(ceremony.user).encode(),
        user_name=str(user.get("username")),
        user_display_name=str(user.get("display_name") or user.get("username")),
        challenge=challenge,
        timeout=LASTS * 1000,
        authenticator_selection=AuthenticatorSelectionCriteria(
            authenticator_attachment=party.attachment,
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=party.verification,
        ),
        exclude_credentials=[_described(row) for row in passkeys],
    )


def _ask(db: Database, party: Party, ceremony: Ceremony, challenge: bytes) -> Any:
    passkeys = rows.of_user(db, ceremony.user) if ceremony.user else []
    if ceremony.user and not passkeys:
        raise refusal(Conflict, "passkey.none")
    return webauthn.generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        timeout=LASTS * 1000,
        allow_credentials=[_described(row) for row in passkeys] or None,
        user_verification=_verification(party, ceremony),
    )


def _verification(party: Party, ceremony: Ceremony) -> UserVerificationRequirement:
    """A passkey in place of a password is two factors only where it knows who holds it."""
    return party.verification if ceremony.user else _REQUIRED


def _described(row: Row) -> PublicKeyCredentialDescriptor:
    known = [_TRANSPORTS[one] for one in (row["transports"] or "").split(",") if one in _TRANSPORTS]
    return PublicKeyCredentialDescriptor(id=base64url_to_bytes(row["credential_id"]), transports=known or None)


def taken(db: Database, secret: bytes, token: str, ceremony: Ceremony) -> Ceremony:
    """The ceremony that a text means, which is used up by that. Raises ``Conflict`` for another's, used or old one."""
    claims = sessions.read(secret, "passkey", token[:2000]) or {}
    same = claims.get("for") == ceremony.purpose and bool(ceremony.holder)
    if not same or not hmac.compare_digest(str(claims.get("holder")), sessions.hashed(ceremony.holder)):
        raise refusal(Conflict, "passkey.flow")
    if logins.attempt(db, f"passkey:{sessions.hashed(token)}", lambda _: 2 * LASTS):
        raise refusal(Conflict, "passkey.flow")
    return replace(ceremony, user=int(claims["sub"]), scope=claims["scope"], challenge=claims["challenge"])


def register(db: Database, party: Party, ceremony: Ceremony, credential: Mapping[str, Any], name: str) -> list[str]:
    """Note the passkey that a browser made; backup codes where it is the person's first second factor."""
    try:
        verified = webauthn.verify_registration_response(
            credential=dict(credential),
            expected_challenge=base64url_to_bytes(ceremony.challenge),
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            require_user_verification=party.verification == _REQUIRED,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise _refused(error) from None
    response = credential.get("response")
    transports = response.get("transports") if isinstance(response, Mapping) else None
    values = {
        "user_id": ceremony.user,
        "credential_id": bytes_to_base64url(verified.credential_id),
        "public_key": bytes_to_base64url(verified.credential_public_key),
        "name": named(name) if name.strip() else f"Passkey {len(rows.of_user(db, ceremony.user)) + 1}",
        "transports": ",".join(one for one in transports or () if one in _TRANSPORTS),
        "sign_count": verified.sign_count,
        "asked_for": True,
        "created_at": int(time.time()),
    }
    first = factors.there(db) and codes.enabled(db, ceremony.user) is None and not rows.asked_for(db, ceremony.user)
    backup = codes.new_codes() if first else []
    hashes = codes.hashed(backup)

    def work(connection: Any) -> None:
        rows.add(db, connection, verified.credential_id, values)
        if first:
            codes.put(db, connection, ceremony.user, hashes)

    try:
        db.write(work)
    except StatementError as error:
        if not isinstance(error.__cause__, IntegrityError):
            raise
        raise refusal(Conflict, "passkey.taken") from None
    return backup


def prove(db: Database, party: Party, ceremony: Ceremony, credential: Mapping[str, Any]) -> Row:
    """The user whose passkey answered. Raises ``Conflict``."""
    row = rows.by_credential(db, _id_of(credential))
    if row is None or (ceremony.user and row["user_id"] != ceremony.user):
        raise refusal(Conflict, "passkey.unknown")
    try:
        verified = webauthn.verify_authentication_response(
            credential=dict(credential),
            expected_challenge=base64url_to_bytes(ceremony.challenge),
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            credential_public_key=base64url_to_bytes(row["public_key"]),
            credential_current_sign_count=row["sign_count"],
            require_user_verification=_verification(party, ceremony) == _REQUIRED,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise _refused(error) from None
    if not rows.used(db, row["id"], row["sign_count"], verified.new_sign_count, int(time.time())):
        raise refusal(Conflict, "passkey.wrong", why="it was used twice at a time")
    user = people.by_id(db, row["user_id"])
    if user is None or user.get("status") != ENABLED:
        raise refusal(Conflict, "passkey.unknown")
    return user


def _id_of(credential: Mapping[str, Any]) -> bytes:
    """The id that an answer names; of anything else, one that nobody has."""
    text = credential.get("rawId")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if isinstance(text, str) else b""
    except ValueError:
        return b""


def _refused(error: Exception) -> Conflict:
    """The library's words hold what was sent; they are cut."""
    return refusal(Conflict, "passkey.wrong", why=str(error)[:200])


def named(name: str) -> str:
    """A passkey's name, trimmed. Raises ``Invalid``."""
    name = " ".join(name.split())
    if not name or len(name) > _NAME or not name.isprintable():
        raise refusal(Invalid, "invalid.field", field="name", what=f"1 to {_NAME} characters")
    return name


def listed(db: Database, user: int) -> list[dict[str, Any]]:
    """A user's passkeys as they are told."""
    return [{name: row[name] for name in ("id", "name", "created_at", "used_at")} for row in rows.of_user(db, user)]


def rename(db: Database, user: int, which: int, name: str) -> None:
    """Give one of a user's another name."""
    if not rows.rename(db, user, which, named(name)):
        raise refusal(NotFound, "not_found")


def remove(db: Database, user: int, which: int = 0) -> None:
    """Take one of a user's away, or all; backup codes go with the last factor. Raises ``Conflict`` without any."""
    app = codes.enabled(db, user) is not None

    def work(connection: Any) -> int:
        gone = rows.drop(db, connection, user, which)
        if gone and not app and not rows.left(db, connection, user):
            codes.put(db, connection, user, [])
        return gone

    if not db.write(work):
        raise refusal(Conflict, "passkey.none")
