"""Eleventh revision: what leaves later, marks of what was told, and webhooks."""

from __future__ import annotations

from alembic import op

from engine.storage.tables import METADATA, own
from engine.storage.upgrade.additions import create

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add tables of ours that are missing."""
    create(op.get_bind(), [table for table in METADATA.sorted_tables if table.name.startswith(own.PREFIX)])
