"""Every table of a database: the family's own, name for name, and ours, which begin with ``gatewright_``.

``METADATA`` holds all; the modules beside this one hold a group of tables each. A fresh database gets all of them with
the names, columns and indexes that New API 2026-08 makes, so that program can be started on it. Knows no queries.
"""

from __future__ import annotations

from engine.storage.tables import (
    auth,
    billing,
    catalogue,
    core,
    invoices,
    ledger,
    management,
    outbox,
    own,
    releases,
    system,
    tasks,
    teams,
)
from engine.storage.tables.columns import METADATA

__all__ = [
    "METADATA",
    "auth",
    "billing",
    "catalogue",
    "core",
    "invoices",
    "ledger",
    "management",
    "outbox",
    "own",
    "releases",
    "system",
    "tasks",
    "teams",
]
