"""Thirteenth revision: releases on trial, canaries and what is counted of their calls."""

from __future__ import annotations

from alembic import op

from engine.storage.tables import METADATA, own
from engine.storage.upgrade.additions import create

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add tables of ours that are missing."""
    create(op.get_bind(), [table for table in METADATA.sorted_tables if table.name.startswith(own.PREFIX)])
