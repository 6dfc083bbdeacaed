"""Standing work: what files and documents came to in one process, put away for the next.

A first compile of the shipped documents takes 5 s of CPU, one over standing work 1 s. Taking a file up runs what it
says, as loading an artefact does: it must be this user's own.
"""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.compiler.documents import parsed
from engine.compiler.mappings import reuse

ANEW = 4
"""Put away again when one document of so many is not in the file."""
_DIGEST = 32
_inside: dict[Path, frozenset[str]] = {}
"""What each file holds, by the digests of documents."""


@contextmanager
def uncollected() -> Iterator[None]:
    """PERF: nearly all that a compile makes lives to its end, and looking through it for garbage is a third of it."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def take_up(file: Path) -> bool:
    """Take up what was put away in a file, where this process has compiled nothing yet; whether there is work now."""
    if reuse.LAST:
        return True
    with suppress(Exception), uncollected():  # whatever is wrong with it, compiling does without
        with file.open("rb") as opened:
            state, text = os.fstat(opened.fileno()), opened.read()
        if state.st_uid != os.geteuid() or hashlib.sha256(text[_DIGEST:]).digest() != text[:_DIGEST]:
            return False
        files, documents = pickle.loads(text[_DIGEST:])  # noqa: S301 - our own file
        parsed.KEPT.update(files)
        reuse.LAST.update(documents)
        _inside[file] = _digests()
    return bool(reuse.LAST)


def put_away(file: Path) -> None:
    """Put away what stands, unless nearly all of it is in the file."""
    digests = _digests()
    if len(digests - _inside.get(file, frozenset())) * ANEW <= len(digests):
        return
    # Where it can't be written, or a document is too deep, the next process compiles longer and nothing else.
    with suppress(OSError, RecursionError), uncollected():
        text = pickle.dumps((parsed.KEPT, reuse.LAST), pickle.HIGHEST_PROTOCOL)
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.{os.getpid()}")
        fresh.write_bytes(hashlib.sha256(text).digest() + text)
        fresh.replace(file)
        _inside[file] = digests
        for old in file.parent.glob(f"{file.name.partition('-')[0]}-*.work*"):
            if old != file:  # another program's, or of a process that was killed at it
                old.unlink(missing_ok=True)


def _digests() -> frozenset[str]:
    return frozenset(document.digest for document in reuse.LAST.values())
