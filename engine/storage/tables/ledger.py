"""The ledger's own tables: what was charged, once for each request id, and the balances from which it counts."""

from __future__ import annotations

from engine.storage.tables.columns import chars, flag, table, whole

ledger = table(
    "gatewright_ledger",
    chars("request_id", 64, primary_key=True, nullable=False),
    whole("created_at", 0, nullable=False),
    whole("user_id", 0, nullable=False),
    whole("token_id", 0, nullable=False),
    whole("channel_id", 0, nullable=False),
    whole("quota", 0, nullable=False),
    flag("counted"),
    chars("source", 12, ""),
    chars("model", 191, ""),
    whole("prompt_tokens", 0),
    whole("completion_tokens", 0),
    flag("logged"),
    whole("plan", 0),
    chars("program", 16, ""),
    whole("rows_revision", 0),
    chars("tags", 400, ""),
    whole("cost"),
    plain="created_at user_id",
)
"""A row for each finished call. ``counted``: it was served, not only refused; ``source``: who told its usage;
``logged``: false where the operator wants no log row of it; older rows have nothing there, and a log row. ``plan``: the
subscription (``user_subscriptions``) that paid; 0 or nothing for the balance. ``program`` and ``rows_revision`` name
the snapshot that it was served and charged by: the beginning of the program's hash, and the revision of rows. ``tags``
are those of the call, each between commas (``,a,b,``). ``cost`` is what it cost the operator, in billionths of a
dollar; nothing where no document says."""

opening = table(
    "gatewright_opening",
    chars("holder", 8, primary_key=True, nullable=False),
    whole("holder_id", primary_key=True, nullable=False, autoincrement=False),
    whole("quota", 0, nullable=False),
    whole("used", 0, nullable=False),
    whole("requests", 0, nullable=False),
    whole("granted", 0, nullable=False),
    whole("noted_at", 0, nullable=False),
)
"""What a user, a key or a channel stood at when its first charge of ours was made: older sums are not ours to prove.
``granted`` is the last of the grants that the balance had in it then."""
