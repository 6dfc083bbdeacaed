"""Settle: what a finished call used becomes one log entry, whoever ended it. The charge will be made here."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.storage.logs import CONSUME, ERROR, LogRow

if TYPE_CHECKING:
    from engine.relay.call import Attempt, Call, Report
    from engine.relay.state import RelayState

_LOSSES = 50


@dataclass(slots=True)
class Outcome:
    """What came of a call. Times are monotonic seconds; ``usage`` has the hub's buckets, in tokens."""

    attempt: Attempt | None = None
    tried: list[str] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)
    usage_source: str = "upstream"
    first_byte: float | None = None
    upstream_id: str = ""
    report: Report = field(default_factory=list)
    ended: str = "done"
    """How it ended: done, cut, timeout, client_gone, error."""
    error: dict[str, Any] | None = None


def settle(state: RelayState, call: Call, outcome: Outcome) -> None:
    """Hand the call's entry to the log writer. Never blocks, never fails a call."""
    failed = outcome.error is not None and not outcome.usage
    if failed and not state.settings.error_log_enabled:
        return
    account, attempt, usage = call.account, outcome.attempt, outcome.usage
    row = LogRow(
        user_id=account.user_id if account else 0,
        username=account.username if account else "",
        token_id=account.token_id if account else 0,
        token_name=account.token_name if account else "",
        model_name=call.asked,
        channel_id=attempt.channel.id if attempt else 0,
        type=ERROR if failed else CONSUME,
        content=outcome.error["message"] if failed and outcome.error else "",
        prompt_tokens=usage.get("input_total", 0),
        completion_tokens=usage.get("output_total", 0),
        use_time=int(time.monotonic() - call.started),
        is_stream=call.stream,
        group=attempt.group if attempt else "",
        ip=call.ip if failed else "",
        request_id=call.request_id,
        upstream_request_id=outcome.upstream_id[:128],
        created_at=call.now,
        other=_other(call, outcome),
    )
    state.logs.put(row)


def _other(call: Call, outcome: Outcome) -> dict[str, Any]:
    attempt = outcome.attempt
    other: dict[str, Any] = {
        "request_path": call.endpoint.path,
        "release": call.program.hash[:16],
        "admin_info": {"use_channel": outcome.tried},
    }
    if outcome.first_byte is not None:
        other["frt"] = round((outcome.first_byte - call.started) * 1000)
    if attempt is not None:
        other["channel"] = attempt.channel.name
        if attempt.format.name != call.format.name:
            other["request_conversion"] = [call.format.name, attempt.format.name]
        if attempt.model != call.asked:
            other["is_model_mapped"] = True
            other["upstream_model_name"] = attempt.model
    if outcome.usage:
        other["usage"] = {key: value for key, value in outcome.usage.items() if value and key != "raw"}
        other["usage_source"] = outcome.usage_source
    if outcome.report:
        other["losses"] = [list(loss) for loss in outcome.report[:_LOSSES]]
    if outcome.ended != "done":
        other["stream_status"] = {"status": "error", "end_reason": outcome.ended}
    if outcome.error is not None:
        other["error_type"] = outcome.error["meaning"]
        other["status_code"] = outcome.error.get("status")
    return other
