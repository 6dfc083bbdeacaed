"""Groups of callers and channels: ratio, who may choose them, order of auto."""

from __future__ import annotations

from typing import Any

import orjson

from admin import forms
from admin.view import ROOT, Page, Result, Shown, View
from admin.words import gettext
from engine.catalogue import groups, options
from engine.errors import Conflict, Forbidden, Invalid

_FAULTS = (Invalid, Conflict, Forbidden)


def group_page(view: View, status: int = 200, **more: Any) -> Shown:
    """Groups: ratio, who may choose them, order of auto."""
    values = view.worker.options
    usable = options.value_of(values, "UserUsableGroups") or {}
    auto = options.value_of(values, "AutoGroups") or []
    rows = [
        (name, ratio, usable.get(name), auto.index(name) + 1 if name in auto else "")
        for name, ratio in sorted(groups.ratios(values).items())
    ]
    return Shown("groups.html", {"rows": rows, "twin": "/api/group/", **more}, status)


def put_group(view: View) -> Result:
    """A group, new or changed; its name given empty deletes it."""
    form, values = view.form, view.worker.options
    name = form.get("name", "").strip()
    try:
        ratio = forms.decimal("ratio", form.get("ratio", ""), 1.0)
        if not name or ratio < 0:
            raise Invalid(
                "name" if not name else "ratio",
                gettext("Give it a name") if not name else gettext("Write a number of 0 or more"),
            )
        table = {
            key: factor for key, factor in groups.ratios(values).items() if not (form.get("delete") and key == name)
        }
        usable = {
            key: text for key, text in (options.value_of(values, "UserUsableGroups") or {}).items() if key != name
        }
        auto = [key for key in options.value_of(values, "AutoGroups") or [] if key != name]
        if not form.get("delete"):
            table[name] = int(ratio) if ratio == int(ratio) else ratio
            if "open" in form:
                usable[name] = form.get("words", "").strip() or name
            if form.get("order", "").strip():
                auto.insert(max(0, forms.whole("order", form["order"]) - 1), name)
        key = (
            "group_ratio_setting.group_ratio"
            if options.value_of(values, "group_ratio_setting.group_ratio")
            else "GroupRatio"
        )
        for option, value in ((key, table), ("UserUsableGroups", usable), ("AutoGroups", auto)):
            view.api("PUT", "/api/option/", {"key": option, "value": orjson.dumps(value).decode()})
    except _FAULTS as error:
        return group_page(view, 422, faults=forms.faults(view, error, "name"), form=form)
    shown = group_page(view)
    shown.toast = f"{name}: {gettext('Saved')}"
    return shown


PAGES = (
    Page("GET", "/console/models/groups", ROOT, group_page),
    Page("POST", "/console/models/groups", ROOT, put_group),
)
