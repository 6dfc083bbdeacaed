"""Fifth revision: calls that may be sent twice, and sums per hour."""

from __future__ import annotations

from alembic import op

from engine.storage.tables import METADATA, own
from engine.storage.upgrade.additions import create

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add tables of ours that are missing."""
    create(op.get_bind(), [table for table in METADATA.sorted_tables if table.name.startswith(own.PREFIX)])
