"""A body too large to be held in memory: in a file without a name, read again in steps by whoever sends or searches it.

``Spool`` is written once and then behaves like the bytes that forms are read from (``len``, ``find``, ``startswith``,
slices); ``Pieces`` is a body of bytes and of stretches of a spool. Both are sent piece by piece, as often as wanted.
The file is gone with the last that refers to it, or with the process. Knows nothing of forms.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.bounds import SPOOLED
from engine.errors import CallError

STEP = 262_144
_lying = 0


def _gone(fd: int, size: list[int]) -> None:
    global _lying
    _lying -= size[0]
    os.close(fd)


class Spool:
    """See the module. ``directory``: where the file lies, with no name there."""

    __slots__ = ("__weakref__", "_fd", "_size")

    def __init__(self, directory: Path) -> None:
        fd, name = tempfile.mkstemp(dir=directory)
        os.unlink(name)
        self._fd = fd
        self._size = [0]
        weakref.finalize(self, _gone, fd, self._size)

    def write(self, data: bytes) -> None:
        """Add to its end; refuses where this worker's spools would hold more than they may."""
        global _lying
        if _lying + len(data) > SPOOLED.most:
            raise CallError("unavailable", "too many large files are being sent at once; send the request again later")
        _lying += len(data)
        self._size[0] += len(data)
        while data:
            data = data[os.write(self._fd, data) :]

    def __len__(self) -> int:
        return self._size[0]

    def __getitem__(self, stretch: slice) -> bytes:
        """A stretch as bytes: for small ones."""
        start, end, _ = stretch.indices(len(self))
        return b"".join(self.pieces(start, end))

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces(0, len(self))

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """A stretch, step by step."""
        while start < end:
            piece = os.pread(self._fd, min(STEP, end - start), start)
            if not piece:
                raise OSError("a spooled body has ended early")
            yield piece
            start += len(piece)

    def startswith(self, prefix: bytes, at: int = 0) -> bool:
        """As of bytes."""
        return self[at : at + len(prefix)] == prefix

    def find(self, wanted: bytes, start: int = 0, end: int | None = None) -> int:
        """As of bytes: where it stands first, -1 where nowhere."""
        last = len(self) if end is None else min(end, len(self))
        while start < last:
            window = self[start : min(start + STEP + len(wanted) - 1, last)]
            at = window.find(wanted)
            if at >= 0:
                return start + at
            start += STEP
        return -1


class Stretch:
    """A part of a spool as a body."""

    __slots__ = ("_end", "_spool", "_start")

    def __init__(self, spool: Spool, start: int, end: int) -> None:
        self._spool, self._start, self._end = spool, start, end

    def __len__(self) -> int:
        return self._end - self._start

    def __iter__(self) -> Iterator[bytes]:
        return self._spool.pieces(self._start, self._end)


class Pieces:
    """A body of several, sent one after the other."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Iterable[Body]) -> None:
        self._parts = tuple(parts)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            yield from steps(part)


Body = bytes | Spool | Stretch | Pieces
"""What a request's body may be."""


def steps(body: Body) -> Iterator[bytes]:
    """The bytes of a body, a step at a time."""
    if isinstance(body, bytes):
        yield body
    else:
        yield from body
