"""Tables of ours for invoices: their numbers, without gaps, and what they said when they were given."""

from __future__ import annotations

from engine.storage.tables.columns import chars, key, note, table, unique, whole

series = table(
    "gatewright_invoice_series",
    chars("name", 32, primary_key=True, nullable=False),
    whole("last", 0, nullable=False),
)
"""The last number that was given of a row of numbers, such as those of a year."""

invoices = table(
    "gatewright_invoices",
    key(),
    chars("series", 32, nullable=False),
    whole("number", nullable=False),
    chars("kind", 8, nullable=False),
    chars("trade_no", 255, nullable=False),
    whole("user_id", 0, nullable=False),
    chars("money", 32, ""),
    chars("currency", 16, ""),
    note("issuer"),
    note("remark"),
    whole("issued_at", 0, nullable=False),
    plain="user_id",
    more=(
        unique("idx_gatewright_invoices_number", "series", "number"),
        unique("idx_gatewright_invoices_order", "trade_no", "kind"),
    ),
)
"""One for an order that was paid (``kind``: ``invoice``), one for an order that was refunded (``credit``)."""
