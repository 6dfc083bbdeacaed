"""Events that pass through unread: one that differs from the one before in a single text is sound as that one was.

Most chunks of most streams are such. Takes events as bytes, framing included, that were read and found to be sound and
to say nothing that has to be looked at; says of a further one whether it is the same around its text. Knows no format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson

from engine.errors import GatewrightError

Read = Callable[[bytes], object]
"""An event's data; raises ``ValueError`` or ``GatewrightError`` if it is none."""

_TRIAL = b"a text that no provider ever sent: 5f1c2b9e"
_VALUE = b':"%b"' % _TRIAL
"""How it stands in JSON if it is a member's whole value: inside another text its quotes would be escaped."""
_LONGEST = 4096
"""Bytes of an event: a longer one is worth its reading."""
_TRIES = 16
"""Events in a row that are not alike, after which a stream is believed to number or to pad all of them."""


class Alike:
    """What is known of the last event. PERF: 0.4 us for one like it, instead of 2 for looking it through."""

    __slots__ = ("_begin", "_beyond", "_head", "_last", "_left", "_marks", "_read", "_tail")

    def __init__(self, marks: Sequence[bytes], read: Read) -> None:
        self._read = read
        self._last = self._head = self._tail = b""
        self._begin = self._beyond = 0
        """Where the text's first quote stands, and how many bytes follow its last one."""
        self._left = _TRIES
        # What ends in a quote may go on in the text that follows it: a value that means something is no mere text.
        self._marks = tuple({mark[: at + 1] for mark in marks for at in range(1, len(mark) - 1) if mark[at] == 0x22})

    def of(self, event: bytes) -> bool:
        """Whether an event differs from one that was learned in nothing but its text."""
        if not self._head or not event.startswith(self._head) or not event.endswith(self._tail):
            return False
        try:
            # With its quotes: what stands between them is a text if JSON says so, whatever it holds.
            return orjson.loads(event[self._begin : len(event) - self._beyond]).__class__ is str
        except ValueError:
            return False

    def learn(self, event: bytes) -> None:
        """Take up an event that was looked through."""
        if self._left <= 0 or len(event) > _LONGEST:
            return
        self._left -= 1
        last, self._last = self._last, event
        shared = next((at for at, (one, two) in enumerate(zip(last, event, strict=False)) if one != two), 0)
        at = event.rfind(b'"', 0, shared) + 1
        end = event.find(b'"', at)
        while end > 0 and event[end - 1] == 0x5C:  # a quote that is part of the text
            end = event.find(b'"', end + 1)
        if at and end > 0 and self._is_text(event[:at], event[end:]):
            self._head, self._tail, self._left = event[:at], event[end:], _TRIES
            self._begin, self._beyond = at - 1, len(event) - end - 1

    def _is_text(self, head: bytes, tail: bytes) -> bool:
        """Whether a text stands between the two that stands alone: a value, of which no mark is a part."""
        if any(head.endswith(mark) for mark in self._marks):
            return False
        try:
            # PERF: written again in C, instead of walked over here
            return orjson.dumps(self._read(b"%b%b%b" % (head, _TRIAL, tail))).count(_VALUE) == 1
        except (TypeError, ValueError, GatewrightError, RecursionError):
            return False
