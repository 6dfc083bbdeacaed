"""A message as one HTTP call: bounded in size and time, through the guard of the pool, following no redirect.

Signed ones have the headers of Standard Webhooks 1.0.0 (github.com/standard-webhooks/standard-webhooks): ``webhook-id``
stays the same over all tries, ``webhook-timestamp`` is when this one was made, and the signature is over both and the
body.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

from engine.outbox.sending import SENT, Outcome
from engine.transport.faults import TransportError
from engine.transport.leg import Pool
from engine.transport.limits import Timeouts
from engine.transport.wire import Headers

SECRET_PREFIX = "whsec_"  # noqa: S105 - what begins every such secret
_TIMEOUTS = Timeouts(connect=5.0, first_byte=15.0, idle=10.0, total=20.0)
_ANSWER = 64 * 1024
_AGAIN = frozenset({404, 408, 409, 423, 425, 429})
"""Statuses below 500 of a receiver that may be there or have room in a while."""
_FOR_GOOD = frozenset({"invalid", "refused_address"})


def fresh_secret() -> str:
    """A secret to sign with: 24 random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def signed(secret: str, message: str, at: int, body: bytes) -> list[tuple[str, str]]:
    """The three headers of a message that leaves at ``at`` (unix s); without a secret there is no signature."""
    headers = [("webhook-id", message), ("webhook-timestamp", str(at))]
    if secret:
        digest = hmac.digest(key_of(secret), f"{message}.{at}.".encode() + body, hashlib.sha256)
        headers.append(("webhook-signature", f"v1,{base64.b64encode(digest).decode()}"))
    return headers


def key_of(secret: str) -> bytes:
    """What the prefix stands before is base64; any other text is its own bytes."""
    if secret.startswith(SECRET_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def call(pool: Pool, method: str, url: str, headers: Headers, body: bytes) -> tuple[Outcome, bytes]:
    """Make the call; what came of it, and the answer's body where it was a good one."""
    try:
        with pool.send(method, url, [("user-agent", "gatewright"), *headers], body, _TIMEOUTS) as answer:
            if 200 <= answer.status < 300:
                return SENT, answer.read(_ANSWER)
            wait = answer.headers.get("retry-after", "")
            after = float(wait) if wait.isascii() and wait.isdigit() and len(wait) < 7 else 0.0
            again = answer.status >= 500 or answer.status in _AGAIN
            return Outcome(False, f"answered with status {answer.status}", again, after), b""
    except TransportError as error:
        if error.kind == "too_large":
            return SENT, b""  # the receiver has it, whatever it has to say
        return Outcome(False, error.public, error.kind not in _FOR_GOOD), b""
