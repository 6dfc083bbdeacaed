"""Settles an order and kills itself before the statement of a number: ``taker.py DATA DSN NUMBER STATUS STATEMENT``.

Run as a program, never imported by a test. Ends with 0 where it has fewer statements; -1 kills nobody.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.accounts import orders
from engine.settings import Settings
from engine.storage.database import open_database
from tests.storage.dying import dies

db = open_database(Settings(data=Path(sys.argv[1]), sql_dsn=sys.argv[2]), migrate=False)
row = orders.one(db, sys.argv[3])
dies(db, int(sys.argv[5]))
orders.settle(db, db, row, sys.argv[4], {"QuotaPerUnit": "500000"})
db.close()
