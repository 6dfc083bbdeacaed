"""Publish: changes become a release, on the base that they were checked on or not at all; and the way back.

Whoever publishes has compiled the set first (``checking``): what has faults goes no further. The release itself is one
transaction; every machine takes it up by itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from engine.errors import Conflict, Unavailable
from engine.releases.checking import Check, Ground, check
from engine.storage.database import Database
from engine.storage.releases import canaries, documents, machines
from engine.storage.releases.documents import Author, StoredDocument

__all__ = ["Author", "apply_changes", "back_to", "ground", "publish", "publish_checked", "rollback", "wait"]


def ground(db: Database, directories: Sequence[Path]) -> Ground:
    """What is in force now, read from the database."""
    number, set_ = documents.listed(db)
    return Ground(directories, number, set_)


def publish(
    db: Database,
    base: Ground,
    changes: Sequence[StoredDocument],
    author: Author,
    *,
    message: str = "",
    source: str = "",
    moved: frozenset[str] = frozenset(),
    canary: int | None = None,
) -> tuple[int, Check]:
    """Check changes and make a release of them; its number (0 with faults: then nothing changed) and the check.

    ``canary``: they are those of it, and it ends with that; another one that runs is dropped. A ``Conflict`` where
    another release came after ``base``.
    """
    documents.unmoved(db, base.number)
    checked = check(base, changes, moved=moved)
    if not checked.ok:
        return 0, checked
    number = publish_checked(db, base.number, changes, author, message=message, source=source, canary=canary)
    return number, checked


def publish_checked(
    db: Database,
    base: int,
    changes: Sequence[StoredDocument],
    author: Author,
    *,
    message: str = "",
    source: str = "",
    canary: int | None = None,
) -> int:
    """Make a release of changes that were checked on release ``base``; a ``Conflict`` where another came first."""
    if not changes:
        raise Conflict("there is nothing to publish: no document differs")
    also = partial(canaries.released, db, canary, author)
    return documents.publish(db, base, changes, author, message=message, source=source, also=also)


def apply_changes(
    now: Sequence[StoredDocument],
    wanted: Sequence[StoredDocument],
    owner: str,
    *,
    prune: bool,
    selector: Mapping[str, str] = MappingProxyType({}),
) -> list[StoredDocument]:
    """What has to change so that the wanted documents are there as they are written, whoever owns them.

    Only ``prune`` takes away what the owner has besides, and of that only what bears all labels of ``selector``.
    """
    before = {one.title: one for one in now}
    titles = {one.title for one in wanted}
    fresh = [one for one in wanted if (there := before.get(one.title)) is None or there.text != one.text]
    gone = [one for one in now if prune and one.owner == owner and one.title not in titles]
    return fresh + [_without(one) for one in gone if selector.items() <= one.labels.items()]


def _same(there: StoredDocument | None, wanted: StoredDocument) -> bool:
    return there is not None and (there.owner, there.text) == (wanted.owner, wanted.text)


def _without(one: StoredDocument) -> StoredDocument:
    return StoredDocument(one.kind, one.name, one.owner, None, one.place, one.line)


def back_to(db: Database, number: int) -> list[StoredDocument]:
    """The changes that lead from the newest release back to what release ``number`` held."""
    now = {one.title: one for one in documents.listed(db)[1]}
    then = {one.title: one for one in documents.at(db, number)}
    changed = [one for title, one in then.items() if not _same(now.get(title), one)]
    return changed + [_without(one) for title, one in now.items() if title not in then]


def rollback(db: Database, directories: Sequence[Path], number: int, author: Author, message: str = "") -> int:
    """Make the documents what release ``number`` held, as a release of its own; gives its number.

    A ``Conflict`` where it would not compile any more, with the first fault, and where there is nothing to change.
    """
    base = ground(db, directories)
    changes = back_to(db, number)
    if not changes:
        raise Conflict(f"the documents are those of release {number} already")
    titles = frozenset(one.title for one in changes)
    words = message or f"back to release {number}"
    made, checked = publish(db, base, changes, author, message=words, source=f"release {number}", moved=titles)
    if not made:
        first = next(fault for fault in checked.faults if fault.severity == "error")
        raise Conflict(f"release {number} does not go with what is there now: {first.as_log()}")
    return made


def wait(db: Database, number: int, seconds: float = 30.0) -> list[machines.Machine]:
    """Wait until every machine that is heard of runs release ``number`` or a later one; gives the machines.

    An ``Unavailable`` names those that do not, with their reason.
    """
    end = time.monotonic() + seconds
    while True:
        there = [one for one in machines.listed(db) if not one.silent]
        behind = [one for one in there if one.release < number]
        if not behind:
            return there
        refused = [one for one in behind if not one.ok and int(one.report.get("newest") or 0) >= number]
        if refused or time.monotonic() > end:
            words = "; ".join(f"{one.name} runs {one.release}" + _why(one) for one in refused or behind)
            raise Unavailable(f"release {number} is published, but does not run everywhere: {words}")
        time.sleep(0.1)


def _why(machine: machines.Machine) -> str:
    faults = machine.report.get("faults") or [""]
    return f": {faults[0]}" if faults[0] else ""
