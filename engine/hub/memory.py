"""What a client's format can't hold but the provider wants back: signatures and encrypted thinking, by tool-call id.

Takes the parts of an answer and gives records to keep; takes a later request and puts the records back where the client
sent their calls without them. Where the records lie, and for how long, is not known here: `get` comes from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.hub.types import Part

Record = dict[str, Any]

_OPAQUE = ("signature", "encrypted")
_THINKING_KEYS = ("type", "text", "signature", "encrypted", "signature_of", "summary", "item")


def remember(parts: list[Part]) -> dict[str, Record]:
    """Records by tool-call id: the signed thinking before each call, and the call's own signature."""
    records: dict[str, Record] = {}
    thoughts: list[Part] = []
    for part in parts:
        kind = part.get("type")
        if kind == "thinking" and _signed(part):
            thoughts.append({key: part[key] for key in _THINKING_KEYS if part.get(key) is not None})
        elif kind == "tool_call" and isinstance(part.get("id"), str) and part["id"]:
            record: Record = {key: part[key] for key in ("signature", "signature_of") if part.get(key)}
            if thoughts:
                record["thinking"] = thoughts
                thoughts = []
            if record:
                records[part["id"]] = record
    return records


def recall(request: dict[str, Any], get: Callable[[str], Record | None]) -> dict[str, Any]:
    """The request with what was remembered of its calls; the same object when there was nothing to add."""
    messages: list[dict[str, Any]] = request.get("messages") or []
    made: list[dict[str, Any]] = []
    changed = False
    for run in _answers(messages):
        joined = (
            run[0] if len(run) == 1 else {**run[0], "parts": [part for each in run for part in each.get("parts") or ()]}
        )
        recalled = _recalled(joined, get) if joined.get("role") == "assistant" else joined
        made.extend(run if recalled is joined else [recalled])
        changed |= recalled is not joined
    return {**request, "messages": made} if changed else request


def _answers(messages: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Messages one by one, but neighbours of the assistant's together: some formats tell one answer in several."""
    runs: list[list[dict[str, Any]]] = []
    for message in messages:
        mine = message.get("role") == "assistant"
        if mine and runs and runs[-1][0].get("role") == "assistant" and runs[-1][0].get("name") == message.get("name"):
            runs[-1].append(message)
        else:
            runs.append([message])
    return runs


def _recalled(message: dict[str, Any], get: Callable[[str], Record | None]) -> dict[str, Any]:
    parts: list[Part] = []
    changed = False
    for part in message.get("parts") or ():
        known = part.get("type") == "tool_call" and isinstance(part.get("id"), str) and part["id"]
        record = get(part["id"]) if known else None
        if record:
            thoughts = [dict(thought) for thought in record.get("thinking", ())]
            if thoughts and not any(map(_signed, _thoughts(parts))):
                # The client kept the words but not the signature: ours replace them, else they'd stand twice.
                said = {thought.get("text") for thought in thoughts}
                parts = [
                    old for old in parts if old.get("type") != "thinking" or old.get("text") not in said
                ] + thoughts
                changed = True
            if record.get("signature") and not part.get("signature"):
                part = {**part, "signature": record["signature"]}
                if record.get("signature_of"):
                    part["signature_of"] = record["signature_of"]
                changed = True
        parts.append(part)
    return {**message, "parts": parts} if changed else message


def _signed(part: Part) -> bool:
    return any(part.get(name) for name in _OPAQUE)


def _thoughts(parts: list[Part]) -> list[Part]:
    """Thinking since the last call."""
    found: list[Part] = []
    for part in reversed(parts):
        if part.get("type") == "tool_call":
            break
        if part.get("type") == "thinking":
            found.append(part)
    return found
