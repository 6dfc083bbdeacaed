"""Stream framings: how a stream of bytes is cut into events, and events are written as bytes.

``decoder``, ``splitter`` and ``encoder`` find the framing by name, or by a Format's ``framing`` map: ``type`` (sse,
ndjson, json-array, aws-eventstream), ``event`` (the field that names a written event), ``done`` (the end's marker),
``number`` (the field that counts written events). Whatever the cuts of the bytes, the events are the same, and what
waits for its end is bounded. What the data of an event means is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.transport.framing.array import ArrayDecoder, ArrayEncoder, ArraySplitter
from engine.transport.framing.binary import BinaryDecoder, BinarySplitter, encode_message
from engine.transport.framing.buffer import LIMIT
from engine.transport.framing.lines import LinesDecoder, LinesEncoder, LinesSplitter
from engine.transport.framing.record import Decoder, Encoder, Events, Splitter
from engine.transport.framing.sse import SseDecoder, SseEncoder, SseSplitter, only_data

__all__ = [
    "LIMIT", "TYPES", "Decoder", "Encoder", "Events", "Splitter", "content_type", "data_of", "decoder",
    "encode_message", "encoder", "splitter",
]  # fmt: skip

Framing = str | Mapping[str, Any]

TYPES: dict[str, str] = {
    "sse": "text/event-stream",
    "ndjson": "application/x-ndjson",
    "json-array": "application/json",
    "aws-eventstream": "application/vnd.amazon.eventstream",
}


def _parts(framing: Framing) -> tuple[str, Mapping[str, Any]]:
    rules: Mapping[str, Any] = {"type": framing} if isinstance(framing, str) else framing
    kind = rules.get("type", "sse")
    if kind not in TYPES:
        raise ValueError(f"framing {kind!r} is not known: expected one of {', '.join(TYPES)}")
    return kind, rules


def content_type(framing: Framing) -> str:
    """The Content-Type of a stream."""
    return TYPES[_parts(framing)[0]]


def decoder(framing: Framing, limit: int = LIMIT) -> Decoder:
    """A new decoder for one stream."""
    kind, rules = _parts(framing)
    marker = rules.get("done")
    end = marker.encode() if isinstance(marker, str) else None
    if kind == "sse":
        return SseDecoder(end, limit)
    if kind == "ndjson":
        return LinesDecoder(end, limit)
    return ArrayDecoder(limit) if kind == "json-array" else BinaryDecoder(limit)


def splitter(framing: Framing, limit: int = LIMIT) -> Splitter:
    """A new splitter for one stream that is passed through."""
    kind, _ = _parts(framing)
    if kind == "sse":
        return SseSplitter(limit)
    if kind == "ndjson":
        return LinesSplitter(limit)
    return ArraySplitter(limit) if kind == "json-array" else BinarySplitter(limit)


def data_of(framing: Framing, event: bytes) -> list[bytes]:
    """The data of one whole event, as a splitter gave it: none of a comment or an end marker, mostly one."""
    data = only_data(event) if _parts(framing)[0] == "sse" else None
    if data is not None:
        return [data]
    reader = decoder(framing)
    return [raw for _, raw in reader.feed(event) + reader.finish()]


def encoder(framing: Framing) -> Encoder:
    """A new encoder for one stream; raises ``ValueError`` for a framing that is only read."""
    kind, rules = _parts(framing)
    if kind == "sse":
        return SseEncoder(rules.get("event"), rules.get("done"), rules.get("number"))
    if kind == "ndjson":
        return LinesEncoder(rules.get("done"))
    if kind == "json-array":
        return ArrayEncoder()
    raise ValueError(f"framing {kind!r} is only read, not written: declare another for callers")
