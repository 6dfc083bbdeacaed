"""A whole answer: from an assembled message, and prepared for a target format.

Takes messages of the assembler or responses as decode gives them; gives hub responses. `prepare` sends a response
through the same assembler as a stream, so that numbering, items and dropped kinds are the same either way.
"""

from __future__ import annotations

from typing import Any

from engine.hub.types import Part

_NUMBERS = frozenset({"index", "kind_index", "item_index"})


def settle_finish(finish: dict[str, Any] | None, parts: list[Part]) -> dict[str, Any]:
    """The finish that fits the message: one with calls of client tools is ``tool_calls``, and one without is not."""
    settled = {key: value for key, value in (finish or {}).items() if value is not None}
    reason = settled.get("reason") or "stop"
    has_calls = any(part.get("type") == "tool_call" for part in parts)
    if reason == "stop" and has_calls:
        reason = "tool_calls"
    elif reason == "tool_calls" and not has_calls:
        reason = "stop"
    settled["reason"] = reason
    return settled


def abnormal(finish: dict[str, Any] | None) -> dict[str, Any] | None:
    """The error that an answer ended in by its own finish; None where it ended well, or merely short."""
    if not finish or finish.get("reason") not in ("error", "cut"):
        return None
    raw = finish.get("raw") or "an error"
    details = finish.get("details")
    detail = details.get("message") if isinstance(details, dict) else None
    message = f"the model's answer ended with {raw}" + (f": {detail}" if isinstance(detail, str) and detail else "")
    return {"type": "error", "meaning": finish.get("meaning") or "unavailable", "message": message, "code": str(raw)}


def response(message: dict[str, Any]) -> dict[str, Any]:
    """A message of the assembler as a hub response."""
    whole = {key: value for key, value in message.items() if value is not None}
    if not whole.get("items"):
        whole.pop("items", None)
    whole["finish"] = settle_finish(message.get("finish"), message["parts"])
    return whole


def bare(part: Part) -> Part:
    """A part without the numbers that the assembler gave it."""
    return {key: value for key, value in part.items() if key not in _NUMBERS}
