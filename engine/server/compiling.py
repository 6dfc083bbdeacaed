"""One compile: documents of all layers to a published release, or a status that says why not.

Runs in the watcher's process only. An unchanged set is not compiled again, the compiler's cache has it. Whatever goes
wrong, the running release stays.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import program
from engine.compiler import compile_set, read_set, spectests
from engine.compiler.cache import load_or_compile
from engine.compiler.diagnostics import Fault, has_errors
from engine.server.releases import Releases


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a compile went: whether it is the running release now, its hash, and what there is to say."""

    ok: bool
    hash: str | None
    text: str


def warm(directories: Sequence[Path]) -> None:
    """Have the compiler keep what does not change; what is wrong with the documents has been said already."""
    with suppress(Exception):  # the watcher must outlive any fault of the compiler
        sources, shared, _ = read_set([path for path in directories if path.is_dir()])
        result = compile_set(sources, shared)
        if result.artefact is not None:
            spectests.faults(result)
    # PERF: a full collection over all that is kept takes longer than an edit (0.4 s against 0.25)
    gc.collect()
    gc.freeze()


def compile_release(directories: Sequence[Path], releases: Releases) -> Outcome:
    """Read, compile and publish; the status is written in every case."""
    began = time.monotonic()
    try:
        found = [path for path in directories if path.is_dir()]
        artefact, faults, hash_ = load_or_compile(found, releases.directory / "cache")
        if artefact is None or has_errors(faults):
            return _outcome(releases, None, faults, began)
        program.load(artefact)
        releases.publish(hash_, artefact)
        return _outcome(releases, hash_, faults, began)
    except Exception as error:  # the watcher must outlive any fault of the compiler
        return _outcome(releases, None, (), began, crash=error)


def _outcome(
    releases: Releases, hash_: str | None, faults: Sequence[Fault], began: float, crash: Exception | None = None
) -> Outcome:
    text = "\n".join(fault.as_log() for fault in faults)
    if crash is not None:
        text = f"the compiler failed: {type(crash).__name__}: {crash}"
    ok = hash_ is not None
    status: dict[str, Any] = {
        "ok": ok,
        "running": hash_ if ok else releases.current(),
        "compiled": hash_,
        "time": int(time.time()),
        "seconds": round(time.monotonic() - began, 3),
        "faults": [fault.as_json() for fault in faults],
        "text": text,
    }
    releases.write_status(status)
    return Outcome(ok, hash_, text)
