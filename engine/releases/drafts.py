"""Drafts: changes of several documents that one author makes before anybody else sees them.

A draft is saved with faults and all; publishing it is what asks for a set without. Brought onto a newer release in one
step (``rebased``), where a document that both changed is told and not lost. Knows no compiler: workers may call it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.storage.database import Database
from engine.storage.releases import documents, drafts
from engine.storage.releases.documents import StoredDocument
from engine.storage.releases.drafts import Draft

__all__ = ["Draft", "Rebased", "put", "rebase"]


@dataclass(frozen=True, slots=True)
class Rebased:
    """A draft on the newest release, and the titles that were changed there as well."""

    draft: Draft
    both: tuple[str, ...]


def put(draft: Draft, change: StoredDocument) -> Draft:
    """The draft with one more change in it; it takes the place of an earlier one of the same document."""
    others = tuple(one for one in draft.changes if one.title != change.title)
    return replace(draft, changes=(*others, change))


def rebase(db: Database, draft: Draft) -> Rebased:
    """Bring a draft onto the newest release and save it; nothing of its texts is changed."""
    number, now = documents.listed(db)
    both = overtaken(draft, documents.at(db, draft.base), now)
    return Rebased(drafts.save(db, replace(draft, base=number)), both)


def overtaken(draft: Draft, base: Sequence[StoredDocument], now: Sequence[StoredDocument]) -> tuple[str, ...]:
    """The documents of a draft that others have changed since its base."""
    before = {one.title: one.hash for one in base}
    after = {one.title: one.hash for one in now}
    return tuple(one.title for one in draft.changes if before.get(one.title) != after.get(one.title))
