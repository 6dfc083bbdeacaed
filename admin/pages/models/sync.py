"""Prices of other gateways beside ours: what differs is chosen cell by cell, planned in words, and taken over."""

from __future__ import annotations

from typing import Any

import orjson

from admin import figures
from admin.view import ROOT, Page, Result, Shown, View
from admin.words import gettext, ngettext, noted
from engine.catalogue import options
from engine.errors import Conflict, Forbidden, Invalid

_FAULTS = (Invalid, Conflict, Forbidden)
_FIELDS = {
    "model_ratio": ("ModelRatio", noted("Input")),
    "completion_ratio": ("CompletionRatio", noted("Output ÷ input")),
    "cache_ratio": ("CacheRatio", noted("Read from cache ÷ input")),
    "create_cache_ratio": ("CreateCacheRatio", noted("Written to cache ÷ input")),
    "model_price": ("ModelPrice", noted("A call")),
}
"""The members of a price as other gateways say it: our option, and its words."""
_DOLLARS = 2.0
"""Dollars of a million tokens at ratio 1."""
_MOST = 400


def show(view: View, status: int = 200, **more: Any) -> Shown:
    """The sources that may be asked."""
    sources = view.api("GET", "/api/ratio_sync/channels")
    values = {"sources": sources, "rows": None, "results": [], "names": [], "twin": "/api/ratio_sync/channels"}
    return Shown("sync.html", {**values, **more}, status)


def compare(view: View) -> Result:
    """Ask the sources that were ticked, and show what differs."""
    form = view.form
    ids = [int(part) for part in form.get("source", "").split() if part.lstrip("-").isdigit()]
    typed = form.get("address", "").strip()
    given = [{"base_url": typed, "name": typed, "endpoint": form.get("endpoint", "").strip()}] if typed else []
    try:
        if not ids and not given:
            raise Invalid("source", gettext("Tick a source, or write an address"))
        data = view.api("POST", "/api/ratio_sync/fetch", {"channel_ids": ids, "upstreams": given, "timeout": 10})
    except _FAULTS as error:
        return show(view, 422, faults={"source": view.words(error)}, form=form, ticked=ids)
    names = [result["name"] for result in data["test_results"] if result["status"] == "success"]
    word = form.get("q", "").lower()
    models = [name for name in data["differences"] if word in name.lower()]
    used = set(view.worker.snapshot.table.models(_groups(view)))
    models.sort(key=lambda name: (name not in used, name))
    rows = [_row(name, data["differences"][name], names, used) for name in models[:_MOST]]
    values = {"rows": rows, "names": names, "results": data["test_results"], "total": len(models), "most": _MOST}
    return show(view, form=form, ticked=ids, **values)


def _groups(view: View) -> list[str]:
    return sorted({group for channel in view.worker.snapshot.table.channels for group in channel.groups})


def _row(name: str, fields: dict[str, Any], names: list[str], used: set[str]) -> dict[str, Any]:
    """A model with the members that differ: ours, and each source's with whether it can be taken."""
    cells = []
    for member, (_, label) in _FIELDS.items():
        if (field := fields.get(member)) is None:
            continue
        theirs = [(source, field["upstreams"].get(source)) for source in names]
        shown = [(value, _words(member, field["current"] if value == "same" else value)) for _, value in theirs]
        cells.append({"member": member, "label": label, "ours": _words(member, field["current"]), "theirs": shown})
    return {"name": name, "cells": cells, "used": name in used}


def _words(member: str, value: Any) -> str:
    """A member of a price in dollars, or as a factor."""
    if not isinstance(value, int | float):
        return "—"
    if member == "model_price":
        return figures.price(value)
    return figures.price(value * _DOLLARS) if member == "model_ratio" else f"× {figures.number(value)}"


def plan(view: View) -> Result:
    """What was chosen, in words; nothing is changed yet."""
    picks = _picks(view)
    lines = []
    for model, member, value in picks:
        option, label = _FIELDS[member]
        before = (options.value_of(view.worker.options, option) or {}).get(model)
        lines.append((model, gettext(label), _words(member, before), _words(member, value)))
    kept = orjson.dumps(picks).decode()
    return Shown("sync_plan.html", {"lines": lines, "picks": kept})


def _picks(view: View) -> list[tuple[str, str, float]]:
    """The cells that were chosen: a field ``MODEL:MEMBER`` each, empty where ours stays."""
    picks = []
    for name, text in view.form.items():
        model, _, member = name.rpartition(":")
        if model and member in _FIELDS and text.strip():
            picks.append((model, member, _number(text)))
    return picks


def _number(text: object) -> float:
    try:
        value = float(str(text))
    except ValueError:
        raise Invalid("picks", gettext("Write a number of 0 or more")) from None
    if not 0 <= value < 1e12:  # also what is no number
        raise Invalid("picks", gettext("Write a number of 0 or more"))
    return int(value) if value == int(value) else value


def apply(view: View) -> Result:
    """Take over what was planned."""
    try:
        picks = orjson.loads(view.form.get("picks", ""))
    except orjson.JSONDecodeError:
        picks = None
    if not isinstance(picks, list) or not all(isinstance(pick, list) and len(pick) == 3 for pick in picks):
        raise Invalid("picks", gettext("Choose again: the plan came back broken"))
    tables: dict[str, dict[str, Any]] = {}
    for model, member, value in picks:
        if member in _FIELDS:
            option = _FIELDS[member][0]
            table = tables.setdefault(option, dict(options.value_of(view.worker.options, option) or {}))
            table[str(model)[:191]] = _number(value)
    for option, table in tables.items():
        view.api("PUT", "/api/option/", {"key": option, "value": orjson.dumps(table).decode()})
    toast = ngettext("%(num)s price taken over", "%(num)s prices taken over", len(picks)) % {"num": len(picks)}
    return Shown("sync_done.html", {"count": len(picks)}, toast=toast)


PAGES = (
    Page("GET", "/console/models/sync", ROOT, show),
    Page("POST", "/console/models/sync", ROOT, compare),
    Page("POST", "/console/models/sync/plan", ROOT, plan),
    Page("POST", "/console/models/sync/apply", ROOT, apply),
)
