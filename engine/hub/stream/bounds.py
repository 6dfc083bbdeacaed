"""Where an answer begins and ends: starts said once or on every event, finishes said early, twice or never.

Takes the start and finish events of one stream; gives whether a start means a new answer, what the finish is, and
whether the stream was complete when its source ended. Knows no format: what ends a stream is declared.
"""

from __future__ import annotations

from typing import Any

from engine.hub.stream.rules import SourceRules
from engine.hub.types import Event

_LEARNED = ("model", "created", "service_tier")


class AnswerBounds:
    """The start and the finish of one answer."""

    __slots__ = ("_id", "_rules", "_said", "_starts", "feeds", "finish")

    def __init__(self, rules: SourceRules) -> None:
        self._rules = rules
        self._id: Any = None
        self._said: Event | None = None
        self._starts = 0
        self.feeds = 0
        """How many wire events were taken so far."""
        self.finish: dict[str, Any] = {}

    def start(self, event: Event, message: dict[str, Any]) -> bool:
        """Take up a start; True when it begins another answer in the same stream."""
        self._starts += 1
        if event == self._said:  # PERF: some sources say the same start on every event
            return False
        self._said = event
        answer_id = event.get("id") or None
        other = answer_id is not None and self._id is not None and answer_id != self._id
        if answer_id is not None:
            self._id = answer_id
        for name in _LEARNED:
            if event.get(name) is not None and not message.get(name):
                message[name] = event[name]
        return other and self._restarts()

    def _restarts(self) -> bool:
        """Some sources have a new id on every event; for them it means nothing."""
        if self._rules.starts:
            return self._rules.starts == "once"
        return self._starts < self.feeds

    def end(self, event: Event) -> None:
        """Take up a finish; a bare ``stop`` said later doesn't undo a better reason."""
        values = {key: value for key, value in event.items() if value is not None and key != "type"}
        if values.get("reason") == "stop" and self.finish.get("reason") not in (None, "stop"):
            values = {key: value for key, value in values.items() if key not in ("reason", "raw")}
        self.finish.update(values)

    def is_complete(self, cut: bool | None) -> bool:
        """Whether a source that ended without its marker had said all; ``cut``: its connection broke."""
        rules = self._rules
        if cut is False or (cut is None and not rules.marker and not rules.finish):
            return True
        if cut and rules.marker:
            return False
        return rules.finish and bool(self.finish)
