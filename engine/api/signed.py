"""Signatures of webhooks that come in, as Git hosts make them: an HMAC of SHA-256 over the body, in a header.

Hosts name the header as they like, so every one is looked at whose name ends so. Either the digest of the body in hex,
also after ``sha256=``; or as Standard Webhooks 1.0.0 says, over id, time and body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from engine.outbox.posting import key_of

_ENDS = ("-signature", "-signature-256")
_MOST = 1024


def signed(secret: str, body: bytes, header: Mapping[str, str]) -> bool:
    """Whether a header (names in small letters) holds a signature of the body; each is compared in constant time."""
    whole = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    message = f"{header.get('webhook-id', '')}.{header.get('webhook-timestamp', '')}.".encode("utf-8", "replace") + body
    standard = base64.b64encode(hmac.digest(key_of(secret), message, hashlib.sha256)).decode()
    good = [f"sha256={whole}", whole, f"v1,{standard}"]
    sent = [text for name, value in header.items() if name.endswith(_ENDS) for text in value[:_MOST].split()]
    return any(_same(text, one) for text in sent for one in good)


def _same(text: str, good: str) -> bool:
    return hmac.compare_digest(text.encode("utf-8", "replace"), good.encode())
