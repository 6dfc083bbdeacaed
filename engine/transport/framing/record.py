"""What all framings share: the shape of events, the interfaces, and JSON written so that nothing is ever refused."""

from __future__ import annotations

import json
from typing import Any, Protocol

import orjson

Events = list[tuple[str | None, bytes]]


class Decoder(Protocol):
    """Bytes of a stream to its events, whatever the cuts."""

    done: bool
    exception: bool

    def feed(self, piece: bytes, /) -> Events:
        """The events that ``piece`` completes."""

    def finish(self) -> Events:
        """The bytes ended: events that only lack their end; raises ``TransportError`` (cut) where a cut is certain."""


class Splitter(Protocol):
    """Bytes of a stream to the bytes of its complete events, untouched."""

    def feed(self, piece: bytes, /) -> tuple[bytes, list[bytes]]:
        """The bytes that may be passed on now, and the events in them; joined, the events are those bytes."""

    def tail(self) -> bytes:
        """The bytes that belong to no complete event."""


class Encoder(Protocol):
    """Data of events to bytes of a stream."""

    content_type: str

    def start(self) -> bytes:
        """Bytes before the first event."""

    def event(self, data: dict[str, Any], /) -> bytes:
        """One event."""

    def done(self) -> bytes:
        """The end's marker."""

    def ping(self, data: dict[str, Any] | None = None, comment: str | None = None) -> bytes:
        """Bytes that keep the way open and mean nothing."""


def dumps(value: object) -> bytes:
    """JSON in one line, in UTF-8."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # Lone surrogates and integers beyond 64 bits, both of which arrive in parsed JSON.
        return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()
