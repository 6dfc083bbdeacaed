"""Tables of ours for what leaves later: the queue itself, marks of what was told, and the webhooks of operators."""

from __future__ import annotations

from sqlalchemy import Index

from engine.storage.tables.columns import chars, key, note, table, unique, whole

outbox = table(
    "gatewright_outbox",
    key(),
    chars("message", 32, nullable=False),
    chars("kind", 16, nullable=False),
    chars("target", 160, nullable=False),
    chars("state", 8, nullable=False),
    chars("about", 40, "", nullable=False),
    note("body"),
    whole("tries", 0, nullable=False),
    whole("created_at", 0, nullable=False),
    whole("next_at", 0, nullable=False),
    chars("error", 255, "", nullable=False),
    more=(
        unique("idx_gatewright_outbox_message", "message"),
        Index("idx_gatewright_outbox_due", "state", "next_at", "target"),
        Index("idx_gatewright_outbox_target", "target", "state"),
    ),
)
"""What is to leave, and what could not (``state`` dead). ``message`` is the id that receivers know it by, ``kind`` who
sends it, ``target`` to whom, ``about`` what it tells of, ``body`` JSON without secrets. What has left is no row."""

marks = table(
    "gatewright_marks",
    chars("name", 160, primary_key=True, nullable=False),
    whole("count", 0, nullable=False),
    whole("at", 0, nullable=False),
    plain="at",
)
"""What was told already, and how often since when: so that a low balance is told once, and nobody too often."""

webhooks = table(
    "gatewright_webhooks",
    key(),
    chars("name", 64, nullable=False),
    note("url"),
    note("secret"),
    note("events"),
    whole("enabled", 1, nullable=False),
    whole("created_at", 0, nullable=False),
)
"""Where operators want to be told of events: ``events`` are names with blanks between, ``*`` is all of them."""
