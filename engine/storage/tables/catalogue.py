"""What the console lists: models, their vendors, prefilled groups, and figures of performance."""

from __future__ import annotations

from sqlalchemy import Index, text

from engine.storage.tables.columns import chars, json, key, moment, note, sized, table, unique, whole

models = table(
    "models",
    key(),
    sized("model_name", 128, nullable=False),
    note("description"),
    chars("icon", 128),
    chars("tags", 255),
    whole("vendor_id"),
    note("endpoints"),
    whole("status", 1),
    whole("sync_official", 1),
    whole("created_time"),
    whole("updated_time"),
    moment("deleted_at"),
    whole("name_rule", 0),
    plain="deleted_at vendor_id",
    more=(unique("uk_model_name_delete_at", "model_name", "deleted_at"),),
)

vendors = table(
    "vendors",
    key(),
    sized("name", 128, nullable=False),
    note("description"),
    chars("icon", 128),
    whole("status", 1),
    whole("created_time"),
    whole("updated_time"),
    moment("deleted_at"),
    plain="deleted_at",
    more=(unique("uk_vendor_name_delete_at", "name", "deleted_at"),),
)

_ALIVE = text("deleted_at IS NULL")
prefill_groups = table(
    "prefill_groups",
    key(),
    sized("name", 64, nullable=False),
    sized("type", 32, nullable=False),
    json("items"),
    chars("description", 255),
    whole("created_time"),
    whole("updated_time"),
    moment("deleted_at"),
    plain="deleted_at type",
    more=(unique("uk_prefill_name", "name", sqlite_where=_ALIVE, postgresql_where=_ALIVE),),
)

perf_metrics = table(
    "perf_metrics",
    key(),
    sized("model_name", 128),
    sized("group", 64),
    whole("bucket_ts"),
    whole("request_count", 0),
    whole("success_count", 0),
    whole("total_latency_ms", 0),
    whole("ttft_sum_ms", 0),
    whole("ttft_count", 0),
    whole("output_tokens", 0),
    whole("generation_ms", 0),
    more=(
        Index("idx_perf_bucket_ts", "bucket_ts"),
        unique("idx_perf_model_group_bucket", "model_name", "group", "bucket_ts"),
    ),
)
