"""Housekeeping of the nodes: set-up mark, heartbeats, background jobs and their leases."""

from __future__ import annotations

from engine.storage.tables.columns import big, chars, key, note, table, unique, whole

setups = table(
    "setups",
    key(unsigned=True),
    chars("version", 50, nullable=False),
    big("initialized_at", nullable=False),
)

system_instances = table(
    "system_instances",
    chars("node_name", 128, primary_key=True, nullable=False),
    note("info"),
    whole("started_at"),
    whole("last_seen_at"),
    whole("created_at"),
    whole("updated_at"),
    plain="created_at last_seen_at started_at updated_at",
)

system_tasks = table(
    "system_tasks",
    key(),
    chars("task_id", 64),
    chars("type", 64),
    chars("status", 32),
    chars("active_key", 64),
    note("payload"),
    note("state"),
    note("result"),
    note("error"),
    chars("locked_by", 128),
    whole("created_at"),
    whole("updated_at"),
    plain="created_at locked_by status type updated_at",
    more=(unique("idx_system_tasks_active_key", "active_key"), unique("idx_system_tasks_task_id", "task_id")),
)

system_task_locks = table(
    "system_task_locks",
    chars("type", 64, primary_key=True, nullable=False),
    chars("task_id", 64),
    chars("locked_by", 128),
    whole("locked_until"),
    whole("updated_at"),
    plain="locked_by locked_until task_id updated_at",
)
