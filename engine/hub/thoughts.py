"""Thinking told as text in ``<think>`` tags, and such text told as thinking: what a channel may ask of its answers.

Takes hub events as decode yields them, or a whole hub response; gives the same with the one turned into the other.
Exact both ways: what ``ThinkTagWriter`` writes, ``ThinkTagParser`` reads back to the same words. Knows no format.
"""

from __future__ import annotations

from typing import Any, Protocol

from engine.hub.tags import CLOSE, OPEN, ThinkTagParser, hashable, says, split, words
from engine.hub.types import Event, Part

CONTENT, FROM_CONTENT = "content", "fromContent"
_BEGIN, _END, _BETWEEN = OPEN + "\n", "\n" + CLOSE + "\n\n", "\n\n"
_OPAQUE = ("signature", "encrypted")
_KEY = "<told>"
_LOST = ("response.parts.thinking.signature", "thinking told as text has no place for its signature")

Report = list[tuple[str, str]]


class Turner(Protocol):
    """What turns the events of one stream."""

    def events(self, events: list[Event]) -> list[Event]:
        """Return what to tell instead."""
        ...

    def close(self) -> list[Event]:
        """The source is over: return what was held back."""
        ...


def turner(way: str | None, report: Report) -> Turner | None:
    """Return what turns a stream's events in this way; nothing where they stay as they are."""
    if way == CONTENT:
        return ThinkTagWriter(report)
    return ThinkTagParser() if way == FROM_CONTENT else None


def turned(way: str | None, response: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return a whole response turned in this way."""
    parts = response.get("parts") or []
    if way == CONTENT:
        return {**response, "parts": _told(parts, report)}
    return {**response, "parts": _heard(parts)} if way == FROM_CONTENT else response


def _told(parts: list[Part], report: Report) -> list[Part]:
    new_parts: list[Part] = []
    thoughts: list[str] = []
    for part in [*parts, {"type": ""}]:
        if part.get("type") == "thinking":
            thoughts += [words(part)] if words(part) else []
            _note(part, report)
            continue
        if thoughts:
            new_parts.append({"type": "text", "text": _BEGIN + _BETWEEN.join(thoughts) + _END})
            thoughts = []
        new_parts.append(part)
    return new_parts[:-1]


def _heard(parts: list[Part]) -> list[Part]:
    at = next((index for index, part in enumerate(parts) if part.get("type") == "text"), None)
    thought, rest = split(words(parts[at])) if at is not None else (None, "")
    if at is None or thought is None:
        return parts
    thinking: list[Part] = [{"type": "thinking", "text": thought}] if thought else []
    if rest:
        thinking.append({**parts[at], "text": rest})
    return [*parts[:at], *thinking, *parts[at + 1 :]]


def _note(fields: Any, report: Report) -> None:
    if isinstance(fields, dict) and any(fields.get(name) for name in _OPAQUE) and _LOST not in report:
        report.append(_LOST)


class ThinkTagWriter:
    """Thinking parts as text: neighbours share one pair of tags, which closes when anything else is said."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._keys: set[Any] = set()
        self._thinking = False
        """The part that a nameless end means is one of thinking."""
        self._open: str | None = None
        self._between = False
        self._count = 0
        self._item: Event | None = None
        self._gone: set[Any] = set()

    def events(self, events: list[Event]) -> list[Event]:
        """Return what to tell instead."""
        return [outgoing for event in events for outgoing in self._turn(event)]

    def close(self) -> list[Event]:
        """The source is over."""
        return self._shut()

    def _turn(self, event: Event) -> list[Event]:
        kind = event["type"]
        if not hashable(event):
            return [event]
        if kind == "item":
            return self._on_item(event)
        if kind == "part_end":
            return self._on_end(event)
        if kind in ("part_start", "part", "part_delta") and says(event):
            if self._is_thought(event):
                return self._thought(event)
            self._thinking = False
            return [*self._shut(), *self._release(), event]
        return [*self._shut(), event] if kind == "end" else [event]

    def _is_thought(self, event: Event) -> bool:
        kind = event.get("kind")
        if kind is not None:
            return bool(kind == "thinking")
        if event.get("key") is not None:
            return event["key"] in self._keys
        return bool(not words(event) and any(event.get(name) for name in _OPAQUE))

    def _thought(self, event: Event) -> list[Event]:
        if self._item is not None:  # the source's item is one of thinking, which there is none of now
            self._gone.add(self._item.get("key", self._item.get("id")))
            self._item = None
        whole = event["type"] != "part_delta"
        fields = event.get("fields") if whole else event
        _note(fields, self._report)
        if whole:
            self._between = self._open is not None
        if event["type"] != "part":
            self._thinking = True
            self._keys.add(event.get("key"))
        outgoing = self._say(words(fields))
        if event["type"] == "part":
            self._between = self._open is not None
        return outgoing

    def _say(self, text: str) -> list[Event]:
        if not text:
            return []
        if self._open is None:
            self._count += 1
            self._open, text = f"{_KEY}{self._count}", _BEGIN + text
        elif self._between:
            text = _BETWEEN + text
        self._between = False
        return [{"type": "part_delta", "key": self._open, "kind": "text", "text": text}]

    def _shut(self) -> list[Event]:
        if self._open is None:
            return []
        key, self._open, self._between = self._open, None, False
        return [
            {"type": "part_delta", "key": key, "kind": "text", "text": _END},
            {"type": "part_end", "key": key, "kind": "text"},
        ]

    def _on_end(self, event: Event) -> list[Event]:
        key, kind = event.get("key"), event.get("kind")
        ours = kind == "thinking" or (kind is None and (key in self._keys if key is not None else self._thinking))
        if not ours:
            return [event]
        self._keys.discard(key)
        self._thinking = False
        self._between = self._open is not None
        return []

    def _on_item(self, event: Event) -> list[Event]:
        """An item is told with its first part, so that one of thinking alone is never told."""
        key = event.get("key", event.get("id"))
        if not event.get("end"):
            before, self._item = self._release(), event
            return before
        if self._item is not None and self._item.get("key", self._item.get("id")) == key:
            return [*self._release(), event]
        if isinstance(key, str | int) and key in self._gone:
            self._gone.discard(key)
            return []
        return [event]

    def _release(self) -> list[Event]:
        held, self._item = self._item, None
        return [] if held is None else [held]
