"""Trials: changes that every machine compiles beside the release in force, for those who ask for them by name."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from engine.errors import Conflict, NotFound
from engine.storage.database import Database
from engine.storage.releases.documents import Author, StoredDocument
from engine.storage.releases.drafts import as_json, of_json
from engine.storage.rows import crud
from engine.storage.tables.releases import canaries, trials

BACK = "release-"
"""Begins the ids of trials of what a release held."""
MOST = 8
"""Trials at a time: each is compiled by every machine whenever documents change."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Changes on release ``base``, until a moment (unix s). ``id`` is that of the draft that they are of."""

    id: str
    name: str
    base: int
    author: Author
    changes: Sequence[StoredDocument]
    until: int
    version: int = 0
    message: str = ""
    created_at: int = 0

    @property
    def moved(self) -> frozenset[str]:
        """The titles of documents that may take another owner: those of a release take their own of that time."""
        return frozenset(one.title for one in self.changes) if self.id.startswith(BACK) else frozenset()

    @property
    def mark(self) -> tuple[str, int, int]:
        """What tells it from an earlier one of the same name."""
        return self.id, self.version, self.created_at


def begin(db: Database, trial: Trial) -> None:
    """Put changes on trial, in the place of an earlier trial of the same id; a ``Conflict`` where too many run."""
    now = int(time.time())
    row = {
        "id": trial.id,
        "name": trial.name[:191],
        "base": trial.base,
        "version": trial.version,
        "user_id": trial.author.id,
        "username": trial.author.name,
        "message": trial.message[:4000],
        "changes": json.dumps([as_json(one) for one in trial.changes], ensure_ascii=False),
        "created_at": now,
        "until": trial.until,
    }

    def work(connection: Connection) -> None:
        runs = select(canaries.c.number).where(canaries.c.trial == trial.id, canaries.c.state == "running")
        if (number := connection.execute(runs).scalar()) is not None:
            raise Conflict(f"canary {number} runs by the trial that is there: drop it first")
        crud.remove(db, connection, trials, [(trials.c.id == trial.id) | (trials.c.until <= now)])
        count = int(connection.execute(select(func.count()).select_from(trials)).scalar() or 0)
        if count >= MOST:
            raise Conflict(f"{count} trials run, as many as may at a time: end one first")
        crud.add(db, connection, trials, row)

    db.write(work)


def marks(db: Database) -> tuple[tuple[str, int, int], ...]:
    """The marks of what runs now. PERF: one look at a few rows, four times a second on each machine."""
    if trials.name not in db.columns:
        return ()
    query = db.prepared.get("trial_marks")
    if query is None:
        chosen = select(trials.c.id, trials.c.version, trials.c.created_at, trials.c.until).order_by(trials.c.id)
        query = db.prepared["trial_marks"] = db.query(chosen)
    now = time.time()
    return tuple((row[0], int(row[1] or 0), int(row[2] or 0)) for row in query.all() if int(row[3] or 0) > now)


def listed(db: Database) -> list[Trial]:
    """What runs now, by id."""
    return [_trial(row) for row in crud.listed(db, trials, [trials.c.until > int(time.time())], [trials.c.id])]


def one(db: Database, id_: str) -> Trial:
    """A trial that runs now."""
    row = crud.one(db, trials, trials.c.id == id_, trials.c.until > int(time.time()))
    if row is None:
        raise NotFound(f"there is no trial {id_}: begin one, gatewright releases trial begin {id_}")
    return _trial(row)


def end(db: Database, id_: str) -> int:
    """Nobody runs it any more; how many there were."""
    return db.write(lambda connection: crud.remove(db, connection, trials, [trials.c.id == id_]))


def _trial(row: dict[str, Any]) -> Trial:
    return Trial(
        row["id"],
        row["name"] or "",
        int(row["base"] or 0),
        Author(int(row["user_id"] or 0), row["username"] or ""),
        tuple(of_json(one) for one in json.loads(row["changes"] or "[]")),
        int(row["until"] or 0),
        int(row["version"] or 0),
        row["message"] or "",
        int(row["created_at"] or 0),
    )
