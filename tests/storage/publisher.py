"""Publishes a release and kills itself before the statement of a number: ``publisher.py DATA DSN STATEMENT``.

Run as a program, never imported by a test. Ends with 0 where it has fewer statements.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.releases import documents
from engine.storage.releases.documents import Author, StoredDocument
from tests.storage.dying import dies

db = open_database(Settings(data=Path(sys.argv[1]), sql_dsn=sys.argv[2]), migrate=False)
dies(db, int(sys.argv[3]))
CHANGES = [StoredDocument("Price", name, "console", "new") for name in ("a", "b")]
documents.publish(db, 1, [*CHANGES, StoredDocument("Price", "c", "console", None)], Author())
db.close()
