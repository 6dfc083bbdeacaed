"""The text that an answer begins with, if it stands in ``<think>`` tags, told as a part of thinking.

Takes hub events as decode yields them, or a text; a tag may be split over fragments at any character: what could still
be one is held back until it is known. Knows no format.
"""

from __future__ import annotations

from typing import Any

from engine.hub.types import Event, Part

OPEN, CLOSE = "<think>", "</think>"
CONTENT = ("text", "arguments", "signature", "encrypted", "citation", "citations", "patch")
"""What a fragment may say."""
_SPACE = 1000
"""White space at most before the opening tag."""
_KEY = "<think>"
_ENDS = ("end", "error")
_PARTS = ("part_start", "part", "part_delta")


def says(event: Event) -> bool:
    """Whether an event of a part says anything: empty fragments open nothing, and end nothing."""
    return event["type"] != "part_delta" or any(event.get(name) for name in CONTENT)


def words(value: Any) -> str:
    """The text of a part or fragment; what is none is left to whoever checks the events."""
    text = value.get("text") if isinstance(value, dict) else None
    return text if isinstance(text, str) else ""


def hashable(event: Event) -> bool:
    """Whether an event's key, or the id that names an item without one, can be one."""
    return isinstance(event.get("key"), str | int | None) and isinstance(event.get("id"), str | int | None)


def split(text: str) -> tuple[str | None, str]:
    """Return the thinking that a text begins with, None if it begins with none, and the rest."""
    bare = text.lstrip()
    if not bare.startswith(OPEN) or len(text) - len(bare) > _SPACE:
        return None, text
    body = bare[len(OPEN) :].removeprefix("\n")
    thought, closed, rest = body.partition(CLOSE)
    if not closed:
        return thought, ""
    return thought.removesuffix("\n"), rest.removeprefix("\n").removeprefix("\n")


def _calls(event: Event) -> bool:
    return bool(event.get("arguments") or event.get("patch"))


class ThinkTagParser:
    """The text that an answer begins with, if it stands in tags, as a part of thinking."""

    def __init__(self) -> None:
        self._state = self._before
        self._done = False
        self._buffer = ""
        self._fresh = True
        """Nothing has been thought yet: the line's end after the tag is still to come."""
        self._lines = 2
        """Ends of lines that may still follow the closing tag."""
        self._watched: Event | None = None
        """The event that the text began with."""
        self._held: list[Event] = []
        self._tagged = False

    def events(self, events: list[Event]) -> list[Event]:
        """Return what to tell instead."""
        return events if self._done else [outgoing for event in events for outgoing in self._turn(event)]

    def close(self) -> list[Event]:
        """The source is over: what was held back is told."""
        return [] if self._done else self._flush()

    def _turn(self, event: Event) -> list[Event]:
        kind = event["type"]
        if self._done or not hashable(event):
            return [event]
        if kind == "item":
            self._held.append(event)
            return []
        if kind in _ENDS:
            return [*self._flush(), event]
        if kind == "part_end":
            return [*self._flush(), event] if self._watched is not None and self._is_watched(event) else [event]
        if kind not in _PARTS or not says(event):
            return [event]
        if self._watched is None:
            return self._begin(event)
        if kind == "part_delta" and self._is_watched(event):
            return self._more(event)
        return [*self._flush(), event]

    def _begin(self, event: Event) -> list[Event]:
        """The first text of the answer; other parts before it pass."""
        if event.get("kind") != "text" and not (event.get("kind") is None and words(event) and not _calls(event)):
            held, self._held = self._held, []
            return [*held, event]
        self._watched = event
        if event["type"] == "part_delta":
            return self._more(event)
        fields = event["fields"] if isinstance(event.get("fields"), dict) else {}
        if event["type"] == "part":
            return self._whole(event, fields)
        self._held.append({**event, "fields": {key: value for key, value in fields.items() if key != "text"}})
        return self._state(words(fields))

    def _whole(self, event: Event, fields: Part) -> list[Event]:
        thought, rest = split(words(fields))
        held, self._held, self._done = self._held, [], True
        if thought is None:
            return [*held, event]
        thinking: list[Event] = [{"type": "part", "kind": "thinking", "fields": {"text": thought}}] if thought else []
        return thinking + held + ([{**event, "fields": {**fields, "text": rest}}] if rest else [])

    def _more(self, event: Event) -> list[Event]:
        outgoing = self._state(words(event))
        if any(event.get(name) for name in CONTENT if name != "text"):
            rest = {key: value for key, value in event.items() if key != "text"}
            if self._done:
                outgoing.append(rest)
            elif self._tagged:
                self._held.append(rest)
            else:
                outgoing += [*self._flush(), rest]
        return outgoing

    def _is_watched(self, event: Event) -> bool:
        watched = self._watched or {}
        kind = event.get("kind")
        return bool(kind in (None, "text") and event.get("key") == watched.get("key"))

    def _before(self, text: str) -> list[Event]:
        self._buffer += text
        bare = self._buffer.lstrip()
        if len(self._buffer) - len(bare) <= _SPACE:
            if bare.startswith(OPEN):
                self._state, self._tagged, self._buffer = self._inside, True, ""
                return self._inside(bare[len(OPEN) :])
            if OPEN.startswith(bare):
                return []
        return self._flush()

    def _inside(self, text: str) -> list[Event]:
        self._buffer += text
        if self._fresh and self._buffer:
            self._buffer, self._fresh = self._buffer.removeprefix("\n"), False
        thought, closed, rest = self._buffer.partition(CLOSE)
        if closed:
            self._buffer, self._state = "", self._after
            return [*self._think(thought.removesuffix("\n")), *self._thought_out(), *self._after(rest)]
        tail = _tail(thought)
        self._buffer = thought[len(thought) - tail :] if tail else ""
        return self._think(thought[: len(thought) - tail])

    def _after(self, text: str) -> list[Event]:
        while text and self._lines and text[0] == "\n":
            text, self._lines = text[1:], self._lines - 1
        self._buffer = text
        return self._flush() if text else []

    def _think(self, text: str) -> list[Event]:
        return [{"type": "part_delta", "key": _KEY, "kind": "thinking", "text": text}] if text else []

    def _thought_out(self) -> list[Event]:
        return [{"type": "part_end", "key": _KEY, "kind": "thinking"}]

    def _flush(self) -> list[Event]:
        """Nothing more is held back: what there is of the text is told, after what was held for it."""
        self._done = True
        held, text, self._held, self._buffer = self._held, self._buffer, [], ""
        if self._state == self._inside:
            out, text = [*self._think(text), *self._thought_out()], ""
        else:
            out = []
        if self._tagged and not text:
            # The text was all thinking: a part without words is not opened for it.
            return out + [event for event in held if event["type"] != "part_start"]
        out += held
        if text and self._watched is not None:
            key = self._watched.get("key")
            out.append({"type": "part_delta", "kind": "text", "text": text} | ({} if key is None else {"key": key}))
        return out


def _tail(text: str) -> int:
    """How many characters at the end of a text may be the beginning of its closing."""
    closing = "\n" + CLOSE
    for length in range(min(len(closing) - 1, len(text)), 0, -1):
        end = text[-length:]
        if closing.startswith(end) or CLOSE.startswith(end):
            return length
    return 0
