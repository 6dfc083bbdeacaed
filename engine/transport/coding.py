"""Content codings: gzip, deflate, br and zstd undone while streaming, with a bound on what comes out.

``decode_body`` undoes a request body's codings under a limit; ``Inflater`` undoes an answer's piece by piece in
bounded pieces. A small body that unfolds to gigabytes is stopped at the limit. Knows no HTTP beyond the header's value.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

import brotli
import zstandard

from engine.errors import CallError, GatewrightError
from engine.turns import give_way

_STEP = 65_536
_IN_STEP = 16_384
_STACKED = 4


class Readable(Protocol):
    """What a body may come as besides bytes."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes, none at the end."""


class CodingError(GatewrightError):
    """Bytes that are not what their coding says, or end too early (``cut``)."""

    def __init__(self, message: str, *, cut: bool = False) -> None:
        super().__init__(message)
        self.cut = cut


class _Step(Protocol):
    done: bool

    def feed(self, data: bytes) -> Iterator[bytes]: ...


class _Zlib:
    """gzip (members in a row too) and deflate, which may come with or without zlib's frame."""

    def __init__(self, name: str) -> None:
        self._gzip = name == "gzip"
        self._stream = zlib.decompressobj(31) if self._gzip else None
        self._head = b""
        self.done = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._stream is None:
            self._head += data
            if len(self._head) < 2:
                return
            data, self._head = self._head, b""
            framed = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._stream = zlib.decompressobj(15 if framed else -15)
        while data:
            if self.done:
                if not self._gzip:
                    raise CodingError("bytes follow the end of the deflate data")
                if not data.strip(b"\0"):
                    return
                self._stream, self.done = zlib.decompressobj(31), False
            try:
                out = self._stream.decompress(data, _STEP)
            except zlib.error:
                raise CodingError(f"the body is no sound {'gzip' if self._gzip else 'deflate'} data") from None
            if out:
                yield out
            self.done = self._stream.eof
            data = self._stream.unused_data if self.done else self._stream.unconsumed_tail
            if not data and not self.done and len(out) == _STEP:
                yield from self._rest()

    def _rest(self) -> Iterator[bytes]:
        """What the decompressor still holds although all input is taken."""
        stream = self._stream
        while stream is not None and not stream.eof:
            out = stream.decompress(b"", _STEP)
            if not out:
                return
            yield out
        self.done = True


class _Brotli:
    def __init__(self) -> None:
        self._stream = brotli.Decompressor()
        self.done = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self.done and data:
            raise CodingError("bytes follow the end of the br data")
        try:
            out = self._stream.process(data, output_buffer_limit=_STEP)
            while out:
                yield out
                out = b"" if self._stream.is_finished() else self._stream.process(b"", output_buffer_limit=_STEP)
        except brotli.error:
            raise CodingError("the body is no sound br data") from None
        self.done = self._stream.is_finished()


class _Zstd:
    """Frames in a row. The window is bounded at 8 MB, as RFC 8878 asks of decoders at least."""

    def __init__(self) -> None:
        self._factory = zstandard.ZstdDecompressor(max_window_size=1 << 23)
        self._stream = self._factory.decompressobj()
        self._begun = False
        self.done = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self.done:
                self._stream, self.done = self._factory.decompressobj(), False
            # This library's object has no output limit, so the input is cut fine: a block of 4 bytes gives at most
            # 128 kB, a cut of 256 bytes 8 MB.
            part, data = data[:256], data[256:]
            try:
                out = self._stream.decompress(part)
            except zstandard.ZstdError:
                raise CodingError("the body is no sound zstd data") from None
            if out:
                yield out
            if self._stream.eof:
                self.done = True
                data = self._stream.unused_data + data


def codings(header: str | None) -> list[str]:
    """The codings of a Content-Encoding value in the order in which they were applied, without ``identity``."""
    names = [part.strip().lower() for part in (header or "").split(",")]
    return [name.removeprefix("x-") for name in names if name not in ("", "identity")]


def _step(name: str) -> _Step:
    if name in ("gzip", "deflate"):
        return _Zlib(name)
    return _Brotli() if name == "br" else _Zstd()


class Inflater:
    """Undoes stacked codings of one body; raises ``CodingError``, and ``KeyError`` for a coding it doesn't know."""

    def __init__(self, names: list[str]) -> None:
        for name in names:
            if name not in ("gzip", "deflate", "br", "zstd"):
                raise KeyError(name)
        self._steps = [_step(name) for name in reversed(names)]

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bytes that ``data`` unfolds to, in pieces of bounded size."""
        pieces: Iterable[bytes] = (data,)
        for step in self._steps:
            pieces = _through(step, pieces)
        return iter(pieces)

    def finish(self) -> None:
        """All bytes were fed: raises ``CodingError`` (cut) when a coding has not come to its end."""
        if not all(step.done for step in self._steps):
            raise CodingError("the body's compressed data ends too early", cut=True)


def _through(step: _Step, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield from step.feed(piece)


def _too_large(limit: int) -> CallError:
    return CallError("too_large", f"the request body is larger than {limit} bytes after decompression: send less")


def decode_body(encoding: str | None, raw: bytes | Readable, limit: int) -> bytes:
    """The body without its codings; raises ``CallError`` (too_large, bad_request, unsupported_media)."""
    names = codings(encoding)
    if not names:
        body = raw if isinstance(raw, bytes) else b"".join(_bounded(raw, limit))
        if len(body) > limit:
            raise _too_large(limit)
        return body
    if len(names) > _STACKED:
        raise CallError("unsupported_media", f"content-encoding names more than {_STACKED} codings: send fewer")
    try:
        inflater = Inflater(names)
    except KeyError as ex:
        raise CallError(
            "unsupported_media", f"content-encoding {ex.args[0]!r} is not known: use gzip, deflate, br, zstd or none"
        ) from None
    out: list[bytes] = []
    size = 0
    try:
        for part in _slices(raw) if isinstance(raw, bytes) else _bounded(raw, limit):
            for piece in inflater.feed(part):
                size += len(piece)
                if size > limit:
                    raise _too_large(limit)
                out.append(piece)
            give_way()
        inflater.finish()
    except CodingError as ex:
        raise CallError("bad_request", f"content-encoding {encoding!r}: {ex}") from None
    return b"".join(out)


def _slices(raw: bytes) -> Iterator[bytes]:
    for start in range(0, len(raw), _IN_STEP):
        yield raw[start : start + _IN_STEP]


def _bounded(reader: Readable, limit: int) -> Iterator[bytes]:
    size = 0
    while data := reader.read(_STEP):
        size += len(data)
        if size > limit:
            raise _too_large(limit)
        yield data
