"""Approval: where a Policy wants it, a change goes live only after another person than its author has looked at it.

What is approved is a set of changes, each from one text to another: whoever changes a word of them, or what they stand
on, asks anew. Policies themselves always count once one wants approval. Documents of Git are approved where they are
merged, and going back to an earlier release needs nobody, as both are at night. Knows no compiler.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import Conflict, Forbidden
from engine.releases.permission.kinds import may_change
from engine.storage.database import Database
from engine.storage.releases import approvals, documents
from engine.storage.releases.documents import Author, StoredDocument
from engine.storage.releases.drafts import Draft

GIT = Author(0, "git")
"""Who publishes what a remote says."""
_ALWAYS = "Policy"


def same(one: Author, other: Author) -> bool:
    """Whether two are one person: users go by their number, as names can be changed; who has none, by the name."""
    return one.id == other.id if one.id or other.id else one.name == other.name


def wanted(policy: Mapping[str, Any], changes: Sequence[StoredDocument]) -> list[str]:
    """The titles of changes that another person has to approve, by the merged Policy in force."""
    rule = policy.get("approval")
    if not rule:
        return []
    kinds = rule.get("kinds")
    return [one.title for one in changes if not kinds or one.kind in kinds or one.kind == _ALWAYS]


def fingerprint(changes: Sequence[StoredDocument], before: Sequence[StoredDocument]) -> str:
    """What is approved: each change with the text that it stands on."""
    known = {one.title: one.hash for one in before}
    lines = sorted(f"{one.owner} {one.title} {known.get(one.title, '')} {one.hash}\n" for one in changes)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def need(
    db: Database,
    policy: Mapping[str, Any],
    changes: Sequence[StoredDocument],
    before: Sequence[StoredDocument],
    author: Author,
) -> None:
    """Refuse changes that nobody else than ``author`` has approved, where that is wanted."""
    titles = wanted(policy, changes) if author != GIT else []
    if not titles or any(not same(by, author) for by, _ in approvals.of(db, fingerprint(changes, before))):
        return
    shown = ", ".join(titles[:3]) + (f" and {len(titles) - 3} more" if len(titles) > 3 else "")
    raise Forbidden(
        f"a Policy wants that another person approves {shown}; nothing was changed: keep it as a draft"
        " (gatewright apply DIR --draft NAME), which somebody else approves"
        " (gatewright releases draft approve ID, or in the console)"
    )


def approve(db: Database, draft: Draft, author: Author, *, root: bool) -> list[str]:
    """Note that a person approves a draft as it stands; who has. Refuses those who wrote at it."""
    if any(same(author, hand) for hand in draft.hands):
        raise Forbidden(f"{author.name} wrote this draft, or a part of it: another person has to approve it")
    may_change(draft.changes, root=root)
    _, before = documents.listed(db)
    approvals.add(db, fingerprint(draft.changes, before), author)
    return approved_by(db, draft, before)


def unsaved(draft: Draft, read: int) -> None:
    """A ``Conflict`` where a draft is not the one any more that was read."""
    if read != draft.version:
        raise Conflict(f"the draft was saved meanwhile (version {draft.version}, you read {read}): read it again")


def approved_by(db: Database, draft: Draft, before: Sequence[StoredDocument] | None = None) -> list[str]:
    """The names of those who approved a draft as it stands now."""
    known = documents.listed(db)[1] if before is None else before
    return [by.name for by, _ in approvals.of(db, fingerprint(draft.changes, known))]
