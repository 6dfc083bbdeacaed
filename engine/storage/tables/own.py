"""Tables of ours alone, all named ``gatewright_``: the family's programs neither read nor prune them."""

from __future__ import annotations

from engine.storage.tables.columns import chars, note, table, whole

facts = table(
    "gatewright_facts",
    chars("name", 64, primary_key=True, nullable=False),
    note("value"),
)
"""Small facts about this database, such as which program made it (noted before anything was added to it)."""

log_extra = table(
    "gatewright_log_extra",
    chars("request_id", 64, primary_key=True, nullable=False),
    whole("created_at"),
    note("other"),
    plain="created_at",
)
"""What a log row says beyond its columns, for a log table that has no ``other``."""
