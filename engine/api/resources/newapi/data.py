"""Sums per hour for dashboards, and how fast and how well models answer."""

from __future__ import annotations

import time
from typing import Any

from engine.api.memo import for_strangers
from engine.api.refusals import Told
from engine.api.route import ADMIN, NOBODY, USER, Answer, Ask, Route
from engine.reports import calls as reports
from engine.storage.rows import people
from engine.storage.rows.calls import CONSUME, Wanted
from engine.storage.rows.crud import Row

_ALL_DAYS, _OWN_DAYS = 31, 31
_PERIODS = ("today", "day", "week", "month", "all")
_FLOW = ("user_id", "username", "token_id", "token_name", "group", "channel_id", "model_name")


def _hourly(ask: Ask, by: tuple[str, ...], days: int, user: int = 0) -> list[Row]:
    wanted = Wanted(kind=CONSUME, user=user, username="" if user else ask.query.get("username", "")[:191])
    since, until = ask.whole("start_timestamp", 0) or 0, ask.whole("end_timestamp", 0) or 0
    return reports.hourly(ask.worker.log_db, since, until, by, wanted, days)


def _summed(ask: Ask, dimension: str, user: int = 0) -> list[Row]:
    """The rows of a dimension, of all users or of one, from the sums per hour."""
    since, until = ask.whole("start_timestamp", 0) or 0, ask.whole("end_timestamp", 0) or 0
    return reports.quota_rows(ask.worker.db, ask.worker.log_db, dimension, since, until, user)


def by_model(ask: Ask) -> Answer:
    """Per model and hour, of all or of one user."""
    name = ask.query.get("username", "")[:191]
    if not name:
        return Answer(_summed(ask, "model"), shown=True)
    row = people.by_login(ask.worker.db, name)
    return Answer(_summed(ask, "user_model", row["id"]) if row else [], shown=True)


def by_user(ask: Ask) -> Answer:
    """Per user and hour."""
    return Answer(_summed(ask, "user"), shown=True)


def own(ask: Ask) -> Answer:
    """The caller's own, per model and hour."""
    return Answer(_summed(ask, "user_model", ask.user.id), shown=True)


def flow(ask: Ask) -> Answer:
    """Per user, key, group, channel and model."""
    return Answer(_hourly(ask, _FLOW, _ALL_DAYS), shown=True)


def own_flow(ask: Ask) -> Answer:
    """The caller's own, per key, group and model."""
    rows = _hourly(ask, ("token_id", "token_name", "group", "model_name"), _OWN_DAYS, ask.user.id)
    return Answer(rows, shown=True)


def _figures(rows: list[Row]) -> dict[str, Any]:
    count, failed = sum(row["count"] for row in rows), sum(row["failed"] for row in rows)
    seconds, tokens = sum(row["seconds"] for row in rows), sum(row["tokens"] for row in rows)
    return {
        "avg_latency_ms": int(seconds * 1000 / count) if count else 0,
        "avg_ttft_ms": 0,
        "success_rate": round(100 * (count - failed) / count, 2) if count else 0,
        "avg_tps": round(tokens / seconds, 2) if seconds else 0,
        "request_count": count,
    }


def _speeds(ask: Ask, model: str) -> list[Row]:
    hours = min(max(ask.whole("hours", 24) or 24, 1), _OWN_DAYS * 24)
    rows: list[Row] = for_strangers(
        ask, ("speeds", hours, model), lambda: reports.speeds(ask.worker.log_db, hours, model)
    )
    return rows


def summary(ask: Ask) -> Answer:
    """Figures of every model."""
    rows = _speeds(ask, "")
    names = sorted({row["model_name"] or "" for row in rows})
    models = [{"model_name": name, **_figures([r for r in rows if r["model_name"] == name])} for name in names]
    return Answer({"models": models})


def of_model(ask: Ask) -> Answer:
    """Figures of one model per group."""
    model = ask.query.get("model", "")
    if not model:
        raise Told.of("required", 400, name="model")
    rows = _speeds(ask, model[:191])
    now = int(time.time())
    groups = []
    for row in rows:
        figures = _figures([row])
        groups.append({"group": row["group"] or "", **figures, "series": [{"ts": now - now % 3600, **figures}]})
    return Answer({"model_name": model, "series_schema": "1", "groups": groups})


def rankings(ask: Ask) -> Answer:
    """Which models are asked for most; nothing is told of it to everybody."""
    period = ask.query.get("period", "week")
    if period not in _PERIODS:
        raise Told.of("ranking.period", 400, what=period[:40])
    models = {"points": [], "models": [], "buckets": 0}
    vendors = {"points": [], "vendors": [], "buckets": 0}
    lists: dict[str, Any] = {name: [] for name in ("models", "vendors", "top_movers", "top_droppers")}
    return Answer({**lists, "models_history": models, "vendor_share_history": vendors})


ROUTES = (
    Route("GET", "/api/data/", ADMIN, by_model, right="log.read"),
    Route("GET", "/api/data/users", ADMIN, by_user, right="log.read"),
    Route("GET", "/api/data/self", USER, own),
    Route("GET", "/api/data/flow", ADMIN, flow, right="log.read"),
    Route("GET", "/api/data/flow/self", USER, own_flow),
    Route("GET", "/api/perf-metrics/summary", NOBODY, summary),
    Route("GET", "/api/perf-metrics", NOBODY, of_model),
    Route("GET", "/api/rankings", NOBODY, rankings),
)
