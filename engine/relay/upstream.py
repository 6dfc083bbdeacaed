"""What an upstream's refusal means: an answer or a failed connection becomes a hub error that retry follows."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from engine.errors import GatewrightError, MappingError
from engine.program.refused import refused
from engine.relay.masking import masked

if TYPE_CHECKING:
    from engine.program import Fee
    from engine.program.refusals import ErrorRule
    from engine.relay.call import Attempt, Call

log = logging.getLogger(__name__)
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
        "empty",
    }
)
"""Meanings after which another channel is tried, unless a Policy lists its own: what hangs on account or service.

Not a time-out: the first upstream may still be working, and would bill a second time."""


EMPTY: dict[str, Any] = {"meaning": "empty", "message": "the provider answered with nothing"}
"""An answer that ended as it should with nothing said in it: it fails only where another attempt may follow."""


UNREADABLE = (MappingError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What comes of values in an answer that are of another kind than whoever reads them thought."""


class UpstreamFailure(GatewrightError):  # noqa: N818 - a finding about the upstream, which retry may mend
    """An attempt that failed before any byte went to the caller. ``raw`` is the upstream's own answer, if any.

    ``fee`` is what the provider charges for it nevertheless; it is then final. ``logged`` is what the log says of it,
    where that is more than callers may know: the exception's text.
    """

    def __init__(
        self,
        error: dict[str, Any],
        *,
        status: int | None = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        fee: Fee | None = None,
        logged: str | None = None,
    ) -> None:
        super().__init__(logged or error["message"])
        self.error = error
        self.status = status
        self.raw = raw
        self.headers = headers or {}
        self.fee = fee


def unreadable(error: Exception, call: Call, attempt: Attempt) -> dict[str, Any]:
    """Return the hub error for an answer in which something is not as answers are: the upstream's fault, and no 500.

    What no mapping says of itself is told to the log with its trace: then a reader of ours was careless.
    """
    if isinstance(error, MappingError):
        why = f": {masked(str(error), attempt, call)}"
    else:
        log.error("call %s: an answer of %s could not be read", call.request_id, attempt.channel.name, exc_info=error)
        why = ""
    return {"meaning": "unknown", "message": f"the provider's answer could not be read{why}"}


def parse(raw: bytes) -> Any:
    """Return the JSON that ``raw`` holds, or None."""
    try:
        return orjson.loads(raw)
    except ValueError:
        return None


def event_json(raw: bytes) -> Any:
    """Return the data of one event; raises ``ValueError``. Servers do cut an emoji in halves, each escaped."""
    try:
        return orjson.loads(raw)
    except ValueError:
        if b"\\ud" not in raw and b"\\uD" not in raw:
            raise
    try:
        return json.loads(raw, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def refusal(
    call: Call, attempt: Attempt, status: int, headers: Mapping[str, str], raw: bytes, body: Any = None
) -> UpstreamFailure | None:
    """Return what the error maps of provider and format make of an answer, None if it is no error.

    Nothing of it holds a secret or an address any more that the upstream repeated.
    """
    body = parse(raw) if body is None else body
    if body is None:
        raw = masked(raw, attempt, call)  # before a part of it is shown
    provider, spoken = attempt.channel.provider, attempt.format.error
    found = refused(
        (provider.error_rules, spoken.rules), provider.error_body or spoken.decode, status, headers, body, raw
    )
    if found is None:
        return None
    error, rule = found
    return UpstreamFailure(
        masked(error, attempt, call),
        status=status,
        raw=masked(raw, attempt, call),
        headers=masked(dict(headers), attempt, call),
        fee=rule.fee if rule else None,
    )


def costly(attempt: Attempt, headers: Mapping[str, str], event: Any) -> ErrorRule | None:
    """The rule of provider or format by which an error costs that was told inside a stream."""
    for rules in (attempt.channel.provider.error_rules, attempt.format.error.rules):
        rule = rules.costly(headers, event)
        if rule is not None:
            return rule
    return None
