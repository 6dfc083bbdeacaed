"""Filters of signatures, as payment services and webhooks have them: digests, keyed digests, RSA, sealed texts.

Keys are texts: a secret, or a key or certificate in PEM (its lines of dashes may be missing). What is no key, or does
not fit, gives nothing or false, never an error. Only who uses keys of that kind loads what reads them (6 MB).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from engine.filters.operations import compact
from engine.filters.record import Filter

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

_ALGORITHMS = ("md5", "sha1", "sha256", "sha512")
_LINE = 64


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _hash(value: Any, algorithm: Any) -> str | None:
    if type(value) is not str or algorithm not in _ALGORITHMS:
        return None
    return hashlib.new(algorithm, _bytes(value), usedforsecurity=False).hexdigest()


def _hmac(value: Any, key: Any, algorithm: Any, encoding: Any = "hex", key_encoding: Any = "text") -> str | None:
    if type(value) is not str or type(key) is not str or not key or algorithm not in _ALGORITHMS:
        return None
    try:
        secret = bytes.fromhex(key) if key_encoding == "hex" else _bytes(key)
    except ValueError:
        return None
    digest = hmac.digest(secret, _bytes(value), algorithm)
    return base64.b64encode(digest).decode() if encoding == "base64" else digest.hex()


def _same(value: Any, other: Any = None) -> bool:
    others = other if type(other) is list else [other]
    if type(value) is not str or not value:
        return False
    equal = [hmac.compare_digest(_bytes(value), _bytes(candidate)) for candidate in others if type(candidate) is str]
    return any(equal)


def _pairs_text(value: Any, separator: Any = "&") -> str | None:
    if type(value) is not dict:
        return None
    pairs = [(key, item if type(item) is str else compact(item)) for key, item in value.items() if item is not None]
    return (separator if type(separator) is str else "&").join(f"{key}={text}" for key, text in pairs if text)


def _pem(text: str, label: str) -> bytes:
    """A key with its lines of dashes, put around it where only what stands between them was given."""
    if "-----" in text:
        return _bytes(text.strip() + "\n")
    body = "".join(text.split())
    lines = "\n".join(body[start : start + _LINE] for start in range(0, len(body), _LINE))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode("utf-8", "replace")


@lru_cache(maxsize=64)
def _public(text: str) -> RSAPublicKey | None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import load_pem_x509_certificate

    try:
        if "CERTIFICATE" in text:
            key: Any = load_pem_x509_certificate(_pem(text, "CERTIFICATE")).public_key()
        else:
            key = serialization.load_pem_public_key(_pem(text, "PUBLIC KEY"))
    except ValueError:
        return None
    return key if isinstance(key, RSAPublicKey) else None


@lru_cache(maxsize=64)
def _private(text: str) -> RSAPrivateKey | None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    for label in ("PRIVATE KEY", "RSA PRIVATE KEY"):
        try:
            key = serialization.load_pem_private_key(_pem(text, label), None)
        except (ValueError, TypeError):
            continue
        return key if isinstance(key, RSAPrivateKey) else None
    return None


def _rsa_sign(value: Any, key: Any) -> str | None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    private = _private(key) if type(value) is str and type(key) is str else None
    if private is None:
        return None
    return base64.b64encode(private.sign(_bytes(value), padding.PKCS1v15(), hashes.SHA256())).decode()


def _rsa_signed(value: Any, signature: Any, key: Any) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    if not (type(value) is type(signature) is type(key) is str):
        return False
    public = _public(key)
    if public is None:
        return False
    try:
        public.verify(base64.b64decode(signature, validate=True), _bytes(value), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _aes_gcm_open(value: Any, key: Any, nonce: Any, beside: Any = "") -> str | None:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if not (type(value) is type(key) is type(nonce) is str):
        return None
    try:
        sealed = base64.b64decode(value, validate=True)
        added = _bytes(beside) if type(beside) is str else b""
        return AESGCM(_bytes(key)).decrypt(_bytes(nonce), sealed, added).decode()
    except (InvalidTag, binascii.Error, ValueError):
        return None


FILTERS = (
    Filter(
        "hash",
        _hash,
        "text",
        "text",
        "the digest of the text's UTF-8 bytes in hexadecimal: md5, sha1, sha256 or sha512",
        (("'a' | hash('md5')", "0cc175b9c0f1b6a831c399e269772661"), ("'a' | hash('crc')", None)),
        ("algorithm",),
    ),
    Filter(
        "hmac",
        _hmac,
        "text",
        "text",
        "the keyed digest (RFC 2104) in hexadecimal or base64, by a key in text or hexadecimal; nothing without one",
        (
            ("'a' | hmac('k', 'sha256')", "78da91511e675587f5b9df78bedebaf5560da2abb88162ee875dcdf744951d9e"),
            ("'a' | hmac('k', 'sha1', 'base64')", "QOfUQcrbF7B/BQNBqiOmgg7YHIs="),
            ("'a' | hmac('6b', 'sha1', 'base64', 'hex')", "QOfUQcrbF7B/BQNBqiOmgg7YHIs="),
            ("'a' | hmac('', 'sha256')", None),
        ),
        ("key", "algorithm", "encoding?", "key_encoding?"),
    ),
    Filter(
        "same",
        _same,
        "text",
        "boolean",
        "is it the other text, or one of several, told in a time that says nothing of where they differ",
        (("'a' | same('a')", True), ("'a' | same(['b', 'a'])", True), ("'' | same('')", False)),
        ("other?",),
        never_nothing=True,
    ),
    Filter(
        "pairs_text",
        _pairs_text,
        "map",
        "text",
        "its members as `name=value`, `&` or the separator between; those that are empty are left out",
        (("{'b': 1, 'a': 'x', 'c': ''} | pairs_text", "b=1&a=x"), ("{'b': 1, 'a': 2} | pairs_text(',')", "b=1,a=2")),
        ("separator?",),
        cost=4,
        longer=2,
    ),
    Filter(
        "rsa_sign",
        _rsa_sign,
        "text",
        "text",
        "signed with a private RSA key (SHA-256, PKCS#1 v1.5), in base64; nothing if it is no such key",
        (("'a' | rsa_sign('no key')", None),),
        ("key",),
        cost=8,
    ),
    Filter(
        "rsa_signed",
        _rsa_signed,
        "text",
        "boolean",
        "is the signature (SHA-256, PKCS#1 v1.5, in base64) the one of this public key or certificate",
        (("'a' | rsa_signed('YQ==', 'no key')", False),),
        ("signature", "key"),
        cost=8,
        never_nothing=True,
    ),
    Filter(
        "aes_gcm_open",
        _aes_gcm_open,
        "text",
        "text",
        "the text that AES-GCM sealed (base64, the tag at its end); nothing if the key or what stands beside is wrong",
        (("'YQ==' | aes_gcm_open('0123456789abcdef', '0123456789ab')", None),),
        ("key", "nonce", "beside?"),
    ),
)
