"""Run by test_memory in a patched process: a worker's snapshot is swapped 500 times; ``main`` tells what is left."""

from __future__ import annotations

import gc
import logging
import weakref
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert

from engine import paths, program
from engine.compiler.cache import load_or_compile
from engine.releases.follow import Follower
from engine.releases.store import Releases
from engine.server.building import WorkerParts
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.tables.core import options

CHANGES, DIFFERENT, WARM = 200, 12, 24


def artefacts(directory: Path) -> list[tuple[str, bytes]]:
    """Releases that differ in a provider, its models and prices."""
    own = directory / "specs"
    own.mkdir()
    made = []
    for number in range(DIFFERENT):
        (own / "acme.yaml").write_text(
            "apiVersion: gatewright/v1\nkind: Provider\nmetadata: {name: acme}\nextends: openai-compatible\n"
            f"spec: {{baseUrl: 'http://127.0.0.1:9', auth: {{scheme: none}}, models: [m{number}],"
            f" price: [{{names: [m{number}], tokens: {{input: {number + 1}, output: 2}}}}]}}\n"
        )
        artefact, _, digest = load_or_compile([paths.SPECS, own], directory / "cache")
        assert artefact is not None
        made.append((digest, artefact))
    return made


def resident() -> float:
    """Memory of this process in MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def _set(text: str, connection: Any) -> None:
    connection.execute(delete(options))
    connection.execute(insert(options).values(key="RetryTimes", value=text))


def main(directory: Path) -> dict[str, Any]:
    """Follow all changes."""
    listed = artefacts(directory)
    settings = Settings(data=directory / "data")
    open_database(settings).close()
    first = program.load(listed[0][1])
    db = open_database(settings, migrate=False)
    parts = WorkerParts(settings, db, first, dict)
    releases = Releases(settings.program_directory)
    releases.prepare()
    follower = Follower(releases, first.hash, parts.swap, logging.getLogger("follower"))
    del first
    gc.collect()
    gc.freeze()
    gc.disable()  # at first: a program goes with its last reference, and waits for no pass of the collector
    alive: list[weakref.ref[Any]] = []
    begun, uncollected = 0.0, 0
    for number in range(1, CHANGES + WARM + 1):
        releases.publish(*listed[number % DIFFERENT])
        assert follower.follow()
        for retries in range(1 + number % 2, 3):  # 300 readings of the options besides
            db.write(partial(_set, f"{retries}"))
            parts.refresh()
            assert parts.current.snapshot.groups.retries == retries
        alive.append(weakref.ref(next(iter(parts.current.snapshot.program.functions.values()))))
        if number == WARM:
            uncollected = sum(one() is not None for one in alive)
            gc.enable()
            begun = resident()
    left = sum(one() is not None for one in alive)
    grown = resident() - begun
    parts.close()
    return {"left": left, "uncollected": uncollected, "grown": round(grown, 1)}
