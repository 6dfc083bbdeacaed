"""Rows as documents have it: who changed a channel or an option, when, from what to what; blame, difference and undo.

An undo puts back what one revision changed, and nothing else: it is refused where something of that was changed again.
Of secrets nothing is kept, so they stay as they are; a channel that was deleted comes back switched off, without a key.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from engine.catalogue import options
from engine.errors import Conflict, Invalid, NotFound
from engine.storage.database import Database
from engine.storage.releases import rows
from engine.storage.releases.rows import CHANNEL, OPTION, SECRETS, RowRevision
from engine.storage.rows import channel_edits
from engine.storage.rows import options as stored_options
from engine.storage.values import DISABLED

_KINDS = (CHANNEL, OPTION)
_MOST = 10_000


def named(db: Database, kind: str, name: str) -> tuple[str, str]:
    """The kind and name that revisions go by; a channel may be meant by its name, where one alone bears it."""
    kind = kind.lower()
    if kind not in _KINDS:
        raise Invalid("kind", f"{kind[:40]!r} is no kind of row", f"one of {', '.join(_KINDS)}")
    if kind == OPTION or (name.isascii() and name.isdigit()):
        return kind, name
    ids = [row["id"] for row in channel_edits.listed(db) if row.get("name") == name]
    if len(ids) != 1:
        raise NotFound(f"{len(ids) or 'no'} channels are called {name[:80]!r}: name one by its number")
    return kind, str(ids[0])


def history(db: Database, kind: str, name: str, *, limit: int = 100) -> list[dict[str, Any]]:
    """The revisions of a row, the newest first, each with what it changed."""
    found = rows.of(db, *named(db, kind, name), limit=limit)
    if not found:
        raise NotFound(f"nothing is noted of {kind} {name[:80]}")
    return [told(one) for one in found]


def told(one: RowRevision) -> dict[str, Any]:
    """A revision as plain data: its columns, ``what`` (added, changed, removed) and ``diff``."""
    what = "added" if one.before is None else "removed" if one.after is None else "changed"
    return {**asdict(one), "what": what, "diff": _unified(one.kind, one.name, one.before, one.after)}


def blame(db: Database, kind: str, name: str) -> list[dict[str, Any]]:
    """Each member of a row with the revision that wrote it: {member, value, revision, username, created_at}."""
    found = rows.of(db, *named(db, kind, name), limit=_MOST)
    if not found:
        raise NotFound(f"nothing is noted of {kind} {name[:80]}")
    lines: dict[str, dict[str, Any]] = {}
    members: Mapping[str, Any] = {}
    for one in reversed(found):
        fresh = _members(one.after)
        facts = {"revision": one.id, "username": one.username, "created_at": one.created_at}
        lines = {
            member: lines[member]
            if member in lines and member in members and members[member] == value
            else {"member": member, "value": value, **facts}
            for member, value in fresh.items()
        }
        members = fresh
    return list(lines.values())


def diff(db: Database, older: int, newer: int) -> list[dict[str, Any]]:
    """What differs between two revisions, by row: {kind, name, title, what, diff}."""
    if older > newer:
        raise Invalid("older", f"revision {older} is not before {newer}")
    first: dict[tuple[str, str], RowRevision] = {}
    last: dict[tuple[str, str], RowRevision] = {}
    for one in rows.between(db, older, newer):
        first[one.kind, one.name] = one
        last.setdefault((one.kind, one.name), one)
    differing = []
    for key in sorted(first):
        before, after = first[key].before, last[key].after
        if before != after:
            what = "added" if before is None else "removed" if after is None else "changed"
            facts = {"kind": key[0], "name": key[1], "title": last[key].title, "what": what}
            differing.append({**facts, "diff": _unified(*key, before, after)})
    return differing


def changed(one: RowRevision) -> set[str]:
    """The members that a revision changed: of a row that was made or deleted all that it had."""
    before, after = _members(one.before), _members(one.after)
    return {name for name in {**before, **after} if before.get(name) != after.get(name)}


def undo(db: Database, number: int, *, user: int, values: Mapping[str, str]) -> dict[str, Any]:
    """Put back what revision ``number`` changed; gives the revision that this made. ``values``: options as they are."""
    one = rows.one(db, number)
    if one.kind == OPTION:
        _undo_option(db, one, user, values)
    else:
        _undo_channel(db, one)
    made = rows.of(db, one.kind, one.name, limit=1)[0]
    if made.id <= number:
        raise Conflict(f"revision {number} can't be undone: all that it changed are secrets, and none are kept")
    return told(made)


def drop(db: Database, kind: str, name: str) -> dict[str, Any]:
    """Take an option's row away, also one that a document overrules; gives the revision that this made."""
    if named(db, kind, name)[0] != OPTION:
        raise Invalid("kind", "only an option's row is dropped so: a channel is deleted among channels", OPTION)
    if not options.drop(db, name):
        raise NotFound(f"there is no row of an option {name[:80]}")
    return told(rows.of(db, OPTION, name, limit=1)[0])


def _undo_option(db: Database, one: RowRevision, user: int, values: Mapping[str, str]) -> None:
    if any(text is not None and text.startswith(rows.HIDDEN) for text in (one.before, one.after)):
        raise Conflict(f"{one.name} is a secret, and none are kept: set it anew")
    with db.read() as connection:
        now = stored_options.held(db, connection, one.name)
    if now != one.after:
        raise Conflict(_again(one, one.name))
    if one.before is None:
        options.reset(db, [one.name])
    else:
        options.put(db, values, one.name, one.before, user)


def _undo_channel(db: Database, one: RowRevision) -> None:
    which = int(one.name)
    row = channel_edits.one(db, which)
    if one.after is None:
        if row is not None:
            raise Conflict(_again(one, "it"))
        members = {name: value for name, value in _members(one.before).items() if name not in SECRETS}
        channel_edits.put(db, [{**members, "id": which, "status": DISABLED, "key": ""}])
        return
    if row is None:
        raise Conflict(f"channel {one.name} ({one.title}) was deleted since: undo that first")
    before, after = _members(one.before), _members(one.after)
    now = _members(rows.told(db, row))
    names = sorted(changed(one))
    if again := sorted(name for name in names if now.get(name) != after.get(name)):
        raise Conflict(_again(one, ", ".join(again)))
    if one.before is None:
        channel_edits.remove(db, channel_edits.by_ids([which]))
        return
    values = {name: before.get(name, _NOTHING.get(name)) for name in names if name not in SECRETS}
    if values:
        channel_edits.change(db, {which: values})


_NOTHING: Mapping[str, Any] = {"priority": 0, "weight": 0, "base_url": "", "models": "", "group": "", "other": ""}
"""What stands in a column of which nothing was told, where that is not NULL."""


def _again(one: RowRevision, what: str) -> str:
    return f"{what} of {one.kind} {one.title or one.name} was changed again since revision {one.id}: undo that first"


def _members(text: str | None) -> dict[str, Any]:
    """The members of a row: those of a channel, or of an option that is a map; else its value."""
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"value": text}


def _unified(kind: str, name: str, before: str | None, after: str | None) -> str:
    older, newer = (f"{kind}/{name}" if text is not None else "/dev/null" for text in (before, after))
    return "".join(
        line if line.endswith("\n") else line + "\n"
        for line in difflib.unified_diff(_lines(before), _lines(after), older, newer)
    )


def _lines(text: str | None) -> list[str]:
    """A row as lines, a member a line, so that a difference names members."""
    members = _members(text)
    return [f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in sorted(members.items())]
