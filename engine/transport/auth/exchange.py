"""A token that a declared call gives for a credential: OAuth 2.0 client credentials, assertions, whatever is like them.

Takes ``spec.auth.exchange`` of a Provider and the credential's parts; gives the token and until when it holds. Who
sends the call is handed in. No exception holds a part of the credential or of the answer but its error code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from engine.jsonbytes import dumps
from engine.transport.auth import tokens
from engine.transport.auth.parts import fill
from engine.transport.faults import TransportError

Send = Callable[[str, str, list[tuple[str, str]], bytes], tuple[int, bytes]]
"""Takes method, address, headers and body; gives status and body of the answer, or raises ``TransportError``."""
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_USUAL = 1800
_EARLY = 300
_LONGEST = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Token:
    """``until``: unix seconds at which it ends; ``renew``: from when on another is wanted."""

    text: str
    renew: float
    until: float


def exchanged(auth: Mapping[str, Any], words: Mapping[str, str], base_url: str, send: Send, now: float) -> Token:
    """A new token, ``now`` in unix seconds. ``base_url`` is the channel's, for an address that begins with a slash."""
    return answered(auth, words, base_url, send, now)[0]


def answered(
    auth: Mapping[str, Any], words: Mapping[str, str], base_url: str, send: Send, now: float
) -> tuple[Token, Any]:
    """The same, and all of the answer."""
    rule = auth["exchange"]
    if auth.get("token"):
        words = {**words, "jwt": tokens.made(auth["token"], words, now)}
    url, headers, body = _call(rule, words, base_url)
    status, raw = send(rule.get("method") or "POST", url, headers, body)
    try:
        answer = orjson.loads(raw)
    except ValueError:
        answer = None
    text = at(answer, rule["token"])
    if status >= 300 or not isinstance(text, str) or not text or not (text.isascii() and text.isprintable()):
        raise TransportError(
            "credential", f"the provider gives no token for the channel's credential: {_why(status, answer)}"
        )
    lifetime = at(answer, rule.get("lifetime", ""))
    seconds = _seconds(lifetime) or float(rule.get("seconds") or _USUAL)
    return Token(text, now + max(seconds - early(rule), seconds / 2), now + seconds), answer


def early(rule: Mapping[str, Any]) -> float:
    """How many seconds before its end a token is renewed."""
    return float(rule.get("early", _EARLY))


def _call(rule: Mapping[str, Any], words: Mapping[str, str], base_url: str) -> tuple[str, list[tuple[str, str]], bytes]:
    headers = [("accept", "application/json")]
    headers += [(name.lower(), fill(text, words)) for name, text in (rule.get("headers") or {}).items()]
    url = fill(rule["url"], words)
    url = base_url.rstrip("/") + url if url.startswith("/") else url
    if rule.get("query"):
        url = f"{url}{'&' if '?' in url else '?'}{urlencode(_filled(rule['query'], words))}"
    if rule.get("form"):
        headers.append(("content-type", "application/x-www-form-urlencoded"))
        return url, headers, urlencode(_filled(rule["form"], words)).encode()
    if rule.get("json"):
        headers.append(("content-type", "application/json"))
        return url, headers, dumps(_filled(rule["json"], words))
    return url, headers, b""


def _filled(texts: Mapping[str, str], words: Mapping[str, str]) -> dict[str, str]:
    return {name: fill(text, words) for name, text in texts.items()}


def at(value: Any, path: str) -> Any:
    """What stands at a dotted path; nothing where there is none."""
    for name in path.split(".") if path else ():
        value = value.get(name) if isinstance(value, dict) else None
    return value if path else None


def _seconds(value: Any) -> float:
    """How long a token holds: a number, or a text that is one; 0 where nothing that can be meant is said."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return 0.0
    return seconds if 0 < seconds <= _LONGEST else 0.0


def _why(status: int, answer: Any) -> str:
    """The status, and the error's code where it is one."""
    error = answer.get("error") if isinstance(answer, dict) else None
    code = error.get("code") or error.get("status") if isinstance(error, dict) else error
    shown = str(code) if isinstance(code, str | int) and _CODE.fullmatch(str(code)) else ""
    return f"status {status}{', ' + shown if shown else ''}"
