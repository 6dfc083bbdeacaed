"""Stream framings: how a stream of bytes is cut into events, and events are written as bytes.

A framing is its record (``FramingType``), in a module of its own; ``FRAMINGS`` is the only list. ``decoder``,
``splitter`` and ``encoder`` find it by name, or by a Format's ``framing`` map: ``type``, ``event`` (the field that
names a written event), ``done`` (the end's marker), ``number`` (the field that counts written events). Whatever the
cuts of the bytes, the events are the same, and what waits for its end is bounded. What the data of an event means is
not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.transport.framing import array, binary, lines, sse
from engine.transport.framing.binary import encode_message
from engine.transport.framing.buffer import LIMIT
from engine.transport.framing.record import Decoder, Encoder, Events, FramingType, Splitter

__all__ = [
    "FRAMINGS",
    "LIMIT",
    "Decoder",
    "Encoder",
    "Events",
    "FramingType",
    "Splitter",
    "data_of",
    "decoder",
    "encode_message",
    "encoder",
    "of_media_type",
    "pings_freely",
    "splitter",
]

Framing = str | Mapping[str, Any]

FRAMINGS: Final[dict[str, FramingType]] = {
    item.name: item for item in (sse.FRAMING, lines.FRAMING, array.FRAMING, binary.FRAMING)
}
_BY_MEDIA_TYPE = {item.media_type: item.name for item in FRAMINGS.values() if item.streams_only}


def _parts(framing: Framing) -> tuple[FramingType, Mapping[str, Any]]:
    rules: Mapping[str, Any] = {"type": framing} if isinstance(framing, str) else framing
    name = rules.get("type", sse.FRAMING.name)
    framing_type = FRAMINGS.get(name)
    if framing_type is None:
        raise ValueError(f"framing {name!r} is not known: expected one of {', '.join(FRAMINGS)}")
    return framing_type, rules


def of_media_type(content_type: str) -> str | None:
    """The name of the framing of an answer with this Content-Type; None where it may be no stream."""
    return _BY_MEDIA_TYPE.get(content_type.partition(";")[0].strip().lower())


def pings_freely(framing: Framing) -> bool:
    """Whether a ping may be written although the format does not say how it wants them."""
    return _parts(framing)[0].pings_freely


def decoder(framing: Framing, limit: int = LIMIT) -> Decoder:
    """A new decoder for one stream."""
    framing_type, rules = _parts(framing)
    return framing_type.decoder(rules, limit)


def splitter(framing: Framing, limit: int = LIMIT) -> Splitter:
    """A new splitter for one stream that is passed through."""
    return _parts(framing)[0].splitter(limit)


def data_of(framing: Framing, event: bytes) -> list[bytes]:
    """The data of one whole event, as a splitter gave it: none of a comment or an end marker, mostly one."""
    data = _parts(framing)[0].only_data(event)
    if data is not None:
        return [data]
    reader = decoder(framing)
    return [raw for _, raw in reader.feed(event) + reader.finish()]


def encoder(framing: Framing) -> Encoder:
    """A new encoder for one stream; raises ``ValueError`` for a framing that is only read."""
    framing_type, rules = _parts(framing)
    if framing_type.encoder is None:
        raise ValueError(f"framing {framing_type.name!r} is only read, not written: declare another for callers")
    return framing_type.encoder(rules)
