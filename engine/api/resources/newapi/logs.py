"""The log: lists and sums for administrators and for users, and deleting what is old."""

from __future__ import annotations

from engine.api.refusals import Told
from engine.api.route import ADMIN, ROOT, USER, Answer, Ask, Page, Route
from engine.reports import calls as reports
from engine.storage import retention
from engine.storage.rows.calls import CONSUME, Wanted


def _wanted(ask: Ask, *, own: bool, kind: int | None = None) -> Wanted:
    query = ask.query
    return Wanted(
        kind=(ask.whole("type", 0) or 0) if kind is None else kind,
        since=ask.whole("start_timestamp", 0) or 0,
        until=ask.whole("end_timestamp", 0) or 0,
        user=ask.user.id if own else 0,
        username="" if own else query.get("username", "")[:191],
        token_name=query.get("token_name", "")[:191],
        model=query.get("model_name", "")[:191],
        channel=0 if own else ask.whole("channel", 0) or 0,
        group=query.get("group", "")[:64],
        request_id=query.get("request_id", "")[:64],
        tag=query.get("tag", "").strip()[:64],
        upstream_request_id="" if own else query.get("upstream_request_id", "")[:128],
    )


def _page(ask: Ask) -> Page:
    """The page that is asked for; one beyond what is counted is a request that is wrong (400)."""
    page = ask.page()
    if page.offset >= reports.MOST_ROWS:
        raise Told.of("search.deep", 400, "invalid", beside={"field": "p"}, most=reports.MOST_ROWS)
    return page


def listed(ask: Ask) -> Answer:
    """A page of everybody's rows."""
    page = _page(ask)
    worker = ask.worker
    rows, total = reports.listed(worker.log_db, worker.db, _wanted(ask, own=False), page.offset, page.size)
    return Answer(page.of(rows, total, total_is_bounded=total >= reports.MOST_ROWS))


def own(ask: Ask) -> Answer:
    """A page of the caller's rows."""
    page = _page(ask)
    rows, total = reports.own(ask.worker.log_db, _wanted(ask, own=True), page.offset, page.size)
    return Answer(page.of(rows, total, total_is_bounded=total >= reports.MOST_ROWS))


def stat(ask: Ask) -> Answer:
    """What everybody's calls were charged, and the pace of the last minute."""
    return Answer(reports.stat(ask.worker.log_db, _wanted(ask, own=False, kind=CONSUME)))


def own_stat(ask: Ask) -> Answer:
    """The same of the caller."""
    return Answer(reports.stat(ask.worker.log_db, _wanted(ask, own=True, kind=CONSUME)))


def gone(ask: Ask) -> Answer:
    """A search that the lists have taken in."""
    raise Told.of("search.gone")


def affinity(ask: Ask) -> Answer:
    """How often a caller that is bound to a channel found its tokens cached: nobody is bound by rules of this kind."""
    for name in ("rule_name", "key_fp"):
        if not ask.query.get(name):
            raise Told.of("missing", 400, name=name)
    counters = ("hit", "total", "window_seconds", "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens")
    return Answer(
        {
            "rule_name": ask.query["rule_name"],
            "using_group": ask.query.get("using_group", ""),
            "key_fp": ask.query["key_fp"],
            "cached_token_rate_mode": "",
            **dict.fromkeys((*counters, "prompt_cache_hit_tokens", "last_seen_at"), 0),
        }
    )


def clean(ask: Ask) -> Answer:
    """Delete rows older than a moment; how many."""
    before = ask.whole("target_timestamp", 0) or 0
    if before <= 0:
        raise Told.of("logs.target")
    return Answer(retention.clean(ask.worker.db, ask.worker.log_db, before))


ROUTES = (
    Route("GET", "/api/log/", ADMIN, listed, right="log.read"),
    Route("GET", "/api/log/self", USER, own),
    Route("GET", "/api/log/stat", ADMIN, stat, right="log.read"),
    Route("GET", "/api/log/self/stat", USER, own_stat),
    Route("GET", "/api/log/search", ADMIN, gone, right="log.read"),
    Route("GET", "/api/log/self/search", USER, gone),
    Route("GET", "/api/log/channel_affinity_usage_cache", ADMIN, affinity, right="log.read"),
    Route("DELETE", "/api/log/", ROOT, clean),
)
