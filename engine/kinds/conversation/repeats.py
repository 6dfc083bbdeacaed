"""Events of a stream that differ from one before in a single text: neither parsed nor decoded again.

Most chunks of most streams are such. Takes each event that was decoded, as bytes and as hub events; gives the hub
events of one that has the same bytes around its text. That is right where the compiler found that decode only hands
the text on (``engine.compiler.analyses.copied_texts``), and where a trial with another text in its place shows no
other difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from engine.errors import MappingError
from engine.program.origins import leaves

Decode = Callable[[list[tuple[str, str]], str | None, Any], Any]
"""(report, event's name, its data) -> hub events."""

_FIELDS = ("text", "arguments")
_TRIAL = "a text that no provider ever sent: 5f1c2b9e"
_LONGEST = 4096
"""Bytes of an event: a longer one is worth its parsing."""
_TRIES = 16
"""Events in a row that repeat nothing, after which a stream is believed to number or to pad all of them."""


class Repeats:
    """What is known of the last event. PERF: 0.6 us for one that repeats it instead of 3."""

    __slots__ = ("_decode", "_events", "_field", "_head", "_left", "_name", "_proven", "_tail", "_texts")

    def __init__(self, texts: frozenset[str], decode: Decode) -> None:
        self._texts = texts
        self._decode = decode
        self._left = _TRIES if texts else 0
        self._proven = False
        self._head = self._tail = b""
        self._name: str | None = None
        self._events: list[dict[str, Any]] = []
        self._field = ""

    def of(self, name: str | None, raw: bytes) -> list[dict[str, Any]] | None:
        """The hub events of one that repeats the last but for its text; None if it has to be decoded."""
        head, tail = self._head, self._tail
        if not self._proven or name != self._name or not (raw.startswith(head) and raw.endswith(tail)):
            return None
        try:
            text = orjson.loads(raw[len(head) - 1 : len(raw) - len(tail) + 1])
        except ValueError:
            return None
        if text.__class__ is not str or not text:
            return None
        events = self._events.copy()
        events[-1] = {**events[-1], self._field: text}
        return events

    def learn(self, name: str | None, raw: bytes, events: list[dict[str, Any]]) -> None:
        """Take up an event that was decoded and brought no report."""
        last = events[-1]
        if self._left <= 0 or len(raw) > _LONGEST or last.__class__ is not dict:
            return
        self._left -= 1
        field = next((key for key in _FIELDS if key in last), "")
        text = last.get(field)
        if text.__class__ is not str or not text:
            return
        try:
            quoted = orjson.dumps(text)
        except TypeError:  # half a pair of surrogates, which came from elsewhere
            return
        at = raw.find(quoted)
        if at < 0:
            return
        head, tail = raw[: at + 1], raw[at + len(quoted) - 1 :]
        again = head == self._head and tail == self._tail and name == self._name
        self._head, self._tail, self._name, self._proven = head, tail, name, False
        if again and self._holds(events, field):
            self._events, self._field, self._proven, self._left = events, field, True, _TRIES

    def _holds(self, events: list[dict[str, Any]], field: str) -> bool:
        """Whether another text in that place is a text that decode only hands on, and changes nothing else."""
        report: list[tuple[str, str]] = []
        try:
            data = orjson.loads(b"%b%b%b" % (self._head[:-1], orjson.dumps(_TRIAL), self._tail[1:]))
            decoded = self._decode(report, self._name, data)
            if report or decoded != [*events[:-1], {**events[-1], field: _TRIAL}]:
                return False
            places = [path for path, held in leaves(data) if held == _TRIAL]
        except (MappingError, ValueError, RecursionError):
            return False
        return len(places) == 1 and ".".join(step for step in places[0] if isinstance(step, str)) in self._texts
