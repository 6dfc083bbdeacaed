"""A process's journal: a line for each finished call, in a file that survives the process.

``Journal(directory)`` opens a file of its own and keeps it locked; ``append`` is one small write, after which the line
survives any kill of any process (and a power cut, once synced). ``release`` gives files back whose lines are all in
the database. ``left_behind`` finds files whose owner is dead, told by their locks. A line is a checksum and JSON; one
that was torn is skipped. Knows nothing of databases.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import orjson

from engine.storage.rows.posting import Entry

_ROTATE_BYTES = 8 * 1024 * 1024
_TRUNCATE_BYTES = 256 * 1024
_VERSION = 1
_MOST = (1 << 63) - 1
OPEN, BOOKED = ".log", ".booked"
"""Ends of names: files of entries, and files of which only log rows are still to be written elsewhere."""
_NEWER = "plan"
"""The last field of an entry; it is written only where it says something, so that older programs read all others."""
_values = attrgetter(*(field.name for field in fields(Entry) if field.name != _NEWER))
_logger = logging.getLogger("gatewright.ledger")


def line(entry: Entry) -> bytes:
    """An entry as a line; raises ``TypeError`` for what JSON does not hold."""
    return _line(orjson.dumps(_listed(entry), default=str))


def sound(entry: Entry) -> tuple[Entry, bytes]:
    """The entry with texts and numbers that can be written, and its line.

    Callers do send lone surrogates in names, providers numbers beyond 64 bits.
    """
    entry = replace(entry, row=_writable(entry.row, "utf-8"), born=_writable(entry.born, "utf-8"))
    return entry, _line(json.dumps(_listed(entry), default=str).encode())


def _listed(entry: Entry) -> list[Any]:
    return [_VERSION, *_values(entry), entry.plan] if entry.plan else [_VERSION, *_values(entry)]


def plain(entry: Entry) -> Entry:
    """The entry with texts and numbers that every table holds, whatever its character set."""
    return replace(entry, row=_writable(entry.row, "ascii"), born=_writable(entry.born, "ascii"))


def _line(raw: bytes) -> bytes:
    return b"%08x %b\n" % (zlib.crc32(raw), raw)


def _writable(value: Any, code: str) -> Any:
    """The same with "?" for what the code does not hold, and the last of 64 bits for numbers beyond them."""
    if isinstance(value, str):
        return value.encode(code, "replace").decode(code)
    if isinstance(value, int):
        return value if -_MOST <= value <= _MOST else max(-_MOST, min(value, _MOST))
    if isinstance(value, dict):
        return {_writable(key, code): _writable(member, code) for key, member in value.items()}
    return [_writable(item, code) for item in value] if isinstance(value, list | tuple) else value


def parse(raw: bytes) -> Entry | None:
    """The entry of a line; nothing when the line is not whole."""
    try:
        if len(raw) < 10 or int(raw[:8], 16) != zlib.crc32(raw[9:]):
            return None
        try:
            version, *values = orjson.loads(raw[9:])
        except ValueError:
            version, *values = json.loads(raw[9:])
        return Entry(*values) if version == _VERSION else None
    except (ValueError, TypeError):
        return None


@dataclass(slots=True)
class Segment:
    """One file. ``waiting`` counts lines that are not in the database."""

    path: Path
    fd: int
    size: int = 0
    waiting: int = 0
    torn: bool = False


class Journal:
    """See the module. ``sync`` makes each append wait for the disk."""

    def __init__(self, directory: Path, *, sync: bool = False, rotate: int = _ROTATE_BYTES) -> None:
        self._directory = directory
        self._sync = sync
        self._rotate = rotate
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._current = self._fresh()
        self._old: list[Segment] = []
        self._unsynced = False
        self.failing = False
        """The last append could not be written: no call should begin now."""

    def append(self, raw: bytes) -> Segment:
        """Keep a line; raises ``OSError`` when the disk does not take it."""
        segment = self._current
        if segment.size >= self._rotate:
            segment = self._turn()
        if segment.torn:
            raw = b"\n" + raw
        self._write(segment, raw)
        segment.waiting += 1
        return segment

    def probe(self) -> bool:
        """Whether an append would be written again."""
        try:
            self._write(self._current, b"\n")
        except OSError:
            return False
        return True

    def _write(self, segment: Segment, raw: bytes) -> None:
        try:
            written = os.write(segment.fd, raw)
            segment.size += written
            segment.torn = written < len(raw)
            if segment.torn:
                raise OSError(errno.ENOSPC, "the journal's disk is full")
            if self._sync:
                os.fdatasync(segment.fd)
        except OSError:
            self.failing = True
            raise
        self.failing = False
        self._unsynced = not self._sync

    def settled(self, segment: Segment, count: int = 1) -> None:
        """So many of a file's lines are in the database."""
        segment.waiting -= count

    def release(self, *, whole: bool = False) -> None:
        """Give back the room of lines that are all in the database, durably; ``whole``: also where it is little."""
        for segment in [old for old in self._old if old.waiting <= 0]:
            self._old.remove(segment)
            _drop(segment)
        current = self._current
        if current.waiting <= 0 and (whole or current.size > _TRUNCATE_BYTES):
            os.ftruncate(current.fd, 0)
            current.size, current.torn = 0, False

    def turn(self) -> None:
        """Begin a new file, if the present one has lines."""
        if self._current.waiting:
            self._turn()

    @property
    def waiting(self) -> int:
        """Lines that are not in the database."""
        return self._current.waiting + sum(segment.waiting for segment in self._old)

    @property
    def unsynced(self) -> bool:
        """A power cut now would lose lines."""
        return self._unsynced

    def sync(self) -> None:
        """Wait until the disk has every line."""
        self._unsynced = False
        os.fdatasync(self._current.fd)

    def close(self) -> None:
        """Let go of the files; those with lines stay for whoever finds them."""
        for segment in (*self._old, self._current):
            if segment.waiting <= 0:
                _drop(segment)
            else:
                os.close(segment.fd)
        self._old = []

    def _turn(self) -> Segment:
        self._old.append(self._current)
        self._current = self._fresh()
        return self._current

    def _fresh(self) -> Segment:
        name = f"{time.time_ns():016x}-{os.getpid()}"
        hidden = self._directory / f".{name}"
        fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path = self._directory / f"{name}{OPEN}"
        hidden.rename(path)  # seen by others only when it is locked
        return Segment(path, fd)


def _drop(segment: Segment) -> None:
    segment.path.unlink(missing_ok=True)
    os.close(segment.fd)


def entries(path: Path) -> Iterator[Entry]:
    """The entries of a file, in their order."""
    torn = 0
    with path.open("rb") as file:
        for raw in file:
            if raw == b"\n":
                continue
            entry = parse(raw.rstrip(b"\n"))
            if entry is None:
                torn += 1
            else:
                yield entry
    if torn:
        _logger.warning("journal %s: %d lines are torn and were left out", path.name, torn)


def files(directory: Path) -> Iterator[Path]:
    """All files of entries, of the living and the dead."""
    return (path for end in (OPEN, BOOKED) for path in sorted(directory.glob(f"*{end}")))


def left_behind(directory: Path, end: str = OPEN) -> Iterator[Path]:
    """Files whose owner is dead, each locked while it is given; those of the living are passed over."""
    for path in sorted(directory.glob(f"*{end}")):
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            continue
        try:
            if _still(path, fd):  # else its owner was done with it a moment ago
                yield path
        finally:
            os.close(fd)


def _still(path: Path, fd: int) -> bool:
    """Whether the name is still that of the opened file."""
    try:
        return os.stat(path).st_ino == os.fstat(fd).st_ino
    except FileNotFoundError:
        return False
