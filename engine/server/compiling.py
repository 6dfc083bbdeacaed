"""One compile: documents of all layers to a published release, or a status that says why not.

Runs in the watcher's process only. An unchanged set is not compiled again: its release is found by the digest of the
sources. Whatever goes wrong, the running release stays.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import engine
from engine import compiler, program
from engine.compiler.diagnostics import Fault, has_errors
from engine.server.releases import Releases

_OUR_ROOMS = ("compiler", "filters", "program")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a compile went: whether it is the running release now, its hash, and what there is to say."""

    ok: bool
    hash: str | None
    text: str


def compile_release(directories: Sequence[Path], releases: Releases) -> Outcome:
    """Read, compile and publish; the status is written in every case."""
    began = time.monotonic()
    try:
        found, shared, faults = compiler.read_set([path for path in directories if path.is_dir()])
        sources = sources_digest(found, shared)
        known = None if has_errors(faults) else releases.made_of(sources)
        if known and _loads(releases, known):
            releases.choose(known)
            return _outcome(releases, True, known, (), began, cached=True)
        result = compiler.compile_set(found, shared)
        faults = [*faults, *result.faults]
        if result.artefact is None or has_errors(faults):
            return _outcome(releases, False, None, faults, began)
        program.load(result.artefact)
        releases.publish(result.hash, result.artefact, sources)
        return _outcome(releases, True, result.hash, faults, began)
    except Exception as error:  # the watcher must outlive any fault of the compiler
        return _outcome(releases, False, None, (), began, crash=error)


def _loads(releases: Releases, hash_: str) -> bool:
    try:
        program.load(releases.artefact(hash_))
    except (OSError, program.ArtefactError):
        return False
    return True


def sources_digest(*groups: Sequence[compiler.Source]) -> str:
    """What a release was made of: the documents, and the compiler itself."""
    digest = hashlib.sha256(f"{engine.__version__} {sys.version}\n{_own_state()}".encode())
    for group in groups:
        for source in group:
            digest.update(f"\n{source.layer} {source.name} {len(source.text)}\n".encode("utf-8", "surrogateescape"))
            digest.update(source.text.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _own_state() -> str:
    """Size and time of the compiler's own files, so that a changed compiler compiles again."""
    root = Path(engine.__file__).parent
    files = sorted(path for room in _OUR_ROOMS for path in (root / room).rglob("*.[pj]*") if path.suffix != ".pyc")
    return " ".join(f"{path.name}:{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in files)


def _outcome(
    releases: Releases,
    ok: bool,
    hash_: str | None,
    faults: Sequence[Fault],
    began: float,
    *,
    cached: bool = False,
    crash: Exception | None = None,
) -> Outcome:
    text = "\n".join(fault.as_text() for fault in faults)
    if crash is not None:
        text = f"the compiler failed: {type(crash).__name__}: {crash}"
    running = hash_ if ok else releases.current()
    status: dict[str, Any] = {
        "ok": ok,
        "running": running,
        "compiled": hash_,
        "cached": cached,
        "time": int(time.time()),
        "seconds": round(time.monotonic() - began, 3),
        "faults": [fault.as_json() for fault in faults],
        "text": text,
    }
    releases.write_status(status)
    return Outcome(ok, hash_, text)
