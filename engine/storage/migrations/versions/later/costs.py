"""Twenty-second revision: what a call cost the operator stands in the ledger, beside the charge."""

from __future__ import annotations

from alembic import op
from sqlalchemy import inspect

from engine.storage.tables.ledger import ledger

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add; entries of a version before don't say."""
    if ledger.c.cost.name not in {column["name"] for column in inspect(op.get_bind()).get_columns(ledger.name)}:
        op.add_column(ledger.name, ledger.c.cost._copy())
