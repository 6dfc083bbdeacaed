"""What a framing is, and what all share: the shape of events and the interfaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

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


Rules = Mapping[str, Any]
"""A Format's ``framing`` map."""


@dataclass(frozen=True, slots=True)
class FramingType:
    """All that is known of one framing. Whoever adds one writes its module with this record, and lists the module."""

    name: str
    """As a Format's ``framing.type`` says it."""
    media_type: str
    decoder: Callable[[Rules, int], Decoder]
    """(rules, limit in bytes of what waits for its end) -> a decoder for one stream."""
    splitter: Callable[[int], Splitter]
    """(limit) -> a splitter for one stream that is passed through."""
    encoder: Callable[[Rules], Encoder] | None = None
    """A new encoder for one stream; None where it is only read."""
    streams_only: bool = True
    """No whole answer has its media type, so an answer of this type is a stream."""
    pings_freely: bool = False
    """Its pings mean nothing in any format, so a format need not say how it wants them."""
    only_data: Callable[[bytes], bytes | None] = lambda event: None
    """The data of a whole event that is plain; None where a decoder has to tell. PERF: asked for each event."""


def end_marker(rules: Rules) -> bytes | None:
    """The data of the event that ends the stream, where a Format says one."""
    marker = rules.get("done")
    return marker.encode() if isinstance(marker, str) else None
