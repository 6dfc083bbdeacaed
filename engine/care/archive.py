"""A backup as a directory: files in zstd, sealed with CRYPTO_SECRET where there is one, and a manifest of their sums.

``Writer(directory, secret)`` writes beside the directory and puts it in place by ``close``, so that what is there is
whole. ``Archive(directory, secret)`` has compared every sum before it gives a byte. Knows neither tables nor settings.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import zstandard

from engine.errors import Conflict, Invalid, NotFound, Unavailable
from engine.storage.vault import Cipher, SealedError

MANIFEST = "manifest.json"
_FORMAT = 1
_PIECE = 1024 * 1024
_FIELD = "DIR"


class Writer:
    """See the module."""

    def __init__(self, directory: Path, secret: str) -> None:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise Conflict(f"{directory} is not empty; name a directory that is not there yet")
        self._directory = directory
        self._partial = directory.with_name(f"{directory.name}.partial")
        self._cipher = Cipher(secret) if secret else None
        self._files: dict[str, dict[str, Any]] = {}
        shutil.rmtree(self._partial, ignore_errors=True)
        try:
            self._partial.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise Unavailable(f"can't write to {directory.parent}: {error.strerror}") from None

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return sum(facts["bytes"] for facts in self._files.values())

    def add(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a file; ``name`` is its path below the directory."""
        path = self._partial / name
        packer = zstandard.ZstdCompressor(level=3).compressobj()
        sums, number = hashlib.sha256(), 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with path.open("wb") as file:
                for data in _of_one_size(pieces, packer):
                    sealed = self._cipher.seal(data, f"{name}:{number}") if self._cipher else data
                    framed = len(sealed).to_bytes(4, "big") + sealed
                    sums.update(framed)
                    file.write(framed)
                    number += 1
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self.discard()
            raise Unavailable(f"{self._directory}: {error.strerror}; nothing is left of this backup") from None
        self._files[name] = {"bytes": path.stat().st_size, "sha256": sums.hexdigest()}

    def close(self, **facts: Any) -> None:
        """Write the manifest and put the directory in place."""
        sealed = self._cipher.name if self._cipher else ""
        manifest = {"format": _FORMAT, "sealed": sealed, **facts, "files": self._files}
        try:
            with (self._partial / MANIFEST).open("w", encoding="utf-8") as file:
                json.dump(manifest, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            if self._directory.exists():
                self._directory.rmdir()
            self._partial.rename(self._directory)
        except OSError as error:
            self.discard()
            raise Unavailable(f"{self._directory}: {error.strerror}; nothing is left of this backup") from None

    def discard(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._partial, ignore_errors=True)


def _of_one_size(pieces: Iterable[bytes], packer: Any) -> Iterator[bytes]:
    held = b""
    for piece in pieces:
        held += packer.compress(piece)
        while len(held) >= _PIECE:
            yield held[:_PIECE]
            held = held[_PIECE:]
    held += packer.flush()
    yield held


class Archive:
    """A backup that was found whole: ``facts`` is its manifest, ``names`` are its files."""

    def __init__(self, directory: Path, secret: str) -> None:
        self._directory = directory
        self.facts = _manifest(directory)
        self._cipher: Cipher | None = None
        if self.facts["sealed"]:
            self._cipher = Cipher(secret) if secret else None
            if self._cipher is None or self._cipher.name != self.facts["sealed"]:
                what = "is not the one that" if secret else "is not set, and"
                raise SealedError(f"CRYPTO_SECRET {what} this backup was sealed with; set it to the one of then")
        for name, wanted in self.facts["files"].items():
            _compare(directory, name, wanted)

    @property
    def names(self) -> list[str]:
        """The files, in the order in which they were written."""
        return list(self.facts["files"])

    def read(self, name: str) -> Iterator[bytes]:
        """A file's content, in pieces."""
        unpacker = zstandard.ZstdDecompressor().decompressobj()
        with (self._directory / name).open("rb") as file:
            for number, sealed in enumerate(_frames(file)):
                data = self._cipher.open(sealed, f"{name}:{number}") if self._cipher else sealed
                yield unpacker.decompress(data)

    def lines(self, name: str) -> Iterator[bytes]:
        """A file's lines."""
        held = b""
        for piece in self.read(name):
            *whole, held = (held + piece).split(b"\n")
            yield from whole
        if held:
            yield held


def _manifest(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    if not path.is_file():
        raise NotFound(f"{directory} holds no whole backup: there is no {MANIFEST}; name a directory of `backup`")
    try:
        facts = json.loads(path.read_text("utf-8"))
        files = facts["files"]
        valid = facts["format"] == _FORMAT and all({"bytes", "sha256"} <= set(file) for file in files.values())
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise Invalid(_FIELD, f"{path} can't be read: the backup is cut or was changed", "take another one") from None
    if not valid or any(name.startswith("/") or ".." in name.split("/") for name in files):
        raise Invalid(_FIELD, f"{path} is of a form that this version does not know", "use the version that made it")
    return dict(facts)


def _compare(directory: Path, name: str, wanted: dict[str, Any]) -> None:
    path, sums = directory / name, hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                sums.update(piece)
    except OSError as error:
        raise Invalid(_FIELD, f"the backup is not whole: {name}: {error.strerror}", "take another one") from None
    if path.stat().st_size != wanted["bytes"] or sums.hexdigest() != wanted["sha256"]:
        raise Invalid(_FIELD, f"the backup is not whole: {name} is cut or was changed", "take another one")


def _frames(file: IO[bytes]) -> Iterator[bytes]:
    while head := file.read(4):
        yield file.read(int.from_bytes(head, "big"))
