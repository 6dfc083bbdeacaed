"""What an editor of documents looks at: every document with its text, what it says after ``extends``, and what the set
with changes makes of one message, hop by hop.

Runs in the compiling process, asked for at its desk; questions and answers are plain data. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.compiler import Result, check_set, read_set
from engine.compiler.diagnostics import path_text
from engine.compiler.documents import load
from engine.compiler.documents.sets import Definition, gather
from engine.compiler.standing import uncollected
from engine.compiler.translation import KINDS, WireMessage, translate
from engine.errors import GatewrightError, NotFound
from engine.program.origins import leaves
from engine.releases import changes as texts
from engine.releases.checking import Ground, compiled
from engine.storage.releases.documents import StoredDocument

_LEAVES = 4000


def shelf(ground: Ground) -> list[dict[str, Any]]:
    """All documents: {kind, name, owner, place, line}; owners are ``builtin``, ``directory``, ``git``, ``console``."""
    rows: dict[str, dict[str, Any]] = {}
    for layer, (source, name, kind, line) in _of_directories(ground.directories):
        owner = texts.BUILTIN if layer == 0 else texts.DIRECTORY
        rows[f"{kind}/{name}"] = {"kind": kind, "name": name, "owner": owner, "place": source.name, "line": line}
    for one in ground.documents:
        place = one.place or one.title
        rows[one.title] = {"kind": one.kind, "name": one.name, "owner": one.owner, "place": place, "line": one.line}
    return [rows[title] for title in sorted(rows)]


def _of_directories(directories: Sequence[Path]) -> Iterator[tuple[int, tuple[load.Source, str, str, int]]]:
    sources, _, _ = read_set([path for path in directories if path.is_dir()])
    for source in sources:
        for name, kind, line in _titles(source):
            yield source.layer, (source, name, kind, line)


@lru_cache(4 * texts.MOST_DOCUMENTS)
@uncollected()
def _titles(source: load.Source) -> list[tuple[str, str, int]]:
    """(name, kind, line) of each document of a file. PERF: the shipped files take 0.4 s of CPU to read."""
    titles: list[tuple[str, str, int]] = []
    for line, piece in texts.split(source.text):
        parsed, _ = load.parse(load.Source(source.name, "\n" * (line - 1) + piece, source.layer))
        titles += [(definition.name, definition.kind, line) for definition in gather(parsed)[0]]
    return titles


def text_of(ground: Ground, title: str) -> dict[str, Any]:
    """A document with its text; raises ``NotFound``."""
    for one in ground.documents:
        if one.title == title:
            return {"owner": one.owner, "place": one.place, "line": one.line, "text": one.text}
    found: dict[str, Any] | None = None
    for layer, (source, name, kind, line) in _of_directories(ground.directories):
        if f"{kind}/{name}" == title:
            text = next(piece for start, piece in texts.split(source.text) if start == line)
            owner = texts.BUILTIN if layer == 0 else texts.DIRECTORY
            found = {"owner": owner, "place": source.name, "line": line, "text": text}
    if found is None:
        raise NotFound(f"there is no document {title}")
    return found


def rendered(ground: Ground, changes: Sequence[StoredDocument], title: str) -> dict[str, Any]:
    """The values of a document after ``extends``, each with its origin: {origins: [{path, value, place}]}."""
    present = [path for path in ground.directories if path.is_dir()]
    sources, shared, _ = read_set(present)
    sources += texts.sources(texts.with_changes(ground.documents, changes), texts.layer_of(present))
    kind, _, name = title.partition("/")
    definition = check_set(sources, shared)[0].get(kind, name)
    if definition is None:
        raise NotFound(f"there is no document {title}")
    return {"origins": list(_origins(definition))}


def _origins(definition: Definition) -> Iterator[dict[str, Any]]:
    for number, (way, value) in enumerate(leaves(definition.data)):
        if number >= _LEAVES:
            return
        place = definition.where(way)
        yield {"path": path_text(way), "value": str(value)[:80], "place": f"{place.file}:{place.line}"}


def live(ground: Ground, changes: Sequence[StoredDocument], question: dict[str, Any]) -> dict[str, Any]:
    """What the set with changes says and does: ``faults`` as the compiler tells them, and where there is none that is
    in the way, ``steps`` ({name, value}) and ``lost`` ({path, why}) of the question's message.

    Of the question: ``source``, ``target`` (Formats), ``side`` (request, response, stream), ``message``.
    """
    checked = compiled(ground.directories, texts.with_changes(ground.documents, changes), tested=False)
    told: dict[str, Any] = {"ok": checked.ok, "faults": [fault.as_json() for fault in checked.faults]}
    if checked.ok and checked.result is not None and question.get("source"):
        told |= _hops(checked.result, question)
    return told


def _hops(result: Result, question: dict[str, Any]) -> dict[str, Any]:
    program = result.program()
    source, target = str(question["source"]), str(question.get("target") or question["source"])
    what = question.get("side") if question.get("side") in KINDS else "request"
    for name in (source, target):
        if name not in program.formats:
            return {"refused": f"there is no Format {name}"}
    try:
        done = translate(program, source, target, str(what), WireMessage(question.get("message")))
    except GatewrightError as error:
        return {"refused": str(error)}
    steps = [{"name": name, "value": value} for name, value in done.steps]
    return {"steps": steps, "lost": [{"path": path, "why": why} for path, why in done.report]}
