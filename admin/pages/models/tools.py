"""What calls of tools cost: dollars for a thousand, by the tool's name."""

from __future__ import annotations

from typing import Any

import orjson

from admin import forms
from admin.view import ROOT, Page, Result, Shown, View
from admin.words import gettext
from engine.catalogue import options
from engine.errors import Conflict, Forbidden, Invalid

_FAULTS = (Invalid, Conflict, Forbidden)
_OPTION = "tool_price_setting.prices"


def _prices(view: View) -> dict[str, Any]:
    value = options.value_of(view.worker.options, _OPTION)
    return value if isinstance(value, dict) else {}


def show(view: View, status: int = 200, **more: Any) -> Shown:
    """The table."""
    book = view.worker.snapshot.book
    documented: dict[str, list[tuple[str, Any]]] = {}
    for name in view.worker.snapshot.table.models(sorted(_groups(view))):
        rule = book.find(name)
        if rule is not None and rule.source != "options":
            for tool in rule.priced_tools():
                documented.setdefault(tool, []).append((name, rule.tool(tool)))
    values = {"rows": sorted(_prices(view).items()), "documented": sorted(documented.items())}
    return Shown("tools.html", {**values, "twin": "/api/option/", **more}, status)


def _groups(view: View) -> set[str]:
    return {group for channel in view.worker.snapshot.table.channels for group in channel.groups}


def put(view: View) -> Result:
    """A price, new, changed or deleted."""
    form, name = view.form, view.form.get("name", "").strip()
    prices = dict(_prices(view))
    before = prices.pop(name, None)
    try:
        if not name:
            raise Invalid("name", gettext("Give it a name"))
        if not form.get("delete"):
            amount = forms.decimal("price", form.get("price", ""), -1)
            if amount < 0:
                raise Invalid("price", gettext("Write an amount of 0 or more"))
            prices[name] = int(amount) if amount == int(amount) else amount
        view.api("PUT", "/api/option/", {"key": _OPTION, "value": orjson.dumps(prices).decode()})
    except _FAULTS as error:
        return show(view, 422, faults=forms.faults(view, error, "name"), form=form)
    shown = show(view)
    shown.toast = f"{name}: {gettext('Saved')}"
    if before is not None:
        shown.undo = ("/console/models/tools", {"name": name, "price": before})
    return shown


PAGES = (
    Page("GET", "/console/models/tools", ROOT, show),
    Page("POST", "/console/models/tools", ROOT, put),
)
