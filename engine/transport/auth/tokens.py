"""JSON Web Tokens that are made from a channel's own secret: RFC 7519 in the compact form of RFC 7515, HS256 or RS256.

Takes the declared header and claims; a claim that is a time is told from now, in seconds or milliseconds.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from engine.jsonbytes import dumps
from engine.transport.auth.parts import fill
from engine.transport.faults import TransportError

_UNITS = {"s": 1, "ms": 1000}


def made(token: Mapping[str, Any], words: Mapping[str, str], now: float) -> str:
    """A token of now (unix seconds); raises ``TransportError`` for a private key that can't be read."""
    algorithm = token.get("algorithm") or "HS256"
    fields = {name: fill(text, words) for name, text in (token.get("header") or {"typ": "JWT"}).items()}
    header = {"alg": algorithm, **{name: text for name, text in fields.items() if text}}
    claims = {name: _claim(value, words, now) for name, value in token["claims"].items()}
    signed = b".".join((_url64(dumps(header)), _url64(dumps(claims))))
    secret = fill(token["secret"], words)
    mac = _rs256(secret, signed) if algorithm == "RS256" else hmac.digest(secret.encode(), signed, hashlib.sha256)
    return b".".join((signed, _url64(mac))).decode()


def _rs256(pem: str, signed: bytes) -> bytes:
    # PERF: a third of all imports of a worker's start, for one scheme.
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        key = None  # what was wrong with it may repeat it
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TransportError("credential", "the private key of the channel's credential is no RSA key in PEM form")
    return key.sign(signed, padding.PKCS1v15(), SHA256())


def _claim(value: Any, words: Mapping[str, str], now: float) -> Any:
    if isinstance(value, Mapping):
        return int((now + value["in"]) * _UNITS[value.get("unit", "s")])
    return fill(value, words) if isinstance(value, str) else value


def _url64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
