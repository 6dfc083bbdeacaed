"""Tenth revision: whose is what providers keep."""

from __future__ import annotations

from alembic import op

from engine.storage.tables import METADATA, own
from engine.storage.upgrade.additions import create

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add tables of ours that are missing."""
    create(op.get_bind(), [table for table in METADATA.sorted_tables if table.name.startswith(own.PREFIX)])
