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
from engine.compiler import compile_set, read_set, spectests, standing
from engine.compiler.cache import load_or_compile, standing_file
from engine.compiler.diagnostics import Fault, has_errors
from engine.releases import changes
from engine.releases.store import Releases
from engine.storage.releases.documents import StoredDocument
from engine.storage.releases.trials import Trial


@dataclass(frozen=True, slots=True)
class CompileOutcome:
    """How a compile went: whether it is the running release now, its hash, and what there is to say."""

    ok: bool
    hash: str | None
    text: str


def warm(directories: Sequence[Path], releases: Releases, documents: Sequence[StoredDocument] = ()) -> None:
    """Have the compiler keep what does not change; what is wrong with the documents has been said already."""
    with suppress(Exception):  # the watcher must outlive any fault of the compiler
        file = standing_file(releases.directory / "cache")
        if not standing.take_up(file):
            present = [path for path in directories if path.is_dir()]
            sources, shared, _ = read_set(present)
            result = compile_set([*sources, *changes.sources(documents, changes.layer_of(present))], shared)
            if result.ok:
                spectests.faults(result)
                standing.put_away(file)
    # PERF: a full collection over all that is kept takes longer than an edit (0.4 s against 0.25)
    gc.collect()
    gc.freeze()


def compile_release(
    directories: Sequence[Path], releases: Releases, stored: tuple[int, Sequence[StoredDocument]] = (0, ())
) -> CompileOutcome:
    """Read, compile and publish; the status is written in every case. ``stored`` is the database's newest release."""
    began = time.monotonic()
    number, documents = stored
    try:
        artefact, faults, hash_ = _compiled(directories, releases, documents)
        if artefact is None or has_errors(faults):
            return _outcome(releases, None, faults, began, number)
        program.load(artefact)
        releases.publish(hash_, artefact)
        return _outcome(releases, hash_, faults, began, number)
    except Exception as error:  # the watcher must outlive any fault of the compiler
        return _outcome(releases, None, (), began, number, crash=error)


def compile_trial(
    directories: Sequence[Path], releases: Releases, documents: Sequence[StoredDocument], trial: Trial
) -> dict[str, Any]:
    """Compile the documents of the database as a trial would make them, and keep the program beside the running one.

    Gives what workers are told of it: ``id``, ``hash``, or ``why`` it can't run.
    """
    try:
        wanted = changes.with_changes(documents, trial.changes)
        artefact, faults, hash_ = _compiled(directories, releases, wanted)
        if artefact is None or has_errors(faults):
            first = next((fault for fault in faults if fault.severity == "error"), None)
            return {"id": trial.id, "hash": "", "why": first.as_log() if first is not None else "it has faults"}
        releases.keep(hash_, artefact)
        return {"id": trial.id, "hash": hash_, "why": ""}
    except Exception as error:  # as above
        return {"id": trial.id, "hash": "", "why": f"the compiler failed: {type(error).__name__}"}


def _compiled(
    directories: Sequence[Path], releases: Releases, documents: Sequence[StoredDocument]
) -> tuple[bytes | None, list[Fault], str]:
    present = [path for path in directories if path.is_dir()]
    more = changes.sources(documents, changes.layer_of(present))
    return load_or_compile(present, releases.directory / "cache", more)


def _outcome(
    releases: Releases,
    hash_: str | None,
    faults: Sequence[Fault],
    began: float,
    newest: int,
    crash: Exception | None = None,
) -> CompileOutcome:
    text = "\n".join(fault.as_log() for fault in faults)
    if crash is not None:
        text = f"the compiler failed: {type(crash).__name__}: {crash}"
    ok = hash_ is not None
    status: dict[str, Any] = {
        "ok": ok,
        "running": hash_ if ok else releases.current(),
        "compiled": hash_,
        "release": newest if ok else int(releases.status().get("release") or 0),
        "newest": newest,
        "time": int(time.time()),
        "seconds": round(time.monotonic() - began, 3),
        "faults": [fault.as_json() for fault in faults],
        "text": text,
    }
    releases.write_status(status)
    return CompileOutcome(ok, hash_, text)
