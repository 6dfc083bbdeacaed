"""Refused: an answer as the hub error that the error maps of a provider and a format make of it.

Takes the maps in their order, the decode of the body and the answer; gives the error that retry, the log and the caller
are told of, and how it is told in a format. One way for calls, spec tests and ``gatewright translate``.
"""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from engine.errors import MEANINGS
from engine.program.layout import Function
from engine.program.patch import Json
from engine.program.refusals import ErrorMap, ErrorRule, ErrorRules

if TYPE_CHECKING:
    from engine.program.format import Format

_BY_STATUS = {
    400: "bad_request",
    401: "auth",
    402: "quota",
    403: "forbidden",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    422: "bad_request",
    429: "rate_limit",
    502: "unavailable",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
_BY_CLASS = {4: "bad_request", 5: "unavailable"}
_OURS = {"auth": "upstream_auth", "quota": "upstream_quota"}
"""What a provider says of a credential, it says of the gateway's: the caller's own key is not at fault."""
CREDENTIAL = {
    "upstream_auth": "the provider refused the gateway's credential; the gateway's operator has to mend it",
    "upstream_quota": "the gateway's account with the provider is used up; the gateway's operator has to mend it",
}
"""What callers are told of that; the provider's own words may show a part of the credential."""
_SHOWN = 2000


def refused(
    maps: Iterable[ErrorMap],
    decode: Function | None,
    status: int,
    header: Mapping[str, str],
    body: Json,
    raw: bytes = b"",
) -> tuple[dict[str, Any], ErrorRule | None] | None:
    """The hub error and the rule that says what it means (None: its status does); None if the answer is no error."""
    rule = None
    for error_map in maps:
        rule = error_map.find(status, header, body)
        if rule is not None:
            break
    if rule is None and status < 300:
        return None
    meaning = rule.meaning if rule else by_status(status)
    decoded = decode([], status, header, body) if decode and body is not None else None
    error: dict[str, Any] = dict(decoded) if isinstance(decoded, dict) else {}
    error["message"] = words(error.get("message"))
    if not error["message"]:
        text = raw[:_SHOWN].decode("utf-8", "replace").strip()
        plain = text if text and not text.startswith(("<", "{", "[")) else ""
        error["message"] = plain or f"the provider answered with status {status} and no readable error"
    error["meaning"] = ours(meaning)
    error["status"] = status
    wait = seconds(header.get("retry-after"), error.pop("wait", None), error.pop("retry_after", None))
    if wait is not None:
        error["wait"] = wait
    return error, rule


def words(message: Any) -> str:
    """An error's message as text, whatever an upstream put in its place."""
    if isinstance(message, str):
        return message
    return "" if message is None else json.dumps(message, ensure_ascii=False, default=str)[:_SHOWN]


def by_status(status: int) -> str:
    """What a status means where no rule names it: the engine's own table, for every format and provider."""
    return _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, "unknown")


def ours(meaning: str) -> str:
    """The meaning of an upstream's error to the gateway's callers."""
    return _OURS.get(meaning, meaning)


def for_caller(error: dict[str, Any], source: Format | None = None, speaker: Format | None = None) -> dict[str, Any]:
    """An upstream's error as its caller may know it: the same, unless it is of the gateway's credential.

    A code of another dialect than the caller's stands apart, so that clients find their own dialect's in its place.
    """
    message = CREDENTIAL.get(error["meaning"])
    if message is not None:
        return {**error, "message": message, "code": error["meaning"]}
    if source is None or speaker is None or source.dialect == speaker.dialect or not error.get("code"):
        return error
    return {**{name: value for name, value in error.items() if name != "code"}, "upstream_code": error["code"]}


def seconds(*told: Any) -> float | None:
    """The first that says how long to wait: a number, or the text of a ``Retry-After`` header (RFC 9110, 10.2.3)."""
    return next((wait for value in told if (wait := _seconds(value)) is not None), None)


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        wait = float(value)
        return max(0.0, wait) if isfinite(wait) else None
    except (ValueError, OverflowError):
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(str(value)).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def status_of(rules: ErrorRules, error: Mapping[str, Any]) -> int:
    """The HTTP status of a hub error in a format: the format's own for the meaning, else the usual one."""
    meaning = error["meaning"]
    declared = rules.status.get(meaning)
    if declared is not None:
        return int(declared)
    status = error.get("status")
    if meaning == "unknown" and isinstance(status, int) and status >= 400:
        return status
    return MEANINGS[meaning].status


def body_of(rules: ErrorRules, error: dict[str, Any], ctx: dict[str, Any]) -> Json:
    """The error's body in a format; ``status`` in it is the one that is sent."""
    error = {**error, "status": status_of(rules, error)}
    if rules.encode is None:
        return {"error": {"message": error["message"], "type": error["meaning"], "code": error.get("code")}}
    return rules.encode([], error, ctx)
