"""The state of this machine and of tasks in the background, for root; and where other gateways' prices are read."""

from __future__ import annotations

import gc
import os
import resource
import shutil
from typing import Any

from engine.accounts import rights
from engine.api.refusals import Told
from engine.api.route import ADMIN, ROOT, Answer, Ask, Route
from engine.catalogue import options, price_sync
from engine.storage import retention
from engine.storage.rows import channel_edits


def stats(ask: Ask) -> Answer:
    """Memory and disk."""
    disk = shutil.disk_usage(ask.worker.settings.data)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    counts = (
        *("active_disk_files", "current_disk_usage_bytes", "active_memory_buffers", "current_memory_usage_bytes"),
        *("disk_cache_hits", "memory_cache_hits", "disk_cache_max_bytes", "disk_cache_threshold_bytes"),
    )
    names = [name for name in options.known() if name.startswith("performance_setting.")]
    config = {name.partition(".")[2]: options.value_of(ask.worker.options, name) for name in names}
    return Answer(
        {
            "cache_stats": dict.fromkeys(counts, 0),
            "memory_stats": {
                "alloc": memory,
                "total_alloc": memory,
                "sys": memory,
                "num_gc": sum(one["collections"] for one in gc.get_stats()),
                "num_goroutine": 0,
            },
            "disk_cache_info": {"path": "", "exists": False, "file_count": 0, "total_size": 0},
            "disk_space_info": {
                "total": disk.total,
                "free": disk.free,
                "used": disk.used,
                "used_percent": round(100 * disk.used / disk.total, 1) if disk.total else 0,
            },
            "config": {**config, "is_running_in_container": os.path.exists("/.dockerenv")},
        }
    )


def done(ask: Ask) -> Answer:
    """There is nothing to empty: memory is given back by itself, and nothing is cached on disk."""
    return Answer(message="performance.done")


def log_files(ask: Ask) -> Answer:
    """The log goes to stderr: there are no files."""
    return Answer({"log_dir": "", "enabled": False, "file_count": 0, "total_size": 0, "files": []})


def clean_log_files(ask: Ask) -> Answer:
    """There are none to delete."""
    if ask.query.get("mode") not in ("by_count", "by_days"):
        raise Told.of("logs.mode")
    if (ask.whole("value", 0) or 0) < 1:
        raise Told.of("logs.value")
    return Answer({"deleted_count": 0, "freed_bytes": 0, "failed_files": []})


def catalogue(ask: Ask) -> Answer:
    """Which finer rights there are, and what each role begins with."""
    actions = [
        {"action": name, "label_key": f"channel.{name}", "description_key": f"channel.{name}.words"}
        for name in rights.TABLE["channel"]
    ]
    roles = [
        {
            "key": key,
            "name": key,
            "built_in": True,
            "superuser": role == ROOT,
            "grants": {"channel": rights.of(ask.worker.db, 0, role)["channel"]},
        }
        for key, role in (("admin", ADMIN), ("root", ROOT))
    ]
    return Answer({"resources": [{"resource": "channel", "label_key": "channel", "actions": actions}], "roles": roles})


def clean_log(ask: Ask) -> Answer:
    """Delete rows of the log older than a moment."""
    before = ask.whole("target_timestamp", 0) or 0
    if before <= 0:
        raise Told.of("logs.target")
    count = retention.clean(ask.worker.db, ask.worker.log_db, before)
    state = {"total": count, "processed": count, "progress": 100, "remaining": 0}
    return Answer(
        {"task_id": "", "type": "log_cleanup", "status": "success", "state": state, "result": {"deleted": count}}
    )


def no_tasks(ask: Ask) -> Answer:
    """Tasks of the system are done at once: none waits."""
    return Answer([], shown=True)


def no_task(ask: Ask) -> Answer:
    """None is under way."""
    return Answer(None, shown=True)


def unknown_task(ask: Ask) -> Answer:
    """None is kept."""
    raise Told.of("not_found", 404)


def sync_sources(ask: Ask) -> Answer:
    """Channels whose prices may be read, and two lists that are public."""
    rows = channel_edits.listed(ask.worker.db, (), channel_edits.order("id", descending=False, by_id=True))
    shown: list[dict[str, Any]] = [
        {
            name: row.get(name) or (0 if name in ("id", "status", "type") else "")
            for name in ("id", "name", "base_url", "status", "type")
        }
        for row in rows
        if row.get("base_url")
    ]
    return Answer([*shown, *price_sync.presets()], shown=True)


def sync(ask: Ask) -> Answer:
    """What other gateways ask for, beside what is asked for here; nothing is changed."""
    sources = price_sync.sources(ask.worker.db, ask.given("channel_ids", []), ask.given("upstreams", []))
    if not sources:
        raise Told.of("sync.none")
    timeout = min(max(ask.given("timeout", 10), 1), 30)
    return Answer(price_sync.compare(ask.worker.upstream.pool, sources, ask.worker.options, timeout))


ROUTES = (
    Route("GET", "/api/performance/stats", ROOT, stats),
    Route("POST", "/api/performance/gc", ROOT, done, noted=False),
    Route("POST", "/api/performance/reset_stats", ROOT, done, noted=False),
    Route("DELETE", "/api/performance/disk_cache", ROOT, done, noted=False),
    Route("GET", "/api/performance/logs", ROOT, log_files),
    Route("DELETE", "/api/performance/logs", ROOT, clean_log_files, noted=False),
    Route("GET", "/api/authz/catalog", ADMIN, catalogue),
    Route("POST", "/api/system-task/log-cleanup", ROOT, clean_log),
    Route("GET", "/api/system-task/list", ROOT, no_tasks),
    Route("GET", "/api/system-task/current", ROOT, no_task),
    Route("GET", "/api/system-task/:task", ROOT, unknown_task),
    Route("GET", "/api/ratio_sync/channels", ROOT, sync_sources),
    Route(
        "POST",
        "/api/ratio_sync/fetch",
        ROOT,
        sync,
        {"channel_ids": list, "upstreams": list, "timeout": int},
        broken=(400, "invalid.request"),
        noted=False,
    ),
)
