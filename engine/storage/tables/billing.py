"""Money beside the counters of users and tokens: codes, payments, subscriptions, hourly sums, check-ins."""

from __future__ import annotations

from sqlalchemy import Index

from engine.storage.tables.columns import (
    big,
    chars,
    fixed,
    flag,
    key,
    long,
    moment,
    money,
    note,
    real,
    short,
    sized,
    table,
    unique,
    whole,
)

redemptions = table(
    "redemptions",
    key(),
    whole("user_id"),
    fixed("key", 32),
    whole("status", 1),
    short("name"),
    whole("quota", 100),
    whole("created_time"),
    whole("redeemed_time"),
    whole("used_user_id"),
    moment("deleted_at"),
    whole("expired_time"),
    plain="deleted_at name",
    more=(unique("idx_redemptions_key", "key"),),
)

top_ups = table(
    "top_ups",
    key(),
    whole("user_id"),
    whole("amount"),
    real("money"),
    chars("trade_no", 255, unique=True),
    chars("payment_method", 50),
    chars("payment_provider", 50, ""),
    whole("create_time"),
    whole("complete_time"),
    long("status"),
    plain="trade_no user_id",
)

quota_data = table(
    "quota_data",
    key(),
    whole("user_id"),
    sized("username", 64, ""),
    sized("model_name", 64, ""),
    whole("created_at"),
    sized("use_group", 64, ""),
    whole("token_id", 0),
    whole("channel_id", 0),
    sized("node_name", 64, ""),
    whole("token_used", 0),
    whole("count", 0),
    whole("quota", 0),
    plain="channel_id node_name token_id use_group user_id",
    more=(Index("idx_qdt_created_at", "created_at"), Index("idx_qdt_model_user_name", "model_name", "username")),
)

checkins = table(
    "checkins",
    key(),
    whole("user_id", nullable=False),
    chars("checkin_date", 10, nullable=False),
    whole("quota_awarded", nullable=False),
    whole("created_at"),
    more=(unique("idx_user_checkin_date", "user_id", "checkin_date"),),
)

subscription_orders = table(
    "subscription_orders",
    key(),
    whole("user_id"),
    whole("plan_id"),
    real("money"),
    chars("trade_no", 255, unique=True),
    chars("payment_method", 50),
    chars("payment_provider", 50, ""),
    long("status"),
    whole("create_time"),
    whole("complete_time"),
    note("provider_payload"),
    plain="plan_id trade_no user_id",
)

user_subscriptions = table(
    "user_subscriptions",
    key(),
    whole("user_id"),
    whole("plan_id"),
    big("amount_total", 0, nullable=False),
    big("amount_used", 0, nullable=False),
    whole("start_time"),
    whole("end_time"),
    chars("status", 32),
    chars("source", 32, "order"),
    big("last_reset_time", 0),
    big("next_reset_time", 0),
    chars("upgrade_group", 64, ""),
    chars("prev_user_group", 64, ""),
    chars("downgrade_group", 64, ""),
    flag("allow_wallet_overflow"),
    whole("created_at"),
    whole("updated_at"),
    plain="end_time next_reset_time plan_id status user_id",
    more=(Index("idx_user_sub_active", "user_id", "status", "end_time"),),
)

subscription_pre_consume_records = table(
    "subscription_pre_consume_records",
    key(),
    chars("request_id", 64),
    whole("user_id"),
    whole("user_subscription_id"),
    big("pre_consumed", 0, nullable=False),
    chars("status", 32),
    whole("created_at"),
    whole("updated_at"),
    plain="status updated_at user_id user_subscription_id",
    more=(unique("idx_subscription_pre_consume_records_request_id", "request_id"),),
)

subscription_plans = table(
    "subscription_plans",
    key(),
    chars("title", 128, nullable=False),
    chars("subtitle", 255, ""),
    money("price_amount", "0.000000", nullable=False),
    chars("currency", 8, "USD", nullable=False),
    chars("duration_unit", 16, "month", nullable=False),
    whole("duration_value", 1, nullable=False),
    big("custom_seconds", 0, nullable=False),
    flag("enabled", "true"),
    whole("sort_order", 0),
    flag("allow_balance_pay"),
    flag("allow_wallet_overflow"),
    chars("stripe_price_id", 128, ""),
    chars("creem_product_id", 128, ""),
    chars("waffo_pancake_product_id", 128, ""),
    whole("max_purchase_per_user", 0),
    chars("upgrade_group", 64, ""),
    chars("downgrade_group", 64, ""),
    big("total_amount", 0, nullable=False),
    chars("quota_reset_period", 16, "never"),
    big("quota_reset_custom_seconds", 0),
    big("created_at"),
    big("updated_at"),
)
