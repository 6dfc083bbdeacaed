"""The binary event stream framing: length-prefixed messages with headers and two checksums.

A message is: total length, headers' length, checksum of those two; headers; payload; checksum of all before it. The
decoder gives (event type, payload) pairs; an exception message gives its exception's name, and a message of the type
``chunk`` the event that it carries as base64. Splitting keeps messages
whole and untouched. Payloads are not read.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator

from orjson import loads

from engine.jsonbytes import dumps
from engine.transport.faults import TransportError
from engine.transport.framing.buffer import LIMIT, Pending
from engine.transport.framing.record import Events, FramingType

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LENGTH = struct.Struct(">H")
_LEAST = 16
_WRAPPED = "chunk"
_TEXT_KINDS = (6, 7)
# Sizes of header values whose kind has a fixed one: true, false, byte, short, integer, long; timestamp, uuid.
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


class BinarySplitter:
    """Bytes to the bytes of whole messages."""

    __slots__ = ("_limit", "_pending")

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._pending = Pending(limit)

    def feed(self, piece: bytes) -> tuple[bytes, list[bytes]]:
        """The bytes that may be passed on now, and the messages in them."""
        buffer = self._pending.add(piece)
        ends: list[int] = []
        at = 0
        while len(buffer) - at >= _PRELUDE.size:
            total, headers, check = _PRELUDE.unpack_from(buffer, at)
            if zlib.crc32(memoryview(buffer)[at : at + 8]) != check:
                raise TransportError("protocol", "the upstream's event stream has a prelude with a wrong checksum")
            if total < _LEAST or headers > total - _LEAST:
                raise TransportError("protocol", "the upstream's event stream has a message with impossible lengths")
            if total > self._limit:
                raise TransportError(
                    "too_large", f"one event of the upstream's stream is longer than {self._limit} bytes"
                )
            if len(buffer) - at < total:
                break
            at += total
            ends.append(at)
        if not ends:
            return b"", []
        complete = self._pending.take(at)
        return complete, [complete[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def tail(self) -> bytes:
        """The bytes of the message that is not whole."""
        return bytes(self._pending.data)


class BinaryDecoder:
    """Bytes to (event type, payload) pairs; ``exception`` turns True at an exception or error message."""

    __slots__ = ("_splitter", "done", "exception")

    def __init__(self, limit: int = LIMIT) -> None:
        self._splitter = BinarySplitter(limit)
        self.done = False
        self.exception = False

    def feed(self, piece: bytes) -> Events:
        """The messages that ``piece`` completes."""
        return [self._event(message) for message in self._splitter.feed(piece)[1]]

    def finish(self) -> Events:
        """Nothing more; raises ``TransportError`` (cut) in the middle of a message."""
        if self._splitter.tail():
            raise TransportError("cut", "the upstream's event stream ended in the middle of a message")
        return []

    def _event(self, message: bytes) -> tuple[str | None, bytes]:
        if zlib.crc32(memoryview(message)[:-4]) != _CRC.unpack_from(message, len(message) - 4)[0]:
            raise TransportError("protocol", "the upstream's event stream has a message with a wrong checksum")
        _, length, _ = _PRELUDE.unpack_from(message)
        headers = dict(_headers(message, length))
        payload = message[_PRELUDE.size + length : -4]
        kind = headers.get(":message-type", "event")
        if kind == "event":
            name = headers.get(":event-type")
            return (None, _inner(payload)) if name == _WRAPPED else (name, payload)
        self.exception = True
        if kind == "exception":
            return headers.get(":exception-type", "exception"), payload
        code, text = headers.get(":error-code", "error"), headers.get(":error-message", "")
        return code, payload or dumps({"message": text})


def _inner(payload: bytes) -> bytes:
    """The event that stands in another as base64, which is how models' own streams are carried."""
    try:
        return base64.b64decode(loads(payload)["bytes"], validate=True)
    except (ValueError, KeyError, TypeError):
        raise TransportError("protocol", "the upstream's event stream has a chunk without bytes") from None


def _headers(message: bytes, length: int) -> Iterator[tuple[str, str]]:
    """Name and value of the headers that hold text; the others are stepped over."""
    at, end = _PRELUDE.size, _PRELUDE.size + length
    try:
        while at < end:
            size = message[at]
            name = message[at + 1 : at + 1 + size].decode()
            kind = message[at + 1 + size]
            at += size + 2
            if kind in _TEXT_KINDS:
                size = _LENGTH.unpack_from(message, at)[0]
                at += 2
            else:
                size = _FIXED[kind]
            if at + size > end:
                raise IndexError
            if kind == 7:
                yield name, message[at : at + size].decode()
            at += size
    except (IndexError, KeyError, struct.error, UnicodeDecodeError):
        raise TransportError("protocol", "the upstream's event stream has a message with unsound headers") from None


def encode_message(headers: dict[str, str], payload: bytes) -> bytes:
    """One message with text headers."""
    block = b"".join(
        bytes((len(name),)) + name.encode() + b"\x07" + _LENGTH.pack(len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    start = struct.pack(">II", _LEAST + len(block) + len(payload), len(block))
    message = start + _CRC.pack(zlib.crc32(start)) + block + payload
    return message + _CRC.pack(zlib.crc32(message))


FRAMING = FramingType(
    "aws-eventstream",
    "application/vnd.amazon.eventstream",
    lambda rules, limit: BinaryDecoder(limit),
    BinarySplitter,
)
