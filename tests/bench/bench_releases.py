"""What lists, plans and releases cost with 1,000 documents of one's own and 10,000 revisions: CPU time, least of three.

``python tests/bench/bench_releases.py [DSN]`` works on a database of its own: SQLite, or an empty one that DSN names.
Run as the compiling process does it, which has compiled before; what the database's server computes is not counted, so
each line has the time that passed beside it. 1 if a target is missed.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from engine import paths  # noqa: E402
from engine.releases import looking, planning, publishing, reading  # noqa: E402
from engine.settings import Settings  # noqa: E402
from engine.storage.database import Database, open_database  # noqa: E402
from engine.storage.releases import documents  # noqa: E402
from engine.storage.releases.documents import Author, StoredDocument  # noqa: E402

DOCUMENTS, ROUNDS = 1000, 10
LIST, WHOLE = 1.0, 3.0
"""Seconds that a list or a plan may take; a plan and a release of the whole set."""
_ALIAS = """
apiVersion: gatewright/v1
kind: Alias
metadata: {{name: own{n}}}
spec: {{match: 'own-{n}-{round}', model: model-{n}}}
"""
_PRICE = """
apiVersion: gatewright/v1
kind: Price
metadata: {{name: own{n}}}
spec:
  models:
    - names: [model-{n}]
      tokens: {{input: {round}.5, output: 25}}
"""
_PROVIDER = """
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: own{n}}}
spec:
  baseUrl: https://own-{n}.example/v{round}
  formats: {{openai.chat: {{path: /chat/completions}}}}
  auth: {{scheme: none}}
  models: [model-{n}]
"""
_KINDS = (("Alias", _ALIAS), ("Price", _PRICE), ("Provider", _PROVIDER))


def document(n: int, round_: int) -> StoredDocument:
    """Number ``n`` as it is in a round."""
    kind, text = _KINDS[n % len(_KINDS)]
    return StoredDocument(kind, f"own{n}", "console", text.format(n=n, round=round_))


def everything(round_: int) -> list[StoredDocument]:
    """All documents of a round."""
    return [document(n, round_) for n in range(DOCUMENTS)]


class _Bench:
    """A database with its releases, and what is asked of it; each time with something that was not asked before."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.round = ROUNDS
        base = documents.head(db)
        for round_ in range(ROUNDS):
            base = documents.publish(db, base, everything(round_), Author())
        self.head = base

    def ground(self) -> Any:
        """What is in force."""
        return publishing.ground(self.db, [paths.SPECS])

    def plan(self, *numbers: int) -> None:
        """Plan another round of some documents, or of all."""
        self.round += 1
        changes = [document(n, self.round) for n in numbers] or everything(self.round)
        made = planning.plan(self.ground(), changes, planning.rows_of(self.db))
        if made.faults or len(made.documents) != len(changes):
            raise SystemExit("\n".join(fault.as_text() for fault in made.faults))

    def publish(self, *numbers: int) -> None:
        """Publish what was planned last."""
        changes = [document(n, self.round) for n in numbers] or everything(self.round)
        if not publishing.publish(self.db, self.ground(), changes, Author())[0]:
            raise SystemExit("it has faults")

    def whole(self) -> None:
        """Plan and publish all of it."""
        self.plan()
        self.publish()


def measured(name: str, work: Callable[[], Any], target: float) -> bool:
    """Print the least of three runs; whether its target holds."""
    busy, passed = [], []
    for _ in range(3):
        began, clock = time.process_time(), time.perf_counter()
        work()
        busy.append(time.process_time() - began)
        passed.append(time.perf_counter() - clock)
    print(f"{name:<44}{min(busy):7.3f} s of CPU{min(passed):9.3f} s passed   target {target:g} s", flush=True)
    return min(busy) <= target


def main(dsn: str = "") -> int:
    """Print the table."""
    with tempfile.TemporaryDirectory() as directory:
        db = open_database(Settings(data=Path(directory), sql_dsn=dsn))
        bench = _Bench(db)
        bench.plan(0, 1, 2)
        gc.collect()
        gc.freeze()  # as the compiling process does
        rows: list[tuple[str, Callable[[], Any], float]] = [
            ("documents", lambda: reading.listed(db), LIST),
            ("documents of all places, as the editor lists", lambda: looking.shelf(bench.ground()), LIST),
            ("releases", lambda: reading.releases(db, limit=200), LIST),
            ("a release, with all that it changed", lambda: reading.release(db, bench.head), LIST),
            ("two releases compared", lambda: reading.diff(db, 1, bench.head), LIST),
            ("history of a document", lambda: reading.revisions(db, "Price", "own1"), LIST),
            ("blame", lambda: reading.blame(db, "Price", "own1"), LIST),
            ("status", lambda: reading.status(db), LIST),
            ("the editor, one document changed", lambda: looking.live(bench.ground(), [document(1, 99)], {}), LIST),
            ("plan of one price", lambda: bench.plan(1), LIST),
            ("plan of one alias", lambda: bench.plan(0), LIST),
            ("plan of one provider", lambda: bench.plan(2), LIST),
            ("plan and release of all 1,000", bench.whole, WHOLE),
            ("plan after that, of one price", lambda: bench.plan(1), LIST),
        ]
        missed = sum(not measured(*row) for row in rows)
        db.close()
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
