"""Ninth revision: outside identities, and logins on their way to them."""

from __future__ import annotations

from alembic import op

from engine.storage.tables import METADATA, own
from engine.storage.upgrade.additions import create

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add what is missing of our own tables."""
    create(op.get_bind(), [table for table in METADATA.sorted_tables if table.name.startswith(own.PREFIX)])
