"""Rights by kind of document. Knows no compiler, so that workers may call it."""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import Forbidden
from engine.storage.releases.documents import StoredDocument

ROOT_KINDS = frozenset({"Captcha", "Login", "Notice", "Payment", "Policy", "Settings", "Team"})
"""Kinds that only root changes: who may do what, and what is pinned. In a session they take a second factor."""


def may_change(changes: Sequence[StoredDocument], *, root: bool) -> None:
    """Refuse what its author has no right to change, by kind; a ``Forbidden`` names it."""
    for change in changes:
        if change.kind in ROOT_KINDS and not root:
            raise Forbidden(f"{change.title}: a {change.kind} is changed by root alone")


def guarded(changes: Sequence[StoredDocument]) -> bool:
    """Whether somebody in a session has to show a second factor before these go live."""
    return any(change.kind in ROOT_KINDS for change in changes)
