"""What an upstream's refusal means: an answer or a failed connection becomes a hub error that retry follows."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from engine.errors import MappingError
from engine.program.refused import by_status, refused
from engine.relay.upstream.failure import UpstreamFailure
from engine.relay.upstream.masking import masked

if TYPE_CHECKING:
    from engine.program.refusals import ErrorRule
    from engine.relay.call import Call
    from engine.routing.attempt import Attempt

log = logging.getLogger(__name__)


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
    verdict = refused(
        (provider.error_rules, spoken.rules), provider.error_body or spoken.decode, status, headers, body, raw
    )
    if verdict is None:
        return None
    error, rule = verdict
    return UpstreamFailure(
        masked(error, attempt, call),
        status=status,
        raw=masked(raw, attempt, call),
        headers=masked(dict(headers), attempt, call),
        fee=rule.fee if rule else None,
    )


def told_meaning(attempt: Attempt, headers: Mapping[str, str], error: Mapping[str, Any], event: Any) -> str:
    """What an error that was told inside a stream means: by the maps that hold before it.

    What the maps do not know means what the format's own words say of it.
    """
    details = {name: error[name] for name in ("code", "message", "param") if error.get(name) is not None}
    details["type"] = error.get("error_type") or error.get("code")
    own = event.get("error") if isinstance(event, dict) else None
    body = {"error": {**details, **(own if isinstance(own, dict) else {})}}
    status = _status(error)
    for rules in (attempt.channel.provider.error_rules, attempt.format.error.rules):
        rule = rules.told(headers, body, status)
        if rule is not None:
            return rule.meaning
    meaning = error.get("meaning") or "unknown"
    return by_status(status) if meaning == "unknown" and status else meaning


def _status(error: Mapping[str, Any]) -> int:
    """The HTTP status that an error inside a stream tells, as one or as its code; 0 where it tells none."""
    for value in (error.get("status"), error.get("code")):
        if re.fullmatch("[45][0-9]{2}", str(value)):
            return int(str(value))
    return 0


def costly(attempt: Attempt, headers: Mapping[str, str], event: Any) -> ErrorRule | None:
    """The rule of provider or format by which an error costs that was told inside a stream."""
    for rules in (attempt.channel.provider.error_rules, attempt.format.error.rules):
        rule = rules.costly(headers, event)
        if rule is not None:
            return rule
    return None
