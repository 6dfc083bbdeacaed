"""Tasks and drawings with their stories and results, and live sessions."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from admin import forms
from admin.pages.logs.calls import span
from admin.view import USER, Page, Result, Sent, Shown, View
from engine.catalogue import options

_SIZE = 100


def listed(view: View, **more: Any) -> Result:
    """Tasks, drawings, or live sessions."""
    if view.query.get("kind") == "live":
        return _live(view)
    own = "" if view.admin else "/self"
    kind = "mj" if view.query.get("kind") == "drawing" else "task"
    q = view.query
    filters: dict[str, Any] = {"mj_id" if kind == "mj" else "task_id": q.get("id", "").strip()}
    if view.admin and q.get("channel", "").isdigit():
        filters["channel_id"] = q["channel"]
    if q.get("day"):
        since, until = span(view)
        scale = 1000 if kind == "mj" else 1  # drawings keep milliseconds
        filters |= {"start_timestamp": since * scale, "end_timestamp": until * scale}
    page = int(q["p"]) if q.get("p", "").isdigit() else 1
    data = view.api("GET", f"/api/{kind}{own or '/'}", p=page, page_size=_SIZE, **filters)
    values = {"rows": [_task(forms.loads(row), kind) for row in data["items"]], "kind": kind, "page": page}
    values["more"] = data["total"] > page * _SIZE
    values |= {
        "quiet": not options.value_of(view.worker.options, "MjNotifyEnabled"),
        "twin": f"/api/{kind}{own or '/'}",
    }
    return Shown("tasks.html", {**values, "open": None, **more})


def _live(view: View) -> Result:
    """Connections that are open now, at the server that answers."""
    address = "/api/v2/sessions/live" if view.admin else "/api/v2/me/sessions/live"
    return Shown("live.html", {"rows": view.api("GET", address), "kind": "live", "twin": address})


def story(view: View) -> Result:
    """What became of a task, step by step; over its table where the page is asked for whole."""
    kind, name = view.path["kind"], view.path["id"]
    own, column = "" if view.admin else "/self", "mj_id" if kind == "mj" else "task_id"
    told = view.api("GET", f"/api/v2/{'' if view.admin else 'me/'}tasks/{quote(kind, safe='')}/{quote(name, safe='')}")
    rows = view.api("GET", f"/api/{kind}{own or '/'}", **{column: name}, page_size=1)["items"]
    values = {"task": told, "row": _task(forms.loads(rows[0]), kind) if rows else {}, "kind": kind}
    if view.beside:
        return Shown("task.html", values)
    view.query.setdefault("kind", "drawing" if kind == "mj" else "")
    return listed(view, open=values)


def _task(row: dict[str, Any], kind: str) -> dict[str, Any]:
    """A row with its moments in seconds, whichever table it is of."""
    scale = 1000 if kind == "mj" else 1
    began, ended = ((row.get(name) or 0) // scale for name in ("submit_time", "finish_time"))
    address = str(row.get("image_url") or row.get("result_url") or "")
    name = quote(str(row.get("mj_id" if kind == "mj" else "task_id") or ""), safe="")
    kept = [one for one in row.get("results") or () if one["state"] == "kept"]
    notes = [one["note"] for one in row.get("results") or () if one["note"]]
    return {
        **row,
        "began": began,
        "ended": ended,
        "took": ended - began if ended > began > 0 else 0,
        "result": address if address.startswith(("http://", "https://")) and not kept else "",
        "kept": [{**one, "address": f"/console/tasks/{kind}/{name}?number={one['number']}"} for one in kept],
        "note": notes[0] if notes else "",
    }


def result(view: View) -> Result:
    """What is kept of a task, as the file that it is."""
    own = "" if view.admin else "/self"
    kind, name = view.path["kind"], view.path["id"]
    answer = view.answer("GET", f"/api/results{own}/{kind}/{name}", number=view.query.get("number", "0"))
    headers = dict(answer.headers)
    return Sent(answer.stream, headers.pop("content-type", "application/octet-stream"), 200, headers)


PAGES = (
    Page("GET", "/console/tasks", USER, listed),
    Page("GET", "/console/tasks/:kind/:id", USER, result),
    Page("GET", "/console/tasks/:kind/:id/story", USER, story),
)
