"""Texts that people hand in, as changes of single documents; and documents as what the compiler takes.

A file may hold several documents. Each becomes a change of its own, byte for byte, with the line on which it begins,
so that faults name the places of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from engine.compiler import Fault, Source
from engine.compiler.diagnostics import Place, has_errors
from engine.compiler.documents import load, sets
from engine.storage.releases.documents import StoredDocument

BUILTIN, DIRECTORY, GIT, CONSOLE = "builtin", "directory", "git", "console"
STORED = (GIT, CONSOLE)
"""Owners whose documents lie in the database."""
MOST_BYTES = 1024 * 1024
MOST_DOCUMENTS = 2000
_SEPARATOR = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_EMPTY = re.compile(r"\s*(#.*|%.*|---\s*(#.*)?|\.\.\.\s*)?")


def split(text: str) -> list[tuple[int, str]]:
    """The documents of a file, each with the line on which it begins; together they are the file."""
    starts = [0, *(match.start() for match in _SEPARATOR.finditer(text) if match.start())]
    pieces: list[tuple[int, str]] = []
    held, first = "", 0
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        first = first if held else start
        held += text[start:end]
        if not all(_EMPTY.fullmatch(line) for line in held.removeprefix("\ufeff").splitlines()):
            pieces.append((text.count("\n", 0, first) + 1, held))
            held = ""
    if held and pieces:
        pieces[-1] = (pieces[-1][0], pieces[-1][1] + held)
    return pieces


def of_text(text: str, owner: str, place: str = "") -> tuple[list[StoredDocument], list[Fault]]:
    """The documents of a file as changes, and what keeps a piece of it from being one."""
    shown = f"{owner}:{place}" if place else owner
    if len(text.encode()) > MOST_BYTES:
        what = f"the file has {len(text.encode()):,} bytes; a document may have {MOST_BYTES:,}: split it"
        return [], [Fault("too-large", what, Place(shown))]
    changes: list[StoredDocument] = []
    faults: list[Fault] = []
    for line, piece in split(text):
        parsed, wrong = load.parse(Source(shown, "\n" * (line - 1) + piece))
        definitions, unnamed = sets.gather(parsed)
        faults += [*wrong, *unnamed]
        for definition in definitions:
            labels = (definition.data.get("metadata") or {}).get("labels")
            labels = {str(k): str(v) for k, v in labels.items()} if isinstance(labels, dict) else {}
            changes.append(StoredDocument(definition.kind, definition.name, owner, piece, place, line, labels))
    return changes, faults


def of_files(files: Mapping[str, str], owner: str) -> tuple[list[StoredDocument], list[Fault]]:
    """The documents of files, by their places, as changes of an owner."""
    documents: list[StoredDocument] = []
    faults: list[Fault] = []
    for place, text in sorted(files.items()):
        more, wrong = of_text(text, owner, place)
        documents += more
        faults += wrong
    return documents, faults + list(_twice(documents))


def read_files(directory: Path) -> tuple[dict[str, str], list[Fault]]:
    """The text of every document's file below a directory (or of one file), by its path in it."""
    sources, faults = load.read(directory, 0, shown="" if directory.is_dir() else directory.name)
    return {source.name: source.text for source in sources}, faults


def _twice(documents: Iterable[StoredDocument]) -> Iterator[Fault]:
    seen: dict[str, StoredDocument] = {}
    for one in documents:
        first = seen.setdefault(one.title, one)
        if first is not one:
            message = f"{one.title} is defined twice; the first stands at {place_of(first)}:{first.line}"
            yield Fault("duplicate-document", message, Place(place_of(one), one.line), document=one.title)


def sources(documents: Iterable[StoredDocument], layer: int) -> list[Source]:
    """What the compiler reads of documents of the database, each under the name of its place."""
    return [Source(place_of(one), "\n" * (one.line - 1) + one.text, layer) for one in documents if one.text is not None]


def place_of(document: StoredDocument) -> str:
    """Where people find a document of the database: its owner, and the file there or its name."""
    return f"{document.owner}:{document.place or document.title}"


def layer_of(directories: Sequence[Path]) -> int:
    """The layer of documents of the database: that of the operator's own directory, so that none wins in silence."""
    return max(1, len(directories) - 1)


def with_changes(documents: Iterable[StoredDocument], changes: Iterable[StoredDocument]) -> list[StoredDocument]:
    """The documents as they would be after changes."""
    set_ = {one.title: one for one in documents}
    for change in changes:
        set_.pop(change.title, None)
        if change.text is not None:
            set_[change.title] = change
    return [set_[title] for title in sorted(set_)]


def bad(faults: Sequence[Fault]) -> bool:
    """Whether faults are in the way."""
    return has_errors(faults)
