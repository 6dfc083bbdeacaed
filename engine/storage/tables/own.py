"""Tables of ours alone, all named ``gatewright_``: the family's programs neither read nor prune them."""

from __future__ import annotations

from engine.storage.tables.columns import chars, key, note, table, unique, whole

PREFIX = "gatewright_"

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

steps = table(
    "gatewright_steps",
    chars("name", 64, primary_key=True, nullable=False),
    whole("done_at"),
    note("note"),
)
"""The steps of a take-over that were done, each with what it found."""

channel_origin = table(
    "gatewright_channel_origin",
    whole("channel_id", primary_key=True, nullable=False, autoincrement=False),
    chars("numbering", 16, nullable=False),
    whole("type"),
    whole("created_time"),
)
"""By which numbering a channel's type counts. It holds while type and time of making are still those of the row."""

grants = table(
    "gatewright_grants",
    key(),
    whole("user_id", 0),
    whole("token_id", 0),
    whole("amount", 0),
    chars("reason", 32),
    chars("reference", 191),
    whole("created_at"),
    plain="user_id created_at",
)
"""Changes of a balance that are no charges: codes redeemed, quota given or taken by an administrator."""

budgets = table(
    "gatewright_budgets",
    key(),
    chars("holder", 8, nullable=False),
    whole("holder_id", nullable=False),
    chars("period", 8, nullable=False),
    chars("unit", 8, nullable=False),
    whole("amount", nullable=False),
    whole("soft_percent", 80, nullable=False),
    whole("created_at"),
    more=(unique("idx_gatewright_budgets_holder", "holder", "holder_id", "period", "unit"),),
)
"""What a key or a user may use in a day, a week or a month, in quota units or tokens."""

budget_use = table(
    "gatewright_budget_use",
    chars("holder", 8, primary_key=True, nullable=False),
    whole("holder_id", primary_key=True, nullable=False, autoincrement=False),
    chars("period", 8, primary_key=True, nullable=False),
    chars("unit", 8, primary_key=True, nullable=False),
    whole("begins", primary_key=True, nullable=False, autoincrement=False),
    whole("used", 0, nullable=False),
    plain="begins",
)
"""What was used of a budget in the period that began at ``begins``."""
