"""Tables of ours for teams: who belongs to one, its projects, tags, and for whom besides its owner a key is counted.

A team's wallet, plans, orders and keys are those of an account in ``users`` to which nobody signs in, so that every
program of the family charges them as it charges anybody's, and the ledger knows nothing of teams.
"""

from __future__ import annotations

from engine.storage.tables.columns import chars, key, note, table, unique, whole

teams = table(
    "gatewright_teams",
    whole("account_id", primary_key=True, nullable=False, autoincrement=False),
    chars("declared", 191, ""),
    note("terms"),
    whole("created_at", 0),
)
"""``account_id`` is the row of ``users`` that owns what the team owns; its name and group are the team's. ``declared``:
the document that says how the team is, ``terms`` what it says of rights and of each member, as JSON."""

members = table(
    "gatewright_members",
    *(key(), whole("team_id", nullable=False), whole("user_id", nullable=False)),
    chars("role", 16, nullable=False),
    whole("invited_by", 0),
    whole("joined_at", 0, nullable=False),
    whole("created_at", 0),
    plain="user_id",
    more=(unique("idx_gatewright_members_pair", "team_id", "user_id"),),
)
"""People in teams. ``joined_at`` is 0 as long as the person has only been invited."""

labels = table(
    "gatewright_labels",
    *(key(), whole("user_id", nullable=False)),
    chars("kind", 8, nullable=False),
    chars("name", 64, nullable=False),
    whole("created_at", 0),
    more=(unique("idx_gatewright_labels_name", "user_id", "kind", "name"),),
)
"""Projects and tags of an account (a person's or a team's), by which keys are counted together; a tag also for calls
that have it. ``user_id`` of 0: a tag of everybody's calls."""

key_holders = table(
    "gatewright_key_holders",
    whole("token_id", primary_key=True, nullable=False, autoincrement=False),
    chars("holder", 8, primary_key=True, nullable=False),
    whole("holder_id", primary_key=True, nullable=False, autoincrement=False),
    plain="holder_id",
)
"""Whose budgets bind a key beside its own and its owner's: a member of the team, a project, tags."""
