"""Answers named back: what shaping renamed for the target goes by the client's names again.

Takes hub events (between decode and the assembler) or a whole response, and the memo of shaping. A call of the tool
through which a structured answer is given becomes text. Knows no format.
"""

from __future__ import annotations

from typing import Any

from engine.hub.shape.work import Memo
from engine.hub.types import Event, Part


class Restorer:
    """Names one answer back; keeps which parts of a stream are the structured answer."""

    def __init__(self, memo: Memo) -> None:
        self._memo = memo
        self._answers: set[Any] = set()
        self._seen = False
        self._current = False

    def events(self, events: list[Event]) -> list[Event]:
        """The events of one wire event, in the client's terms."""
        return [self._event(event) for event in events]

    def _event(self, event: Event) -> Event:
        kind = event["type"]
        if kind in ("part_start", "part", "rest"):
            return self._start(event)
        if kind in ("part_delta", "part_end") and self._is_answer(event):
            return _retold(event)
        if kind == "finish" and self._seen and event.get("reason") == "tool_calls":
            return {**event, "reason": "stop"}
        return event

    def _start(self, event: Event) -> Event:
        if event.get("kind") != "tool_call":
            return event
        fields: Part = event.get("fields") or {}
        key = event.get("key")
        if key is not None and key in self._answers and not fields.get("name"):
            return _retold(event)
        if self._memo.output_tool and self._own_name(fields.get("name")) == self._memo.output_tool:
            self._seen = True
            self._current = event["type"] == "part_start"
            self._answers.add(key)
            text = {key: value for key, value in fields.items() if key in ("signature", "signature_of")}
            if fields.get("arguments") not in (None, "", "{}", {}):
                text["text"] = fields["arguments"]
            return {**event, "kind": "text", "fields": text}
        self._answers.discard(key)
        self._current = False
        return {**event, "fields": self.part(fields)}

    def _own_name(self, name: Any) -> Any:
        """A tool's name before it was fitted to the target."""
        return self._memo.names.get(name, name) if isinstance(name, str) else name

    def _is_answer(self, event: Event) -> bool:
        key = event.get("key")
        if key is None:
            return self._current and event.get("kind") in ("tool_call", None)
        return key in self._answers and event.get("kind") in ("tool_call", None)

    def part(self, part: Part) -> Part:
        """A call under the client's name and id; a dressed-up custom tool is one again."""
        memo = self._memo
        client_part = dict(part)
        name = part.get("name")
        if name in memo.custom:
            client_part["custom"] = True
            client_part["unwrap"] = memo.custom[name]
        if name in memo.names:
            client_part["name"] = memo.names[name]
        if part.get("id") in memo.ids:
            client_part["id"] = memo.ids[part["id"]]
        return client_part


def _retold(event: Event) -> Event:
    """An event of a call, told of a text."""
    text_event = {key: value for key, value in event.items() if key != "arguments"}
    if "kind" in text_event:
        text_event["kind"] = "text"
    if event.get("arguments"):
        text_event["text"] = event["arguments"]
    if isinstance(text_event.get("fields"), dict):
        text_event["fields"] = {}
    return text_event


def restore(response: dict[str, Any], memo: Memo) -> dict[str, Any]:
    """A decoded response in the client's terms; give it to `replay.prepare` afterwards."""
    if not memo:
        return response
    restorer = Restorer(memo)
    parts: list[Part] = []
    for part in response.get("parts") or ():
        fields = {key: value for key, value in part.items() if key != "type"}
        event = restorer.events([{"type": "part", "kind": part.get("type"), "fields": fields}])[0]
        parts.append({"type": event["kind"], **event["fields"]})
    client_response = {**response, "parts": parts}
    if response.get("finish"):
        finish_event = restorer.events([{"type": "finish", **response["finish"]}])[0]
        client_response["finish"] = {key: value for key, value in finish_event.items() if key != "type"}
    return client_response
