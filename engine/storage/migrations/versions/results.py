"""Twenty-first revision: what comes of tasks and is kept; invoices and their numbers."""

from __future__ import annotations

from alembic import op

from engine.storage.tables import METADATA, own
from engine.storage.upgrade.additions import create

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add tables of ours that are missing."""
    create(op.get_bind(), [table for table in METADATA.sorted_tables if table.name.startswith(own.PREFIX)])
