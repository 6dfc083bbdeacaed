"""What an upstream's refusal means: an answer or a failed connection becomes a hub error that retry follows."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from engine.errors import GatewrightError

if TYPE_CHECKING:
    from engine.program import Fee
    from engine.program.refusals import ErrorRule
    from engine.relay.call import Attempt

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
}
RETRIED = frozenset(
    {
        "auth",
        "forbidden",
        "quota",
        "rate_limit",
        "rate_limit_account",
        "rate_limit_service",
        "overloaded",
        "not_found",
        "unavailable",
        "upstream_auth",
        "upstream_quota",
        "unknown",
        "cut",
    }
)
"""Meanings after which another channel is tried, unless a Policy lists its own: what hangs on account or service.

Not a time-out: the first upstream may still be working, and would bill a second time."""
_OURS = {"auth": "upstream_auth", "quota": "upstream_quota"}
"""What a provider says of a credential, it says of the gateway's: the caller's own key is not at fault."""
CREDENTIAL = {
    "upstream_auth": "the provider refused the gateway's credential; the gateway's operator has to mend it",
    "upstream_quota": "the gateway's account with the provider is used up; the gateway's operator has to mend it",
}
"""What callers are told of that; the provider's own words may show a part of the credential."""
_SHOWN = 2000


class UpstreamFailure(GatewrightError):  # noqa: N818 - a finding about the upstream, which retry may mend
    """An attempt that failed before any byte went to the caller. ``raw`` is the upstream's own answer, if any.

    ``fee`` is what the provider charges for it nevertheless; it is then final.
    """

    def __init__(
        self,
        error: dict[str, Any],
        *,
        status: int | None = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        fee: Fee | None = None,
    ) -> None:
        super().__init__(error["message"])
        self.error = error
        self.status = status
        self.raw = raw
        self.headers = headers or {}
        self.fee = fee


def parse(raw: bytes) -> Any:
    """Return the JSON that ``raw`` holds, or None."""
    try:
        return orjson.loads(raw)
    except ValueError:
        return None


def refusal(
    attempt: Attempt, status: int, headers: Mapping[str, str], raw: bytes, body: Any = None
) -> UpstreamFailure | None:
    """Return what the error maps of provider and format make of an answer, None if it is no error."""
    body = parse(raw) if body is None else body
    for rules in (attempt.channel.provider.error_rules, attempt.format.error.rules):
        rule = rules.find(status, headers, body)
        if rule is not None:
            meaning, fee = rule.meaning, rule.fee
            break
    else:
        if status < 300:
            return None
        usual = "bad_request" if 400 <= status < 500 else "unknown"
        meaning, fee = _BY_STATUS.get(status, usual), None
    error = _error(attempt, status, headers, raw, body, _OURS.get(meaning, meaning))
    return UpstreamFailure(error, status=status, raw=raw, headers=headers, fee=fee)


def costly(attempt: Attempt, headers: Mapping[str, str], event: Any) -> ErrorRule | None:
    """The rule of provider or format by which an error costs that was told inside a stream."""
    for rules in (attempt.channel.provider.error_rules, attempt.format.error.rules):
        rule = rules.costly(headers, event)
        if rule is not None:
            return rule
    return None


def _error(
    attempt: Attempt, status: int, headers: Mapping[str, str], raw: bytes, body: Any, meaning: str
) -> dict[str, Any]:
    decode = attempt.channel.provider.error_body or attempt.format.error.decode
    error: dict[str, Any] = (decode([], status, headers, body) if decode and body is not None else None) or {}
    if not error.get("message"):
        text = raw[:_SHOWN].decode("utf-8", "replace").strip()
        plain = text if text and not text.startswith(("<", "{", "[")) else ""
        error["message"] = plain or f"the provider answered with status {status} and no readable error"
    error["meaning"] = meaning
    error["status"] = status
    wait = retry_after(headers)
    if wait is not None:
        error["wait"] = wait
    return error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a ``Retry-After`` header (RFC 9110, 10.2.3: a number or a date)."""
    value = headers.get("retry-after")
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
