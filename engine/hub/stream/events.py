"""What single hub events say of themselves. Knows no format."""

from __future__ import annotations

from engine.errors import GatewrightError
from engine.hub.types import Event, Part

_CONTENT = ("text", "arguments", "signature", "encrypted", "citation", "citations", "patch", "source")


class StreamFaultError(GatewrightError, ValueError):
    """Events that make no answer; the meaning tells what the caller is told."""

    def __init__(self, meaning: str, message: str) -> None:
        super().__init__(message)
        self.meaning = meaning


def error_event(error: Event) -> Event:
    """The event that a target is told of an error: it always has a meaning and a message."""
    told = {key: value for key, value in error.items() if value is not None}
    told.update(type="error", meaning=error.get("meaning") or "unknown")
    told.setdefault("message", "the upstream reported an error")
    if error.get("type") not in (None, "error"):
        told["error_type"] = error["type"]
    return told


def usage_first(event: Event) -> bool:
    """Sort key: what tells usage goes first."""
    return event.get("type") != "usage"


def kind_of(event: Event) -> str | None:
    """The kind that a fragment can only belong to, when nothing names it."""
    if event.get("arguments") or event.get("patch"):
        return "tool_call"
    if event.get("text"):
        return "text"
    return "thinking" if event.get("signature") or event.get("encrypted") else None


def has_content(event: Event) -> bool:
    """Whether a fragment brings anything."""
    return any(event.get(name) for name in _CONTENT)


def fields_of(event: Event) -> Part:
    """The fields of a part that an event gives; none where they are no map."""
    fields = event.get("fields")
    return fields if isinstance(fields, dict) else {}
