"""What was changed, by whom, when and why: of one document, of its lines, and between two releases.

Knows no compiler, so that workers may call it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from engine.errors import NotFound
from engine.storage.database import Database
from engine.storage.releases import documents
from engine.storage.releases.documents import Release, StoredDocument


@dataclass(frozen=True, slots=True)
class Revision:
    """A document as a release left it (no text: taken away), and that release."""

    release: Release
    document: StoredDocument


@dataclass(frozen=True, slots=True)
class BlamedLine:
    """A line of a document and the release that wrote it."""

    release: Release
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A document that differs. ``what`` is added, changed, removed or moved; ``text`` is a unified diff."""

    title: str
    what: str
    owner: str
    text: str


def revisions(db: Database, kind: str, name: str, *, limit: int = 100) -> list[Revision]:
    """The revisions of a document, the newest first; a ``NotFound`` where the database never had it."""
    rows = [Revision(*pair) for pair in documents.history(db, kind, name, limit=limit)]
    if not rows:
        raise NotFound(f"the database never had a document {kind}/{name}")
    return rows


def blame(db: Database, kind: str, name: str) -> list[BlamedLine]:
    """Each line of a document with the release that wrote it."""
    lines: list[BlamedLine] = []
    for revision in reversed(revisions(db, kind, name, limit=10_000)):
        texts = (revision.document.text or "").splitlines(keepends=True)
        matcher = difflib.SequenceMatcher(None, [line.text for line in lines], texts, autojunk=False)
        fresh: list[BlamedLine] = []
        for tag, start, end, first, last in matcher.get_opcodes():
            kept = tag == "equal"
            fresh += lines[start:end] if kept else [BlamedLine(revision.release, text) for text in texts[first:last]]
        lines = fresh
    return lines


def diff(db: Database, older: int, newer: int) -> list[Difference]:
    """What differs between two releases, by document."""
    return differences(documents.at(db, older), documents.at(db, newer))


def differences(before: list[StoredDocument], after: list[StoredDocument]) -> list[Difference]:
    """What differs between two sets of documents."""
    old = {one.title: one for one in before}
    new = {one.title: one for one in after}
    found: list[Difference] = []
    for title in sorted({*old, *new}):
        was, now = old.get(title), new.get(title)
        if was is not None and now is not None and (was.text, was.owner) == (now.text, now.owner):
            continue
        owner = (now or was or after[0]).owner
        found.append(Difference(title, what(was, now), owner, unified(title, was, now)))
    return found


def what(was: StoredDocument | None, now: StoredDocument | None) -> str:
    """Whether a document was added, removed, changed, or moved to another owner."""
    if was is None or now is None:
        return "added" if was is None else "removed"
    return "changed" if was.text != now.text else "moved"


def unified(title: str, was: StoredDocument | None, now: StoredDocument | None) -> str:
    """A unified diff of two texts of a document."""
    before, after = ((one.text or "" if one is not None else "").splitlines(keepends=True) for one in (was, now))
    older, newer = (f"{one.owner}/{title}" if one is not None else "/dev/null" for one in (was, now))
    lines = difflib.unified_diff(before, after, older, newer)
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)
