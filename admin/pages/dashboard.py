"""The dashboard: for operators what needs attention and how calls go, for users their balance and own usage."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

from admin import figures
from admin.pages.channels.table import aside
from admin.view import USER, Page, Result, Shown, View
from admin.words import gettext, ngettext
from engine.catalogue import options

_SPANS = {"24h": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400}
_SPLITS = {"model": "model_name", "channel": "channel_id", "user": "username", "key": "token_name", "group": "group"}
_SERIES = 5
_HOUR, _DAY = 3600, 86_400


def span(view: View) -> tuple[int, int, str]:
    """From when, until when, and the name of the range."""
    q, now = view.query, int(time.time())
    if q.get("from", "").isdigit() and q.get("to", "").isdigit():
        since, until = int(q["from"]), int(q["to"])
        return max(since, until - 31 * _DAY), until, ""
    name = q.get("range", "24h") if q.get("range", "24h") in _SPANS else "24h"
    return now - _SPANS[name], now, name


def show(view: View) -> Result:
    """The page."""
    since, until, name = span(view)
    split = view.query.get("by", "model")
    split = split if split in _SPLITS and (view.admin or split in ("model", "key", "group")) else "model"
    path = "/api/data/flow" if view.admin else "/api/data/flow/self"
    rows = view.api("GET", path, start_timestamp=since, end_timestamp=until)
    before = view.api("GET", path, start_timestamp=since - (until - since), end_timestamp=since)
    step = _HOUR if until - since <= 3 * _DAY else _DAY
    times = list(range(since - since % step, until + 1, step))
    names = _channel_names(view) if split == "channel" else {}
    values = {
        "range": name,
        "ranges": [("24h", "24 h"), ("7d", gettext("7 days")), ("30d", gettext("30 days"))],
        "split": split,
        "splits": _splits(view),
        "kpis": _kpis(view, rows, before, times, step),
        "requests": _plot(rows, times, step, _SPLITS[split], "count", names),
        "cost": _plot(rows, times, step, _SPLITS[split], "quota", names, unit="$", per=view.unit),
        "tokens": _plot(rows, times, step, _SPLITS[split], "token_used", names),
        "table": _table(view, rows, _SPLITS[split], names),
        "attention": _attention(view) if view.admin else [],
        "step": gettext("per hour") if step == _HOUR else gettext("per day"),
        "since": since,
        "until": until,
        "twin": f"{path}?start_timestamp={since}&end_timestamp={until}",
        "own": None if view.admin else _own(view, rows, until - since),
    }
    return Shown("dashboard.html", values)


def _splits(view: View) -> list[tuple[str, str]]:
    every = [("model", gettext("Model")), ("channel", gettext("Channel")), ("user", gettext("User"))]
    every += [("key", gettext("API key")), ("group", gettext("Group"))]
    return every if view.admin else [pair for pair in every if pair[0] not in ("channel", "user")]


def _channel_names(view: View) -> dict[Any, str]:
    return {channel.id: channel.name for channel in view.worker.snapshot.table.channels if channel.id}


def _sum(rows: list[dict[str, Any]], name: str) -> int:
    return sum(row[name] or 0 for row in rows)


def _change(now: float, before: float) -> str:
    if not before:
        return ""
    change = 100 * (now - before) / before
    return f"{'+' if change >= 0 else '−'}{abs(change):.1f}\u00a0%"


def _kpis(
    view: View, rows: list[dict[str, Any]], before: list[dict[str, Any]], times: list[int], step: int
) -> list[dict[str, Any]]:
    cards = []
    for label, name, form in (
        (gettext("Requests"), "count", figures.short),
        (gettext("Tokens"), "token_used", figures.short),
        (gettext("Charged"), "quota", lambda value: figures.dollars(value / view.unit)),
    ):
        now = _sum(rows, name)
        points = _spark(rows, times, step, name)
        cards.append({"label": label, "value": form(now), "sub": _change(now, _sum(before, name)), "points": points})
    models = {row["model_name"] for row in rows}
    cards.append({"label": gettext("Models in use"), "value": figures.number(len(models)), "sub": "", "points": ""})
    if not view.admin:
        return cards
    hours = max(1, (times[-1] - times[0]) // 3600 + 1)
    speed = view.api("GET", "/api/perf-metrics/summary", hours=min(hours, 720))
    listed = speed if isinstance(speed, list) else speed.get("models") or []
    good = [model["success_rate"] for model in listed]
    slow = [model["avg_latency_ms"] for model in listed if model["avg_latency_ms"]]
    rate = 100 - sum(good) / len(good) if good else 0
    cards.append(
        {"label": gettext("Errors seen by callers"), "value": figures.percent(rate, 100, 2), "sub": "", "points": ""}
    )
    whole = figures.took(sum(slow) / len(slow) / 1000) if slow else "—"
    cards.append({"label": gettext("Total time, mean"), "value": whole, "sub": "", "points": ""})
    return cards


def _spark(rows: list[dict[str, Any]], times: list[int], step: int, name: str) -> str:
    sums: dict[int, int] = defaultdict(int)
    for row in rows:
        sums[row["created_at"] - row["created_at"] % step] += row[name] or 0
    values = [sums[at] for at in times]
    top, count = max(values, default=0) or 1, max(1, len(values) - 1)
    pieces = [f"{'L' if i else 'M'}{72 * i / count:.1f} {18 - 15 * value / top:.1f}" for i, value in enumerate(values)]
    return "".join(pieces)


def _plot(
    rows: list[dict[str, Any]],
    times: list[int],
    step: int,
    key: str,
    what: str,
    names: dict[Any, str],
    *,
    unit: str = "",
    per: float = 1,
) -> dict[str, Any]:
    """Five series and the others, stacked; the largest first."""
    sums: dict[Any, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for row in rows:
        sums[row.get(key)][row["created_at"] - row["created_at"] % step] += (row[what] or 0) / per
    largest = sorted(sums, key=lambda name: -sum(sums[name].values()))
    series = [{"name": _label(name, names), "values": [sums[name][at] for at in times]} for name in largest[:_SERIES]]
    if len(largest) > _SERIES:
        rest = [sum(sums[name][at] for name in largest[_SERIES:]) for at in times]
        series.append({"name": gettext("others"), "values": rest})
    return {"times": times if rows else [], "series": series, "kind": "stack", "unit": unit, "days": step == _DAY}


def _label(name: Any, names: dict[Any, str]) -> str:
    return names.get(name) or (str(name) if name not in (None, "", 0) else "—")


def _table(view: View, rows: list[dict[str, Any]], key: str, names: dict[Any, str]) -> list[dict[str, Any]]:
    sums: dict[Any, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        for what in ("count", "token_used", "quota"):
            sums[row.get(key)][what] += row[what] or 0
    top = max((counts["quota"] or counts["count"] for counts in sums.values()), default=0) or 1
    entries: list[dict[str, Any]] = [
        {"name": _label(name, names), **counts, "share": 100 * (counts["quota"] or counts["count"]) / top}
        for name, counts in sums.items()
    ]
    return sorted(entries, key=lambda entry: (-entry["quota"], -entry["count"]))[:12]


def _attention(view: View) -> list[dict[str, Any]]:
    """What hurts callers now, what costs money, what was refused; in this order."""
    lines: list[dict[str, Any]] = []
    for channel in view.worker.snapshot.table.channels:
        wait = aside(view, channel)
        if wait:
            words = gettext("Set aside by its breaker; back in %(seconds)s s.") % {"seconds": int(wait)}
            lines.append(
                _line(
                    "bad", channel.name, words, f"/console/channels/{channel.id}" if channel.id else "/console/channels"
                )
            )
    off = view.api("GET", "/api/channel/", status="disabled", page_size=100)["items"]
    for row in [row for row in off if row["status"] == 3][:5]:
        lines.append(
            _line(
                "bad",
                row["name"],
                gettext("Auto-disabled: the vendor refuses its key."),
                f"/console/channels/{row['id']}",
            )
        )
    book, table = view.worker.snapshot.book, view.worker.snapshot.table
    groups = sorted({group for channel in table.channels for group in channel.groups})
    bare = [name for name in table.models(groups) if book.find(name) is None]
    if bare:
        words = ngettext("%(num)s model in use has no price", "%(num)s models in use have no price", len(bare)) % {
            "num": len(bare)
        }
        lines.append(
            _line("warn", words, ", ".join(bare[:4]) + (" …" if len(bare) > 4 else ""), "/console/models?view=unpriced")
        )
    status = view.worker.upstream.status()
    if status.get("ok") is False and view.root:
        fault: dict[str, Any] = next(iter(status.get("faults") or [{}]), {})
        lines.append(
            _line("warn", gettext("Documents were refused"), str(fault.get("message", ""))[:160], "/console/documents")
        )
    if not table.channels:
        lines.append(
            _line("info", gettext("No channel yet"), gettext("Add one, and models can be called."), "/console/channels")
        )
    return lines


def _line(kind: str, title: str, text: str, href: str) -> dict[str, Any]:
    return {"kind": kind, "title": title, "text": text, "href": href}


def _own(view: View, rows: list[dict[str, Any]], seconds: int) -> dict[str, Any]:
    """A user's balance, and how long it lasts at the pace of the range."""
    me = view.api("GET", "/api/user/self")
    pace = _sum(rows, "quota") / max(seconds, 1)
    values = view.worker.options
    return {
        "balance": me["quota"],
        "used": me["used_quota"],
        "calls": me["request_count"],
        "lasts": figures.span(me["quota"] / pace) if pace and me["quota"] > 0 else "",
        "addresses": [
            row for row in options.value_of(values, "console_setting.api_info") or [] if isinstance(row, dict)
        ],
        "announcements": [
            row for row in options.value_of(values, "console_setting.announcements") or [] if isinstance(row, dict)
        ][:5],
        "faq": [row for row in options.value_of(values, "console_setting.faq") or [] if isinstance(row, dict)][:8],
        "notice": str(options.value_of(values, "Notice") or ""),
        "origin": view.origin,
    }


PAGES = (Page("GET", "/console", USER, show),)
