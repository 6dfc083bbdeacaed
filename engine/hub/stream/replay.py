"""A whole response as the hub events of a stream, and a response prepared for a target by way of them.

Takes a hub response; gives events for the assembler. So either side of a call may stream or not, and numbering, items,
made-up ids and dropped kinds come from one place.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from engine.hub.response import bare
from engine.hub.response import response as whole_response
from engine.hub.stream.assembler import Assembler
from engine.hub.types import Event


def events(response: dict[str, Any]) -> list[Event]:
    """The response as start, usage, whole parts, extensions, finish, end."""
    start = {key: response[key] for key in ("id", "model", "created", "service_tier") if response.get(key) is not None}
    sequence: list[Event] = [{"type": "start", **start}]
    if isinstance(response.get("usage"), dict):
        sequence.append({"type": "usage", "usage": response["usage"]})
    for index, part in enumerate(response.get("parts") or ()):
        fields = bare(part)
        sequence.append({"type": "part", "kind": fields.pop("type", "unknown"), "key": index, "fields": fields})
    for name, value in (response.get("extensions") or {}).items():
        sequence.append({"type": "extension", "format": name, "value": value})
    if response.get("finish"):
        sequence.append({"type": "finish", **response["finish"]})
    sequence.append({"type": "end"})
    return sequence


def prepare(
    response: dict[str, Any],
    target: Any,
    *,
    native: Collection[str] = (),
    report: list[tuple[str, str]] | None = None,
) -> dict[str, Any]:
    """A decoded response ready for the target's encode: accepted parts, numbered and grouped, finish settled."""
    assembler = Assembler(None, target, native=native)
    assembler.feed(events(response))
    assembler.close()
    if report is not None:
        report.extend(assembler.report)
    prepared = whole_response(assembler.message)
    for key, value in response.items():
        if key not in prepared and key not in ("items", "parts"):
            prepared[key] = value
    return prepared
