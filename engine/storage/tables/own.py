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
    whole("plan_id", 0),
    plain="user_id created_at",
)
"""Changes of a balance that are no charges: codes redeemed, quota given or taken by an administrator. ``plan_id``: the
subscription whose used amount was changed instead; with an amount of 0 it says what the subscription came of."""

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
    whole("rollover", 0, nullable=False),
    chars("declared", 191, ""),
    more=(unique("idx_gatewright_budgets_holder", "holder", "holder_id", "period", "unit"),),
)
"""What a key, a user, a member of a team, a project or a tag may use in a day, a week or a month, in quota units or
tokens. ``rollover``: percent of the amount that may be carried over from the period before, as far as it was left.
``declared``: the document that says so."""

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

key_tags = table(
    "gatewright_key_tags",
    whole("token_id", primary_key=True, nullable=False, autoincrement=False),
    note("tags"),
)
"""The tags that calls with a key may have, between commas; a ``*`` at the end of one: any that begin so."""

tag_names = table(
    "gatewright_tag_names",
    whole("user_id", primary_key=True, nullable=False, autoincrement=False),
    chars("name", 64, primary_key=True, nullable=False),
    whole("seen_at", 0, nullable=False),
    plain="seen_at",
)
"""Tags by which the calls of an account are summed, and on which day one was seen last."""

sessions = table(
    "gatewright_sessions",
    chars("sid", 64, primary_key=True, nullable=False),
    whole("user_id", nullable=False),
    whole("user_version", 1, nullable=False),
    chars("refresh_hash", 64),
    chars("previous_hash", 64),
    whole("previous_until", 0),
    chars("method", 32),
    chars("ip", 64),
    note("agent"),
    whole("created_at"),
    whole("active_at"),
    whole("expires_at"),
    plain="user_id expires_at",
)
"""Logins that are not ended. ``refresh_hash`` is of the token that renews one; the one before it counts for seconds."""

access_tokens = table(
    "gatewright_access_tokens",
    key(),
    whole("user_id", nullable=False),
    chars("hash", 64, nullable=False),
    chars("name", 64, nullable=False),
    whole("created_at"),
    whole("used_at", 0),
    whole("expires_at", 0),
    chars("scope", 8, "all"),
    plain="user_id",
    more=(unique("idx_gatewright_access_tokens_hash", "hash"),),
)
"""What scripts send in place of a login, by its hash; ``expires_at`` 0 is never."""

throttles = table(
    "gatewright_throttles",
    chars("name", 128, primary_key=True, nullable=False),
    whole("failures", 0),
    whole("until", 0),
    whole("updated_at", 0),
    plain="updated_at",
)
"""How often a name or an address failed to log in, and until when it has to wait."""

audit = table(
    "gatewright_audit",
    key(),
    whole("created_at"),
    whole("user_id"),
    chars("username", 191),
    chars("ip", 64),
    chars("action", 191),
    note("details"),
    chars("previous", 64),
    chars("hash", 64),
    plain="created_at user_id",
)
"""Who changed what through the management API, secrets masked; ``hash`` is over the row and the hash before it."""

jobs = table(
    "gatewright_jobs",
    chars("name", 128, primary_key=True, nullable=False),
    chars("holder", 64, ""),
    whole("until", 0, nullable=False),
    whole("fence", 0, nullable=False),
    whole("next_at", 0, nullable=False),
    whole("last_at", 0, nullable=False),
    note("result"),
    plain="last_at",
)
"""Work that one process of the cluster does at a time. ``until``: when its lease ends, by the database's clock;
``fence`` counts the leases, so that who lost one writes nothing by it."""

kept = table(
    "gatewright_kept",
    key(),
    chars("family", 64, nullable=False),
    chars("name", 191, nullable=False),
    whole("user_id", 0, nullable=False),
    whole("token_id", 0, nullable=False),
    whole("channel_id", 0),
    whole("created_at", 0),
    whole("deleted_at", 0, nullable=False),
    note("facts"),
    plain="name token_id",
)
"""What providers keep, such as files: the key that it belongs to, and the channel that has it. ``name`` is the
provider's id of it, ``family`` says what it is an id of; ``facts`` is JSON."""

plan_models = table(
    "gatewright_plan_models",
    chars("holder", 12, primary_key=True, nullable=False),
    whole("holder_id", primary_key=True, nullable=False, autoincrement=False),
    note("models", nullable=False),
)
"""The models that a plan pays for, a name or pattern a line, where it does not pay for all: of one that is offered
(``plan``), and of a subscription as it was agreed to."""
