"""Check: the whole set as changes would make it, compiled, with its tests; every fault has its place.

Nothing is changed. Beside what the compiler finds stand the faults of ownership: a document of the database belongs to
one owner, and nobody else changes it unless it is moved on purpose (``adopt``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.compiler import Fault, Result, check_set, read_set, spectests
from engine.compiler.checks import settings
from engine.compiler.diagnostics import Place, has_errors, in_order
from engine.compiler.documents import extends
from engine.compiler.documents.sets import Definitions
from engine.compiler.known import known
from engine.compiler.standing import uncollected
from engine.releases import changes as texts
from engine.storage.releases.documents import StoredDocument


@dataclass(frozen=True, slots=True)
class Ground:
    """What changes are made on: layers of directories, the lowest first, and release ``number`` with its documents."""

    directories: Sequence[Path]
    number: int = 0
    documents: Sequence[StoredDocument] = ()


@dataclass(slots=True)
class Check:
    """What came of a check. ``documents`` are those of the database as they would be; without faults it may go live."""

    documents: list[StoredDocument]
    faults: list[Fault] = field(default_factory=list)
    result: Result | None = None
    tests: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is in the way."""
        return not has_errors(self.faults)


def check(ground: Ground, changes: Sequence[StoredDocument], *, moved: frozenset[str] = frozenset()) -> Check:
    """Compile the set with changes and run its tests. Titles in ``moved`` may take another owner."""
    would_be = texts.with_changes(ground.documents, changes)
    faults = ownership(ground.documents, changes, moved) + misnamed(changes)
    if len(would_be) > texts.MOST_DOCUMENTS:
        what = f"there would be {len(would_be):,} documents of your own; {texts.MOST_DOCUMENTS:,} may be"
        faults.append(Fault("too-large", what, Place(texts.place_of(would_be[-1]))))
        return Check(would_be, faults)
    checked = compiled(ground.directories, would_be)
    checked.faults = in_order([*faults, *checked.faults])
    return checked


@uncollected()
def compiled(directories: Sequence[Path], documents: Sequence[StoredDocument], *, tested: bool = True) -> Check:
    """Compile documents over directories, and run their tests unless they are known to pass."""
    present = [path for path in directories if path.is_dir()]
    sources, shared, faults = read_set(present)
    sources += texts.sources(documents, texts.layer_of(present))
    set_ = known(sources, shared)
    result, tests = set_.result, 0
    faults += result.faults
    if result.ok and tested:
        tests = len(set_.tests())
        faults += spectests.failed(set_.tests())
    return Check(list(documents), faults, result, tests)


def ownership(
    documents: Sequence[StoredDocument], changes: Sequence[StoredDocument], moved: frozenset[str] = frozenset()
) -> list[Fault]:
    """Changes of documents that belong to another owner, and names that differ from another's by case alone."""
    known = {one.title: one for one in documents}
    folded = {one.title.lower(): one.title for one in documents}
    faults: list[Fault] = []
    for change in changes:
        place = Place(texts.place_of(change), change.line)
        there = known.get(change.title)
        if there is not None and there.owner != change.owner and change.title not in moved:
            message = (
                f"{change.title} belongs to {there.owner} ({texts.place_of(there)}:{there.line}) and is changed there;"
                f" to move it: gatewright docs adopt {change.title} --to {change.owner}"
            )
            faults.append(Fault("another-owner", message, place, document=change.title))
        twin = folded.setdefault(change.title.lower(), change.title)
        if change.text is not None and twin != change.title:
            message = f"{change.title} and {twin} differ by case alone; give one of them another name"
            faults.append(Fault("wrong-value", message, place, "metadata.name", document=change.title))
    return faults


def misnamed(changes: Sequence[StoredDocument]) -> list[Fault]:
    """Texts that are of another document than the one that they are handed in for, or of more than one."""
    faults: list[Fault] = []
    for change in changes:
        if change.text is None:
            continue
        pieces, wrong = texts.of_text(change.text, change.owner, change.place)
        titles = [one.title for one in pieces]
        if has_errors(wrong):
            faults += [fault for fault in wrong if fault.code == "too-large"]  # all else the compiler finds as well
        elif titles != [change.title]:
            message = f"the text is of {', '.join(titles) or 'no document'}, and was handed in for {change.title}"
            faults.append(Fault("wrong-value", message, Place(texts.place_of(change), change.line), "metadata.name"))
    return faults


def policy_of(ground: Ground) -> dict[str, Any]:
    """The merged Policy in force. PERF: read only where a document of one's own says what releases ask it for."""
    definitions = _where_said(ground, "approval", "signers")
    merged: dict[str, Any] = {}
    for definition in sorted(definitions.of("Policy"), key=lambda one: one.layer):
        merged = extends.merge(merged, definition.spec)
    return merged


def pinned_of(ground: Ground) -> dict[str, tuple[str, str]]:
    """Texts and places of the options that documents pin, by name. PERF: as ``policy_of``."""
    return {name: (text, place) for name, (text, place) in settings.pinned(_where_said(ground, "Settings")).items()}


def _where_said(ground: Ground, *words: str) -> Definitions:
    """The definitions in force; none where no document of one's own holds one of the words."""
    present = [path for path in ground.directories if path.is_dir()]
    sources, shared, _ = read_set(present)
    sources += texts.sources(ground.documents, texts.layer_of(present))
    if not any(word in source.text for source in sources if source.layer for word in words):
        return Definitions()
    return check_set(sources, shared)[0]
