"""Logs: all kinds of rows with filters, their sum, and the whole story of one call."""

from __future__ import annotations

import csv
import datetime
import io
import time
from collections.abc import Iterator
from typing import Any

from admin import forms, story
from admin.view import ROOT, USER, Page, Result, Sent, Shown, View
from admin.words import gettext, ngettext, noted
from engine.errors import Conflict, Forbidden, Invalid, NotFound

_SIZE = 100
_SPANS = {"1h": 3600, "24h": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400}
KINDS = (
    ("", noted("All")),
    ("2", noted("Usage")),
    ("5", noted("Errors")),
    ("1", noted("Top-ups")),
    ("6", noted("Refunds")),
    ("3", noted("Management")),
    ("4", noted("System")),
)
_FILTERS = {"user": "username", "key": "token_name", "model": "model_name", "channel": "channel"}
_FILTERS |= {"group": "group", "tag": "tag"}


def span(view: View) -> tuple[int, int]:
    """The time that is asked for."""
    q = view.query
    if q.get("from", "").isdigit():
        return int(q["from"]), int(q["to"]) if q.get("to", "").isdigit() else 0
    if first := _midnight(q.get("day", "")):
        return first, (_midnight(q.get("last", "")) or first) + 86_400
    return int(time.time()) - _SPANS.get(q.get("range", ""), 86_400), 0


def _midnight(day: str) -> int:
    """The beginning of a day in UTC; 0 for what is no day."""
    try:
        return int(datetime.datetime.fromisoformat(day[:10]).replace(tzinfo=datetime.UTC).timestamp())
    except ValueError:
        return 0


def asked(view: View) -> dict[str, Any]:
    """The filters in the words of the management API."""
    q = view.query
    since, until = span(view)
    names = {theirs: q.get(ours, "") for ours, theirs in _FILTERS.items()}
    if view.admin:
        names["upstream_request_id"] = q.get("vendor", "").strip()
    text = q.get("q", "").strip()
    if len(text) >= 20 and text.isalnum():
        names["request_id"] = text
    elif text:
        names["model_name"] = f"%{text}%"
    return {**names, "type": q.get("kind", ""), "start_timestamp": since, "end_timestamp": until or ""}


def listed(view: View, **more: Any) -> Shown:
    """The table."""
    wanted = asked(view)
    page = int(view.query["p"]) if view.query.get("p", "").isdigit() else 1
    own = not view.admin
    data = view.api("GET", "/api/log/self" if own else "/api/log/", **wanted, p=page, page_size=_SIZE)
    sums = view.api("GET", "/api/log/self/stat" if own else "/api/log/stat", **wanted)
    values = {
        "rows": [story.row(view, item) for item in data["items"]],
        "sums": sums,
        "kinds": [(key, gettext(word)) for key, word in KINDS],
        "ranges": [("1h", "1 h"), ("24h", "24 h"), ("7d", gettext("7 days")), ("30d", gettext("30 days"))],
        "page": page,
        "more": data["total"] > page * _SIZE,
        "narrowed": sum(1 for name in ("key", "group", "tag", "vendor", "day", "last") if view.query.get(name)),
        "open": None,
        "twin": "/api/log/self" if own else "/api/log/",
    }
    return Shown("logs.html", {**values, **more})


def one(view: View) -> Result:
    """The story of a call; over its table where the page is asked for whole."""
    own = "/api/log/self" if not view.admin else "/api/log/"
    data = view.api("GET", own, request_id=view.path["id"], page_size=1)
    if not data["items"]:
        raise NotFound(gettext("No call has this id; rows are kept for as long as the operator says."))
    values = {"call": story.of(view, data["items"][0])}
    if view.beside:
        return Shown("story.html", values)
    return listed(view, open=values)


def clean(view: View) -> Result:
    """Delete the rows of before a day; sums by hour stay."""
    try:
        before = _midnight(view.form.get("before", ""))
        if not before:
            raise Invalid("before", gettext("Choose a day"))
        count = int(view.api("DELETE", "/api/log/", target_timestamp=before) or 0)
    except (Invalid, Conflict, Forbidden) as error:
        return Shown("logs_clean.html", {"faults": forms.faults(view, error, "before")}, 422)
    toast = ngettext("%(num)s row deleted", "%(num)s rows deleted", count) % {"num": count}
    return Shown("", toast=toast, fresh=True, done=True)


_COLUMNS = ("created_at", "type", "username", "token_name", "model_name", "channel", "group", "prompt_tokens")


def export(view: View) -> Result:
    """The rows of the filter as CSV, 10,000 at most."""
    own = "/api/log/self" if not view.admin else "/api/log/"
    columns = (*_COLUMNS, "completion_tokens", "quota", "use_time", "is_stream", "request_id", "content")

    def pieces() -> Iterator[bytes]:
        yield _line(columns)
        for page in range(1, 101):
            items = view.api("GET", own, **asked(view), p=page, page_size=_SIZE)["items"]
            yield b"".join(_line([row.get(name, "") for name in columns]) for row in items)
            if len(items) < _SIZE:
                return

    return Sent(pieces(), "text/csv; charset=utf-8", headers={"content-disposition": "attachment; filename=logs.csv"})


def _line(values: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow([_safe(value) for value in values])
    return text.getvalue().encode()


def _safe(value: Any) -> Any:
    """A cell that a spreadsheet takes for a formula is a text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value


PAGES = (
    Page("GET", "/console/logs", USER, listed),
    Page("GET", "/console/logs/export.csv", USER, export),
    Page("GET", "/console/logs/:id", USER, one),
    Page("POST", "/console/logs/clean", ROOT, clean),
)
