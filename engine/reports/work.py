"""What goes on for a while: the story of a task, and the live sessions of this server. Money is in quota units."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from engine.errors import NotFound
from engine.ledger import served
from engine.storage.database import Database
from engine.storage.rows import crud, jobs, people
from engine.storage.rows.work.noted import members_of
from engine.storage.rows.work.tasks import DRAWINGS, OWN, TASKS, end_of
from engine.storage.tables.ledger import ledger


def story(db: Database, name: str, *, drawing: bool, user: int = 0) -> dict[str, Any]:
    """A task by what its callers know it by; ``user`` 0 is whoever asked for it.

    ``states``: each with when it began and how often its vendor was asked before it; ``entries``: what the ledger has
    of it. Raises ``NotFound``.
    """
    table, column = (jobs.DRAWINGS, "mj_id") if drawing else (jobs.TASKS, "task_id")
    row = jobs.one(db, table, **{column: name[:191]}, **({"user_id": user} if user else {}))
    if row is None:
        raise NotFound(f"there is no task {name[:64]}")
    own = members_of(row.get("properties" if drawing else "private_data")).get(OWN) or {}
    scale = 1000 if drawing else 1
    submitted, started, finished = (int(row.get(f"{at}_time") or 0) // scale for at in ("submit", "start", "finish"))
    names = people.names(db, [row["user_id"]])
    booked = [own.get("call", ""), end_of(DRAWINGS if drawing else TASKS, row["id"], name)]
    entries = crud.listed(db, ledger, [ledger.c.request_id.in_(booked)], [ledger.c.created_at, ledger.c.request_id])
    return {
        "id": name,
        "state": row.get("status") or "",
        "progress": row.get("progress") or "",
        "submitted_at": submitted,
        "started_at": started,
        "finished_at": finished,
        "action": row.get("action") or "",
        "model": own.get("asked") or "",
        "vendor_model": own.get("model") or "",
        "vendor_id": own.get("id") or "",
        "format": own.get("asked_format") or "",
        "vendor_format": own.get("format") or "",
        "channel_id": row.get("channel_id") or 0,
        "user_id": row.get("user_id") or 0,
        "username": names.get(row["user_id"], ""),
        "key": own.get("token_name") or "",
        "reason": row.get("fail_reason") or "",
        "charged": sum(int(entry["quota"]) for entry in entries),
        "states": [
            {"at": at, "state": state, "questions": more[0] if more else 0}
            for at, state, *more in own.get("story") or ()
        ],
        "entries": [
            {"request_id": entry["request_id"], "at": entry["created_at"], "quota": entry["quota"]} for entry in entries
        ],
    }


def sessions(data: Path, user: int = 0) -> list[dict[str, Any]]:
    """The live sessions of this server, the longest first; ``user`` 0: of everybody. ``seconds`` is how old one is."""
    now = time.time()
    notes = [note for note in served.counts(data / served.DIRECTORY).open if served.LIVE in note]
    return [
        {
            "id": note["request_id"],
            "begun_at": note["at"],
            "seconds": max(0, int(now - note["at"])),
            "model": note["model"],
            "format": note[served.LIVE],
            "channel": note["channel_name"],
            "user_id": note["user"],
            "username": note["username"],
            "key": note["token_name"],
            "input": int(note.get("used", {}).get("input_total") or 0),
            "output": int(note.get("used", {}).get("output_total") or 0),
            "held": int(note.get("held") or 0),
        }
        for note in sorted(notes, key=lambda note: note["at"])
        if user in (0, note["user"])
    ]
