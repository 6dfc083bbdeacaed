"""Id tokens: what one says counts only if the service signed it, for us, now, for this very login.

OpenID Connect Core 1.0, 3.1.3.7, with RS256 and ES256 (RFC 7518). Raises ``LoginRefused`` that says which of it fails.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

import orjson

from engine.identity.refused import LoginRefused, refused

Keys = Callable[[str | None], list[dict[str, Any]]]
_LONGEST = 32 * 1024
_LEEWAY = 60
"""Seconds that clocks may differ by."""
_RSA_BITS = 2048
_HALF = 32
"""Bytes of each half of an ES256 signature."""


def claims_of(token: Any) -> dict[str, Any]:
    """What a token says, proved or not."""
    parts = _parts(token)
    claims = _object(parts[1])
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise _bad("it names nobody")
    return claims


def prove(token: str, keys: Keys) -> None:
    """Whether one of the service's keys signed it."""
    head, body, signature = _parts(token)
    header = _object(head)
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in ("RS256", "ES256") or "crit" in header:
        raise _bad("it is signed in a way that is not taken")
    signed = f"{head}.{body}".encode()
    rows = keys(key_id if isinstance(key_id, str) else None)
    usable = [row for row in rows if row.get("use", "sig") == "sig" and row.get("alg", algorithm) == algorithm]
    check = _rsa if algorithm == "RS256" else _ec
    if not any(check(row, signed, _bytes(signature)) for row in usable[:20]):
        raise _bad("no key of the service signed it")


def check(claims: dict[str, Any], *, issuer: Any, client: str, nonce: str, access_token: Any) -> None:
    """Whether it is for us, now, and for this login. Without ``nonce`` none was asked for."""
    now = time.time()
    if not isinstance(issuer, str) or not issuer or claims.get("iss") != issuer:
        raise _bad("another service issued it")
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    party = claims.get("azp", client if len(named) == 1 else None)
    if not client or client not in named or party != client:
        raise _bad("it is meant for somebody else")
    if _number(claims, "exp") <= now - _LEEWAY:
        raise _bad("its time is over")
    if _number(claims, "iat") > now + _LEEWAY or _number(claims, "nbf", 0) > now + _LEEWAY:
        raise _bad("its time has not come")
    if nonce and not hmac.compare_digest(str(claims.get("nonce", "")).encode("utf-8", "replace"), nonce.encode()):
        raise _bad("it belongs to another login")
    if "at_hash" in claims and isinstance(access_token, str):
        half = hashlib.sha256(access_token.encode("utf-8", "replace")).digest()[:16]
        if claims["at_hash"] != base64.urlsafe_b64encode(half).rstrip(b"=").decode():
            raise _bad("it belongs to another access token")


def _number(claims: dict[str, Any], name: str, otherwise: float | None = None) -> float:
    value = claims.get(name, otherwise)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad(f"it has no {name}")
    return float(value)


def _parts(token: Any) -> tuple[str, str, str]:
    parts = token.split(".") if isinstance(token, str) and len(token) <= _LONGEST else []
    if len(parts) != 3:
        raise _bad("there is none")
    return parts[0], parts[1], parts[2]


def _bytes(text: Any) -> bytes:
    try:
        return base64.urlsafe_b64decode(str(text) + "=" * (-len(str(text)) % 4))
    except (binascii.Error, ValueError):
        raise _bad("it can't be read") from None


def _object(text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(_bytes(text))
    except orjson.JSONDecodeError:
        raise _bad("it can't be read") from None
    if not isinstance(value, dict):
        raise _bad("it can't be read")
    return value


def _rsa(row: dict[str, Any], signed: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    if row.get("kty") != "RSA":
        return False
    try:
        numbers = rsa.RSAPublicNumbers(_whole(row.get("e")), _whole(row.get("n")))
        key = numbers.public_key()
        if key.key_size < _RSA_BITS:
            return False
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def _ec(row: dict[str, Any], signed: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    if row.get("kty") != "EC" or row.get("crv") != "P-256" or len(signature) != 2 * _HALF:
        return False
    pair = [int.from_bytes(half, "big") for half in (signature[:_HALF], signature[_HALF:])]
    try:
        numbers = ec.EllipticCurvePublicNumbers(_whole(row.get("x")), _whole(row.get("y")), ec.SECP256R1())
        numbers.public_key().verify(utils.encode_dss_signature(*pair), signed, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def _whole(text: Any) -> int:
    return int.from_bytes(_bytes(text), "big")


def _bad(what: str) -> LoginRefused:
    return refused("oauth.token", what=what)
