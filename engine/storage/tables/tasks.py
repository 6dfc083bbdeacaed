"""Asynchronous work done for callers: drawing jobs and tasks of audio and video."""

from __future__ import annotations

from engine.storage.tables.columns import chars, json, key, long, short, table, whole

midjourneys = table(
    "midjourneys",
    key(),
    whole("code"),
    whole("user_id"),
    chars("action", 40),
    short("mj_id"),
    long("prompt"),
    long("prompt_en"),
    long("description"),
    long("state"),
    whole("submit_time"),
    whole("start_time"),
    whole("finish_time"),
    long("image_url"),
    long("video_url"),
    long("video_urls"),
    chars("status", 20),
    chars("progress", 30),
    long("fail_reason"),
    whole("channel_id"),
    whole("quota"),
    long("buttons"),
    long("properties"),
    plain="action finish_time mj_id progress start_time status submit_time user_id",
)

tasks = table(
    "tasks",
    key(),
    whole("created_at"),
    whole("updated_at"),
    chars("task_id", 191),
    chars("platform", 30),
    whole("user_id"),
    chars("group", 50),
    whole("channel_id"),
    whole("quota"),
    chars("action", 40),
    chars("status", 20),
    long("fail_reason"),
    whole("submit_time"),
    whole("start_time"),
    whole("finish_time"),
    chars("progress", 20),
    json("properties"),
    json("private_data"),
    json("data"),
    plain="action channel_id created_at finish_time platform progress start_time status submit_time task_id user_id",
)
