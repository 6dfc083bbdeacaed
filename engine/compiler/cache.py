"""Cache: a compiled artefact by the content of the files it was made from, so that a later start compiles nothing.

Takes directories of documents and a directory to keep artefacts in; gives the artefact, findings and the release hash.
Only clean sets are kept. A file that can't be read or was made by another program is compiled anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from engine import __version__, program
from engine.compiler import Fault, Source, compile_set, read_set, spectests, standing
from engine.compiler.diagnostics import has_errors
from engine.compiler.known import find

_ENGINE = Path(__file__).resolve().parent.parent
_KEPT = 8


def load_or_compile(
    directories: list[Path], cache_dir: Path | None = None, more: Sequence[Source] = (), *, keep: bool = True
) -> tuple[bytes | None, list[Fault], str]:
    """(artefact or None, findings, release hash) of the documents in these directories, the lowest layer first, and of
    ``more``.

    The documents' own tests are run too, and one that fails is a fault. ``keep=False`` reads the cache alone.
    """
    sources, shared, faults = read_set(directories)
    sources += more
    key = source_key(sources, shared)
    cached = None if cache_dir is None or faults else _read(cache_dir / f"{key}.json", cache_dir / f"{key}.gwp")
    if cached is not None:
        return cached[0], [], cached[1]
    if cache_dir is not None:
        standing.take_up(standing_file(cache_dir))
    known = find(sources, shared)  # PERF: what was published here a moment ago is not compiled again
    result = known.result if known is not None else compile_set(sources, shared)
    faults = faults + result.faults
    if result.ok:
        faults += spectests.failed(known.tests()) if known is not None else spectests.faults(result)
    artefact = None if has_errors(faults) else result.artefact
    if keep and cache_dir is not None and artefact is not None:
        if not faults:
            _write(cache_dir, key, artefact, result.hash)
        standing.put_away(standing_file(cache_dir))
    return artefact, faults, result.hash


def standing_file(cache_dir: Path, users: str = "server") -> Path:
    """Where the work of processes lies that name files alike; that of other programs is not looked at."""
    digest = hashlib.sha256(f"{__version__} {program.VERSION} {_engine_key()}".encode() + program.PYTHON)
    return cache_dir / f"{users}-{digest.hexdigest()[:16]}.work"


def source_key(sources: list[Source], shared: list[Source]) -> str:
    """What an artefact depends on: every file's text, its name and layer, this program's own text, and Python."""
    digest = hashlib.sha256(f"{__version__} {program.VERSION} {_engine_key()}\n".encode())
    digest.update(program.PYTHON)
    for source in [*sources, *shared]:
        head = json.dumps([source.name, source.layer, len(source.text)])
        digest.update(head.encode() + b"\n" + source.text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


@cache
def _engine_key() -> str:
    """The compiler with all that it and its output call; a changed checkout must not run an old artefact."""
    digest = hashlib.sha256()
    for room in ("compiler", "filters", "hub", "program", "strategies"):
        for path in sorted((_ENGINE / room).rglob("*")):
            if path.suffix in (".py", ".json"):
                digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _read(facts: Path, file: Path) -> tuple[bytes, str] | None:
    try:
        record = json.loads(facts.read_text(encoding="utf-8"))
        artefact = file.read_bytes()
        fits = hashlib.sha256(artefact).hexdigest() == record["sha256"]
        release = str(record["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (artefact, release) if fits else None


def _write(directory: Path, key: str, artefact: bytes, release: str) -> None:
    """Keep an artefact; the facts are written last, so that half a pair is never read."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _replace(directory / f"{key}.gwp", artefact)
        facts = {"sha256": hashlib.sha256(artefact).hexdigest(), "hash": release}
        _replace(directory / f"{key}.json", json.dumps(facts).encode())
        _forget(directory)
    except OSError:
        # A cache that can't be written costs time at the next start and nothing else.
        return


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)


def _forget(directory: Path) -> None:
    entries = sorted(directory.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for facts in entries[_KEPT:]:
        facts.unlink(missing_ok=True)
        facts.with_suffix(".gwp").unlink(missing_ok=True)
