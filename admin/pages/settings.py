"""Settings by area, with search over all; announcements and the other lists as rows; the audit log."""

from __future__ import annotations

import datetime
from typing import Any

import orjson

from admin import areas, forms
from admin.view import ADMIN, ROOT, Moved, Page, Result, Sent, Shown, View
from admin.words import gettext
from engine.catalogue import options
from engine.errors import Conflict, Forbidden, Invalid, NotFound
from engine.reports import changes

_FAULTS = (Invalid, Conflict, Forbidden)
_SIZE = 100
LISTS: dict[str, tuple[str, ...]] = {
    "console_setting.announcements": ("content", "publishDate", "type", "extra"),
    "console_setting.api_info": ("url", "route", "description", "color"),
    "console_setting.faq": ("question", "answer"),
}
"""Options that are lists of objects, with the members that their rows have."""


def _value(view: View, setting: areas.Setting, last: dict[str, tuple[int, int]]) -> dict[str, Any]:
    option = options.known()[setting.name]
    text = view.worker.options.get(setting.name)
    kind = option.type if option.type in ("boolean", "whole", "number") else ""
    value = options.value_of(view.worker.options, setting.name)
    place = view.worker.db.pinned.get(setting.name, ("", ""))[1]
    rows = (
        "lines"
        if kind == "" and ("\n" in str(text or "") or len(str(text or "")) > 60 or option.type != "text")
        else kind or "text"
    )
    shown = "" if option.secret else (text if text is not None else option.default)
    return {
        "setting": setting,
        "option": option,
        "kind": "secret" if option.secret else "choice" if option.choices else rows,
        "value": shown,
        "on": value is True,
        "list": LISTS.get(setting.name),
        "source": place or (gettext("database") if text is not None else gettext("default")),
        "pinned": bool(place),
        "last": last.get(setting.name),
    }


def show(view: View, status: int = 200, **more: Any) -> Result:
    """An area, or what a search over all finds."""
    area = view.path.get("area", "site")
    if area not in [key for key, _, _ in areas.AREAS]:
        raise NotFound(area)
    word = view.query.get("q", "").strip()
    chosen = areas.search(word) if word else [setting for setting in areas.settings() if setting.area == area]
    last = changes.of_options(view.worker.db)
    values = {
        "areas": [(key, gettext(words), i) for key, words, i in areas.AREAS],
        "area": area,
        "rows": [_value(view, setting, last) for setting in chosen],
        "word": word,
        "twin": "/api/option/",
    }
    return Shown("settings.html", {**values, **more}, status)


def put(view: View) -> Result:
    """One setting."""
    name = view.form.get("name", "")
    setting = next((setting for setting in areas.settings() if setting.name == name), None)
    if setting is None:
        raise NotFound(name)
    option = options.known()[name]
    value = view.form.get("value", "")
    if option.type == "boolean":
        value = "true" if "value" in view.form else "false"
    before = view.worker.options.get(name)
    faults = {}
    try:
        view.api("PUT", "/api/option/", {"key": name, "value": value})
    except _FAULTS as error:
        faults = {name: view.words(error)}
    row = _value(view, setting, changes.of_options(view.worker.db))
    if faults:
        row["value"] = value
    was = before if before is not None else option.default
    undo = (
        None
        if option.secret or faults
        else (
            "/console/settings",
            {"name": name, **({"value": was} if option.type != "boolean" or was == "true" else {})},
        )
    )
    words = f"{setting.label}: {gettext('Saved')}"
    return Shown(
        "setting.html", {"row": row, "faults": faults}, 422 if faults else 200, toast="" if faults else words, undo=undo
    )


def rows(view: View, status: int = 200, **more: Any) -> Result:
    """The rows of a list, such as announcements."""
    name = view.path["name"]
    if name not in LISTS:
        raise NotFound(name)
    setting = next(setting for setting in areas.settings() if setting.name == name)
    listed = [row for row in options.value_of(view.worker.options, name) or [] if isinstance(row, dict)]
    values = {
        "setting": setting,
        "members": LISTS[name],
        "rows": listed,
        "today": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    return Shown("rows.html", {**values, **more}, status)


def put_row(view: View) -> Result:
    """A row of a list, added or deleted."""
    name, form = view.path["name"], view.form
    if name not in LISTS:
        raise NotFound(name)
    listed = [row for row in options.value_of(view.worker.options, name) or [] if isinstance(row, dict)]
    if form.get("delete", "").isdigit() and int(form["delete"]) < len(listed):
        del listed[int(form["delete"])]
    else:
        row = {member: form.get(member, "").strip() for member in LISTS[name]}
        if not row[LISTS[name][0]]:
            return rows(view, 422, faults={LISTS[name][0]: gettext("Write something")}, form=form)
        numbers = [entry["id"] for entry in listed if isinstance(entry.get("id"), int)]
        listed.insert(0, {"id": max(numbers, default=0) + 1, **row})
    view.api("PUT", "/api/option/", {"key": name, "value": orjson.dumps(listed).decode()})
    return Moved(f"/console/settings/rows/{name}")


def audit(view: View) -> Result:
    """What was changed, by whom, from where."""
    before = forms.whole("before", view.query.get("before", "")) if view.query.get("before", "").isdigit() else 0
    listed = changes.listed(view.worker.db, before, _SIZE, word=view.query.get("q", "")[:100])
    return Shown("audit.html", {"rows": listed, "older": listed[-1]["id"] if len(listed) == _SIZE else 0})


_TWINS = {"channel": "/api/channel/{}", "data": "/api/data/flow", "log": "/api/log/"}


def twin(view: View) -> Result:
    """A page's data as the management API gives it."""
    kind = view.path["kind"]
    if kind == "log":
        path = "/api/log/" if view.admin else "/api/log/self"
        data = view.api("GET", path, request_id=view.path["id"])
    elif kind == "channel" and view.admin:
        data = view.api("GET", f"/api/channel/{view.number()}")
    else:
        raise NotFound(kind)
    return Sent(orjson.dumps(data, option=orjson.OPT_INDENT_2), "application/json; charset=utf-8")


def flow(view: View) -> Result:
    """The dashboard's data."""
    path = "/api/data/flow" if view.admin else "/api/data/flow/self"
    data = view.api("GET", path, **view.query)
    return Sent(orjson.dumps(data, option=orjson.OPT_INDENT_2), "application/json; charset=utf-8")


def export(view: View) -> Result:
    """All channels as CSV, without secrets."""
    rows_ = view.api("GET", "/api/channel/", page_size=100)["items"]
    names = ("id", "name", "type", "status", "group", "models", "priority", "weight", "tag", "base_url", "remark")
    lines = [",".join(names), *(",".join(_cell(row.get(name)) for name in names) for row in rows_)]
    headers = {"content-disposition": "attachment; filename=channels.csv"}
    return Sent("\n".join(lines) + "\n", "text/csv; charset=utf-8", headers=headers)


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    text = f"'{text}" if text[:1] in ("=", "+", "-", "@") and not text[1:].isdigit() else text
    return '"' + text.replace('"', '""') + '"'


def kit(view: View) -> Result:
    """The style guide: every component in every state."""
    return Shown("kit.html", {})


PAGES = (
    Page("GET", "/console/settings", ROOT, show),
    Page("POST", "/console/settings", ROOT, put),
    Page("GET", "/console/settings/audit", ROOT, audit),
    Page("GET", "/console/settings/:area", ROOT, show),
    Page("GET", "/console/settings/rows/:name", ROOT, rows),
    Page("POST", "/console/settings/rows/:name", ROOT, put_row),
    Page("GET", "/console/json/data", 1, flow),
    Page("GET", "/console/json/:kind/:id", 1, twin),
    Page("GET", "/console/export/channels.csv", ADMIN, export),
    Page("GET", "/console/kit", ADMIN, kit),
)
