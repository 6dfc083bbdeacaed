"""Second revision: all tables of ours that are missing, and by which numbering each channel's type counts."""

from __future__ import annotations

from alembic import op

from engine.storage.tables import METADATA, own
from engine.storage.upgrade.additions import create
from engine.storage.upgrade.imports import note_channels

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add; change nothing."""
    connection = op.get_bind()
    create(connection, [table for table in METADATA.sorted_tables if table.name.startswith(own.PREFIX)])
    note_channels(connection)
