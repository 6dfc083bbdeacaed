"""The list of prices for users and, where the operator lets it, for everybody: filters with counts, table or cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from admin import forms, shell
from admin.pages import gate
from admin.view import NOBODY, Page, Result, Shown, View
from admin.words import gettext
from engine.errors import Forbidden, Unauthenticated

_RATIO = 2.0
"""Dollars of a million tokens at ratio 1."""
_Row = dict[str, Any]


def show(view: View) -> Result:
    """The page; a stranger sees it unless the option for entries of the head says otherwise."""
    _let(view)
    table = view.api("GET", "/api/pricing")
    q = view.query
    group = q.get("group", "") if q.get("group", "") in table["usable_group"] else ""
    ratio = table["group_ratio"].get(group, 1) if group else 1
    vendors = {vendor["id"]: vendor["name"] for vendor in table["vendors"]}
    rows = [
        _row(view, model, ratio, vendors) for model in table["data"] if not group or group in model["enable_groups"]
    ]
    values = {
        "rows": [row for row in rows if _fits(row, q)],
        "total": len(rows),
        "groups": table["usable_group"],
        "ratio": ratio,
        "filters": _filters(rows, q),
        "by": 1000 if q.get("unit") == "k" else 1,
        "cards": q.get("view") == "cards",
        "twin": "/api/pricing",
    }
    return Shown("prices.html", values) if view.person is not None else gate.framed(view, "prices.html", **values)


def _let(view: View) -> None:
    """Whether who looks may: the page can be switched off, or be for those alone who have signed in."""
    rule = shell.price_rule(view.worker.options)
    if rule.get("enabled") is False and not view.admin:
        raise Forbidden(gettext("The price page is switched off."))
    if rule.get("requireAuth") is True and view.person is None:
        raise Unauthenticated


def _row(view: View, model: dict[str, Any], ratio: float, vendors: dict[int, str]) -> _Row:
    base = model["model_ratio"] * _RATIO * ratio
    priced = view.worker.snapshot.book.find(model["model_name"]) is not None
    each = model["quota_type"] == 1
    return {
        "name": model["model_name"],
        "vendor": vendors.get(model.get("vendor_id", 0), ""),
        "tags": forms.words_of(model.get("tags") or ""),
        "what": model.get("description") or "",
        "groups": model["enable_groups"],
        "ends": model["supported_endpoint_types"],
        "priced": priced,
        "billing": "" if not priced else "call" if each else "token",
        "input": base,
        "output": base * model["completion_ratio"],
        "cache": base * model["cache_ratio"] if "cache_ratio" in model else None,
        "each": model["model_price"] * ratio,
    }


_MEMBERS: dict[str, Callable[[_Row], list[str]]] = {
    "vendor": lambda row: [row["vendor"]] if row["vendor"] else [],
    "tag": lambda row: row["tags"],
    "billing": lambda row: [row["billing"]] if row["billing"] else [],
    "end": lambda row: row["ends"],
}


def _fits(row: _Row, q: dict[str, str], but: str = "") -> bool:
    """Whether a model has all that is asked for."""
    if q.get("q", "").lower() not in f"{row['name']} {row['what']}".lower():
        return False
    return all(name == but or not q.get(name) or q[name] in members(row) for name, members in _MEMBERS.items())


def _filters(rows: list[_Row], q: dict[str, str]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Each filter with its values, and how many models would be left with each."""
    words = {
        "vendor": gettext("Vendor"),
        "tag": gettext("Tag"),
        "billing": gettext("Charged"),
        "end": gettext("Format"),
    }
    billing = {"token": gettext("by token"), "call": gettext("by call")}
    listed = []
    for name, members in _MEMBERS.items():
        counts = Counter(value for row in rows if _fits(row, q, name) for value in members(row))
        values = [(value, f"{billing.get(value, value)} ({count})") for value, count in sorted(counts.items())]
        if values:
            listed.append((name, words[name], values))
    return listed


PAGES = (Page("GET", "/console/prices", NOBODY, show),)
