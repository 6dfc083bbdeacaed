"""Takes notices of orders in the order given, four at a time: ``storm.py DATA DSN``, a line ``NUMBER STATUS`` each.

Run as a program, never imported by a test. Between what it has read and its commit there is a pause, so that another
program is in the midst of the same order.
"""

from __future__ import annotations

import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sqlalchemy import event

from engine.accounts import orders
from engine.settings import Settings
from engine.storage.database import open_database

db = open_database(Settings(data=Path(sys.argv[1]), sql_dsn=sys.argv[2]), migrate=False)


def pause(*_: Any) -> None:
    time.sleep(random.random() * 0.004)


event.listen(db._writer, "commit", pause)


def take(line: str) -> None:
    number, status = line.split()
    orders.settle(db, db, orders.one(db, number), status, {"QuotaPerUnit": "500000"})


with ThreadPoolExecutor(4) as many:
    for _ in many.map(take, sys.stdin.read().splitlines()):
        pass
db.close()
