"""What lists and pages tell of documents and releases, as plain data: the same for the command line and the API.

Knows no compiler, so that workers may call it.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from engine.releases import history
from engine.releases.canary import Rules, tally
from engine.releases.captured import telling as captured
from engine.releases.permission import approval
from engine.storage.database import Database
from engine.storage.releases import canaries as stored_canaries
from engine.storage.releases import documents, machines
from engine.storage.releases import trials as stored_trials
from engine.storage.releases.canaries import Canary
from engine.storage.releases.documents import Release, StoredDocument
from engine.storage.releases.drafts import Draft


def status(db: Database) -> dict[str, Any]:
    """The newest release, and what each machine runs.

    ``machines``: {name, release, program, ok, silent, faults, git, since, seen}; ``same`` says whether every machine
    that is heard of runs the newest.
    """
    number = documents.head(db)
    newest = _release(documents.release(db, number)) if number else None
    told = [
        {
            "name": one.name,
            "release": one.release,
            "program": one.program,
            "ok": one.ok,
            "silent": one.silent,
            "faults": one.report.get("faults") or [],
            "git": one.report.get("git"),
            "since": one.changed_at,
            "seen": one.seen_at,
        }
        for one in machines.listed(db)
    ]
    same = all(one["release"] == number and one["ok"] for one in told if not one["silent"])
    return {"release": newest, "machines": told, "same": same}


def releases(db: Database, *, offset: int = 0, limit: int = 50) -> list[dict[str, Any]]:
    """Releases, the newest first: as ``Release``."""
    return [_release(one) for one in documents.newest(db, offset=offset, limit=limit)]


def release(db: Database, number: int) -> dict[str, Any]:
    """A release with what it changed."""
    one = documents.release(db, number)
    return {**_release(one), "documents": _differences(history.diff(db, one.parent, number))}


def diff(db: Database, older: int, newer: int) -> list[dict[str, Any]]:
    """What differs between two releases: {title, what, owner, diff}."""
    return _differences(history.diff(db, older, newer))


def listed(db: Database, kind: str = "", owner: str = "", *, text: bool = False) -> dict[str, Any]:
    """Documents of the database, and the release that they are of."""
    number, set_ = documents.listed(db)
    chosen = [one for one in set_ if kind in ("", one.kind) and owner in ("", one.owner)]
    return {"release": number, "documents": [document(one, text=text) for one in chosen]}


def one(db: Database, kind: str, name: str) -> dict[str, Any]:
    """A document with its text."""
    return document(documents.one(db, kind, name))


def revisions(db: Database, kind: str, name: str, *, limit: int = 100) -> list[dict[str, Any]]:
    """The revisions of a document, the newest first, each with a diff to the one before."""
    found = history.revisions(db, kind, name, limit=limit)
    told = []
    for index, revision in enumerate(found):
        before = found[index + 1].document if index + 1 < len(found) else None
        was = before if before is not None and before.text is not None else None
        now = revision.document if revision.document.text is not None else None
        told.append(
            {
                **_release(revision.release),
                "what": history.what(was, now),
                "owner": revision.document.owner,
                "diff": history.unified(revision.document.title, was, now),
            }
        )
    return told


def blame(db: Database, kind: str, name: str) -> list[dict[str, Any]]:
    """The lines of a document: {number, release, username, created_at, text}."""
    return [
        {
            "number": number,
            "release": line.release.number,
            "username": line.release.username,
            "created_at": line.release.created_at,
            "text": line.text.rstrip("\r\n"),
        }
        for number, line in enumerate(history.blame(db, kind, name), 1)
    ]


def document(one: StoredDocument, *, text: bool = True) -> dict[str, Any]:
    """A document as plain data."""
    told = {
        "kind": one.kind,
        "name": one.name,
        "owner": one.owner,
        "place": one.place,
        "line": one.line,
        "labels": dict(one.labels),
        "release": one.release,
        "hash": one.hash,
    }
    return {**told, "text": one.text} if text else told


def draft(db: Database, one: Draft) -> dict[str, Any]:
    """A draft as plain data, with the names of those who approved it as it stands."""
    return {
        "id": one.id,
        "name": one.name,
        "base": one.base,
        "user_id": one.author.id,
        "username": one.author.name,
        "message": one.message,
        "version": one.version,
        "changed_at": one.changed_at,
        "changes": [{"kind": change.kind, "name": change.name, "text": change.text} for change in one.changes],
        "approved_by": approval.approved_by(db, one),
    }


def captures(db: Database, *, limit: int = 50, **equal: Any) -> list[dict[str, Any]]:
    """Exchanges that are kept, the newest first, without what was said."""
    return captured.listed(db, limit=limit, **equal)


def capture(db: Database, id: str) -> dict[str, Any]:  # noqa: A002 - the name in the route
    """An exchange with what was said."""
    return captured.one(db, id)


def watched(db: Database) -> list[dict[str, Any]]:
    """The keys whose exchanges are kept."""
    return captured.keys(db)


def trials(db: Database) -> list[dict[str, Any]]:
    """What runs on trial: {id, name, base, user_id, username, documents, created_at, until}."""
    return [
        {
            "id": one.id,
            "name": one.name,
            "base": one.base,
            "user_id": one.author.id,
            "username": one.author.name,
            "documents": [change.title for change in one.changes],
            "created_at": one.created_at,
            "until": one.until,
        }
        for one in stored_trials.listed(db)
    ]


def canaries(db: Database, *, limit: int = 20) -> list[dict[str, Any]]:
    """Canaries, the newest first: as ``canary``."""
    return [_canary(db, one) for one in stored_canaries.newest(db, limit)]


def canary(db: Database, number: int) -> dict[str, Any]:
    """A canary with its rules, the last look at it (``verdict``) and its sums as they stand now (``tally``)."""
    return _canary(db, stored_canaries.one(db, number))


def _canary(db: Database, one: Canary) -> dict[str, Any]:
    facts = {
        name: getattr(one, name)
        for name in ("number", "trial", "name", "state", "reason", "looks", "begun_at", "ended_at")
    }
    rules = Rules.of(one.rules)
    return {
        **facts,
        "rules": rules.as_json(),
        "user_id": one.author.id,
        "username": one.author.name,
        "verdict": one.verdict or None,
        "tally": tally(rules, stored_canaries.counts(db, one.number, rules.by)),
    }


def _release(one: Release) -> dict[str, Any]:
    return asdict(one)


def _differences(found: list[history.Difference]) -> list[dict[str, Any]]:
    return [{"title": one.title, "what": one.what, "owner": one.owner, "diff": one.text} for one in found]
