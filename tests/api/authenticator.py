"""An authenticator in Python, which can also be made to lie in one thing at a time."""

from __future__ import annotations

import base64
import hashlib
import secrets
import struct
from typing import Any

import cbor2
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

ORIGIN = "https://gate.example"


def packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Authenticator:
    """One passkey on P-256. ``count``: how often it signed; ``verified``: whether it knows who holds it."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(32)
        self.count, self.verified, self.user = 0, True, b""

    def make(self, options: dict[str, Any], **lies: Any) -> dict[str, Any]:
        """What ``navigator.credentials.create`` gives."""
        asked = options["publicKey"]
        self.user = base64.urlsafe_b64decode(asked["user"]["id"] + "==")
        numbers = self.key.public_key().public_numbers()
        key = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        made = bytes(16) + struct.pack(">H", len(self.id)) + self.id + cbor2.dumps(key)
        data = self._data(asked["rp"]["id"], 0x40, lies) + made
        whole = {"fmt": "none", "attStmt": {}, "authData": data}
        client = self._client("webauthn.create", asked["challenge"], lies)
        response = {"clientDataJSON": packed(client), "attestationObject": packed(cbor2.dumps(whole))}
        return {**self._credential(), "response": {**response, "transports": ["internal", "nonsense"]}}

    def answer(self, options: dict[str, Any], **lies: Any) -> dict[str, Any]:
        """What ``navigator.credentials.get`` gives."""
        asked = options["publicKey"]
        data = self._data(asked["rpId"], 0, lies)
        client = self._client("webauthn.get", asked["challenge"], lies)
        signed = data + hashlib.sha256(client).digest()
        signature = lies.get("signer", self.key).sign(signed, ec.ECDSA(SHA256()))
        response = {"clientDataJSON": packed(client), "authenticatorData": packed(data)}
        response |= {"signature": packed(lies.get("signature", signature)), "userHandle": packed(self.user)}
        return {**self._credential(**lies), "response": response}

    def _credential(self, **lies: Any) -> dict[str, Any]:
        which = packed(lies.get("id", self.id))
        return {"id": which, "rawId": which, "type": "public-key", "clientExtensionResults": {}}

    def _data(self, party: str, more: int, lies: dict[str, Any]) -> bytes:
        self.count += lies.get("steps", 1)
        present, verified = lies.get("present", True), lies.get("verified", self.verified)
        flags = (1 if present else 0) | (4 if verified else 0) | more
        return hashlib.sha256(lies.get("rp", party).encode()).digest() + bytes([flags]) + struct.pack(">I", self.count)

    def _client(self, kind: str, challenge: str, lies: dict[str, Any]) -> bytes:
        told = {"type": lies.get("type", kind), "challenge": lies.get("challenge", challenge)}
        return orjson.dumps({**told, "origin": lies.get("origin", ORIGIN), "crossOrigin": False})
