"""Run by test_memory in a patched process: a worker's state follows 200 releases; ``main`` tells what is left."""

from __future__ import annotations

import gc
import logging
import weakref
from pathlib import Path
from typing import Any

from engine import paths, program
from engine.compiler.cache import load_or_compile
from engine.relay.state import RelayState
from engine.server.following import Follower
from engine.server.releases import Releases
from engine.settings import Settings
from engine.storage.database import open_database

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


def main(directory: Path) -> dict[str, Any]:
    """Follow all changes."""
    listed = artefacts(directory)
    settings = Settings(data=directory / "data")
    open_database(settings).close()
    first = program.load(listed[0][1])
    db = open_database(settings, migrate=False)
    state = RelayState(settings, db, first, dict)
    releases = Releases(settings.program_directory)
    releases.prepare()
    follower = Follower(releases, first.hash, state.swap, logging.getLogger("follower"))
    del first
    gc.collect()
    gc.freeze()
    alive: list[weakref.ref[Any]] = []
    begun = 0.0
    for number in range(1, CHANGES + WARM + 1):
        releases.publish(*listed[number % DIFFERENT])
        assert follower.follow()
        alive.append(weakref.ref(next(iter(state.program.functions.values()))))
        if number == WARM:
            begun = resident()
    left = sum(one() is not None for one in alive)
    grown = resident() - begun
    state.close()
    return {"left": left, "grown": round(grown, 1)}
