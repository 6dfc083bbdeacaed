"""Which release each machine runs: one row for a machine, written by its compiling process."""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.tables.releases import machines

FORGOTTEN = 24 * 3600
"""Seconds of silence after which a machine's row goes."""
SILENT = 90
"""Seconds after which a machine that said nothing is told as silent; it says nothing while it compiles."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine: the release it runs, the hash of its program, and faults that keep it from the newest."""

    id: str
    name: str
    release: int
    program: str
    ok: bool
    report: dict[str, Any]
    changed_at: int
    seen_at: int

    @property
    def silent(self) -> bool:
        """Whether it has not been heard of lately."""
        return time.time() - self.seen_at > SILENT


def identity(directory: Path) -> str:
    """What this machine is known by, whatever its name: made once, kept in a file."""
    path = directory / "machine"
    try:
        return path.read_text("ascii").strip()
    except OSError:
        pass
    directory.mkdir(parents=True, exist_ok=True)
    fresh = directory / f".machine.{secrets.token_hex(4)}"
    fresh.write_text(secrets.token_hex(16) + "\n", "ascii")
    try:
        os.link(fresh, path)  # whole or not at all: two processes begin together
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return path.read_text("ascii").strip()


def report(db: Database, machine: Machine) -> None:
    """Write a machine's row; rows of machines that went away long ago are dropped."""

    def work(connection: Connection) -> None:
        values = {
            "name": machine.name[:191],
            "release_number": machine.release,
            "program": machine.program,
            "ok": int(machine.ok),
            "report": json.dumps(machine.report, ensure_ascii=False),
            "changed_at": machine.changed_at,
            "seen_at": machine.seen_at,
        }
        crud.remove(db, connection, machines, [machines.c.id == machine.id])
        crud.remove(db, connection, machines, [machines.c.seen_at < machine.seen_at - FORGOTTEN])
        crud.add(db, connection, machines, {"id": machine.id, **values})

    db.write(work, durable=False)


def leave(db: Database, id_: str) -> None:
    """Drop the row of a machine that stops."""
    db.write(lambda connection: crud.remove(db, connection, machines, [machines.c.id == id_]), durable=False)


def listed(db: Database) -> list[Machine]:
    """All machines that were heard of in the last day, by name."""
    return [
        Machine(
            row["id"],
            row["name"] or "",
            int(row["release_number"] or 0),
            row["program"] or "",
            bool(row["ok"]),
            json.loads(row["report"] or "{}"),
            int(row["changed_at"] or 0),
            int(row["seen_at"] or 0),
        )
        for row in crud.listed(db, machines, (), [machines.c.name, machines.c.id])
    ]
