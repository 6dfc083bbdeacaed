"""What a channel's operations may ask of an attempt besides its body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.routing.overrides.edit import Circumstances

if TYPE_CHECKING:
    from engine.relay.call import Call
    from engine.routing.attempt import Attempt


def circumstances(call: Call, attempt: Attempt) -> Circumstances:
    """The facts of an attempt, by the names that conditions know."""
    number = next((at for at, other in enumerate(call.attempts) if other is attempt), len(call.attempts))
    facts: dict[str, Any] = {
        "model": attempt.model,
        "upstream_model": attempt.model,
        "original_model": call.asked,
        "request_path": call.called,
        "retry_index": number,
        "is_retry": number > 0,
        "retry.index": number,
        "retry.is_retry": number > 0,
        "is_channel_test": call.snapshot.channel_test,
    }
    error = call.attempts[number - 1].outcome.error if number else None
    if error is not None:
        last = {
            "status_code": error.get("status"),
            "message": error.get("message"),
            "code": error.get("code"),
            "type": error.get("type") or error.get("meaning"),
            "skip_retry": False,
        }
        for name, value in last.items():
            facts[f"last_error.{name}"] = facts[f"last_error_{name}"] = value
    return Circumstances(facts, call.headers, attempt.channel.unsent)
