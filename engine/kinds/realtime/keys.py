"""Short-lived keys of live connections: made for whoever has a key, for clients that must not have it.

One is good for one model, from the address that first uses it, until its end. What is kept of it is its hash, and the
key that it stands for, sealed with it: nobody reads that out of the store. It stands in no log.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken

from engine.errors import CallError
from engine.jsonbytes import dumps, loads
from engine.relay.call import Call, Reply
from engine.relay.dialect import JSON
from engine.relay.ingress.body import parsed
from engine.relay.ingress.identify import credential, identify

if TYPE_CHECKING:
    from engine.relay.services import Services

_PREFIX = "ek_"
_LEAST, _USUAL, _MOST = 10, 600, 7200


class ShortKeys:
    """See the module."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._space = services.store.space("short keys")

    def make(self, call: Call, environ: dict[str, Any]) -> Reply:
        """Make one, of the caller's own key."""
        rules = call.format.realtime
        if rules is None or rules.secret is None:
            raise CallError("not_found", f"the format {call.format.name} has no short-lived keys")
        call.account = identify(call, self._services.keys)
        parsed(self._services, call, environ)
        session = call.body.get("session") if "session" in call.body else call.body
        if not isinstance(session, dict):
            raise CallError("bad_request", "session must be an object", param="session")
        model = session.get("model") or (session.get("input_audio_transcription") or {}).get("model")
        if not isinstance(model, str) or not model:
            raise CallError(
                "bad_request",
                "session.model is missing; name one that the models endpoint lists",
                param="session.model",
            )
        seconds = _seconds(call.body.get("expires_after"))
        value, now = _PREFIX + secrets.token_hex(24), int(time.time())
        key = credential(call, call.snapshot.credentials[call.format.name]) or ""
        noted = {"key": key, "model": model, "until": now + seconds}
        sealed = Fernet(_seal(value)).encrypt(dumps(noted))
        self._space.put(_name(value), sealed, seconds)
        body = rules.secret([], value, now + seconds, session, call.ctx())
        return Reply(200, [("content-type", JSON), ("cache-control", "no-store")], dumps(body))

    def take(self, call: Call) -> None:
        """Put the key that a short-lived one stands for in its place, if the caller sent one."""
        sent = credential(call, call.snapshot.credentials[call.format.name])
        if not sent or not sent.startswith(_PREFIX):
            return
        noted = self._noted(sent)
        if noted is None or noted["until"] <= time.time():
            raise CallError("auth", "the short-lived key is not known, or its time is over", code="invalid_api_key")
        if noted.setdefault("ip", call.ip) != call.ip:
            raise CallError("forbidden", "the short-lived key belongs to another address", code="access_denied")
        left = max(1.0, noted["until"] - time.time())
        self._space.put(_name(sent), Fernet(_seal(sent)).encrypt(dumps(noted)), left)
        place = call.snapshot.credentials[call.format.name][0]
        call.headers = {**call.headers, place["header"].lower(): f"{place.get('scheme', '')} {noted['key']}".strip()}
        call.headers["x-short-model"] = noted["model"]

    def check(self, call: Call) -> None:
        """Refuse another model than the short-lived key is for."""
        model = call.headers.pop("x-short-model", call.asked)
        if model != call.asked:
            raise CallError("forbidden", f"this short-lived key is for the model {model!r} alone", param="model")

    def _noted(self, value: str) -> dict[str, Any] | None:
        sealed = self._space.get(_name(value))
        if sealed is None:
            return None
        try:
            noted = loads(Fernet(_seal(value)).decrypt(sealed))
        except (InvalidToken, ValueError):
            return None
        return noted if isinstance(noted, dict) else None


def _seconds(expiry: Any) -> int:
    if expiry is None:
        return _USUAL
    seconds = expiry.get("seconds") if isinstance(expiry, dict) else None
    if not isinstance(seconds, int) or not _LEAST <= seconds <= _MOST:
        raise CallError("bad_request", f"expires_after.seconds must be from {_LEAST} to {_MOST}", param="expires_after")
    return seconds


def _name(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _seal(value: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(b"seal " + value.encode()).digest())
