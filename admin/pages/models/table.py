"""Models and prices: one table in dollars and ratios, edited in either; one price for many models."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson

from admin import figures, forms
from admin.view import ADMIN, ROOT, Page, Result, Shown, View
from admin.words import gettext, ngettext
from engine.catalogue import groups, options, pricing
from engine.errors import Conflict, Forbidden, Invalid

_FAULTS = (Invalid, Conflict, Forbidden)
_RATIO = 2.0
"""Dollars of a million tokens at ratio 1."""
_OPTIONS = {
    "ratio": "ModelRatio",
    "completion": "CompletionRatio",
    "cache": "CacheRatio",
    "write": "CreateCacheRatio",
    "each": "ModelPrice",
}


def _row(view: View, name: str, offer: Any) -> dict[str, Any]:
    """What the table says of a model."""
    book = view.worker.snapshot.book
    rule = book.find(name)
    ratios = pricing.price(book, name) if rule is not None else None
    row: dict[str, Any] = {
        "name": name,
        "channels": len(offer.channels.get(name, ())),
        "groups": sorted(offer.groups.get(name, ())),
    }
    if ratios is None or rule is None:
        return {**row, "priced": False, "each": None, "input": None, "place": ""}
    ratio = float(ratios["model_ratio"])
    row |= {
        "priced": True,
        "ratio": ratio,
        "completion": float(ratios["completion_ratio"] or 1),
        "place": rule.place or rule.name,
    }
    row["each"] = float(ratios["model_price"]) if ratios["quota_type"] == 1 else None
    row["input"], row["output"] = ratio * _RATIO, ratio * _RATIO * row["completion"]
    row["cache"] = ratio * _RATIO * float(ratios["cache_ratio"]) if "cache_ratio" in ratios else None
    row["write"] = ratio * _RATIO * float(ratios["create_cache_ratio"]) if "create_cache_ratio" in ratios else None
    row["own"] = any(name in _option(view, option) for option in ("ModelRatio", "ModelPrice"))
    row["torn"] = all(name in _option(view, option) for option in ("ModelRatio", "ModelPrice"))
    return row


def _option(view: View, name: str) -> dict[str, Any]:
    value = options.value_of(view.worker.options, name)
    return value if isinstance(value, dict) else {}


def _names(view: View) -> list[str]:
    """Models in use: those that channels of the table serve."""
    table = view.worker.snapshot.table
    return table.models(sorted({group for channel in table.channels for group in channel.groups}))


def listed(view: View, **more: Any) -> Shown:
    """The table."""
    q = view.query
    offer = pricing.Offer(view.worker.db)
    for channel in view.worker.snapshot.table.channels:
        for name in channel.models if not channel.id else ():
            offer.groups.setdefault(name, set()).update(channel.groups)
            offer.channels.setdefault(name, []).append({"name": channel.name, "type": 0})
    names = [name for name in _names(view) if q.get("q", "").lower() in name.lower()]
    rows = [_row(view, name, offer) for name in names[:1000]]
    bare = sum(1 for row in rows if not row["priced"])
    if q.get("view") == "unpriced":
        rows = [row for row in rows if not row["priced"]]
    torn = sum(1 for row in rows if row.get("torn"))
    if q.get("view") in ("own", "torn"):
        rows = [row for row in rows if row.get(q["view"])]
    values = {"rows": rows, "total": len(names), "bare": bare, "torn": torn, "open": None, "twin": "/api/pricing"}
    return Shown("models.html", {**values, **more})


def drawer(view: View, name: str, **more: Any) -> dict[str, Any]:
    """What the drawer of a model holds."""
    offer = pricing.Offer(view.worker.db)
    row = _row(view, name, offer)
    ratios = groups.ratios(view.worker.options)
    pays = []
    if row["priced"]:
        for group, ratio in sorted(ratios.items()):
            base = row["each"] if row["each"] is not None else row["input"]
            out = None if row["each"] is not None else row["output"]
            pays.append((group, ratio, base * ratio, out * ratio if out is not None else None))
    serving = [channel for channel in view.worker.snapshot.table.channels if name in channel.models]
    example = None
    if row["priced"] and row["each"] is None:
        example = (1200, 300, 1200 * row["input"] / 1e6, 300 * row["output"] / 1e6)
    return {"row": row, "pays": pays, "serving": serving, "example": example, **more}


def one(view: View) -> Result:
    """The drawer of one model."""
    name = view.query.get("name", "")
    values = drawer(view, name)
    return Shown("model.html", values) if view.beside else listed(view, open=values)


def _put(view: View, option: str, name: str, value: float | None) -> None:
    table = dict(_option(view, option))
    table.pop(name, None)
    if value is not None:
        table[name] = int(value) if value == int(value) else round(value, 9)
    if table != _option(view, option):
        view.api("PUT", "/api/option/", {"key": option, "value": orjson.dumps(table).decode()})


def price(view: View) -> Result:
    """A price, typed in dollars or as ratios."""
    form, name = view.form, view.form.get("name", "")
    try:
        _set_price(view, name, form)
    except _FAULTS as error:
        values = drawer(view, name, faults=forms.faults(view, error, "input"), form=form)
        return Shown("model.html", values, 422)
    return Shown("model.html", drawer(view, name), toast=f"{name}: {gettext('Saved')}", fresh=True)


def _set_price(view: View, name: str, form: dict[str, str]) -> None:
    if not name:
        raise Invalid("name", gettext("Name a model"))
    if form.get("mode") == "none":
        for option in _OPTIONS.values():
            _put(view, option, name, None)
        return
    if form.get("mode") == "each":
        amount = forms.decimal("each", form.get("each", ""), -1)
        if amount < 0:
            raise Invalid("each", gettext("Write an amount of 0 or more"))
        _put(view, "ModelPrice", name, amount)
        return
    amounts = {
        key: forms.decimal(key, form[key], -1)
        for key in ("input", "output", "cache", "write")
        if form.get(key, "").strip()
    }
    if amounts.get("input", -1) < 0:
        raise Invalid("input", gettext("Write an amount of 0 or more"))
    entry = Decimal(str(amounts["input"]))
    _put(view, "ModelPrice", name, None)
    _put(view, "ModelRatio", name, float(entry / Decimal(str(_RATIO))))
    for key, option in (("output", "CompletionRatio"), ("cache", "CacheRatio"), ("write", "CreateCacheRatio")):
        if key in amounts and entry:
            _put(view, option, name, float(Decimal(str(amounts[key])) / entry))


def cell(view: View) -> Result:
    """A price that was changed in the row."""
    name = view.form.get("name", "")
    row = _row(view, name, pricing.Offer(view.worker.db))
    key = "input" if "input" in view.form else "output"
    value = forms.decimal(key, view.form.get(key, ""), -1)
    known = {name: str(row[name]) for name in ("input", "output") if row.get(name) is not None}
    form = {**known, key: str(value)}  # what has no price yet costs the same going out, until that is said
    if key == "input" and row["priced"] and row["each"] is None:
        form["output"] = str(value * row["completion"])
    _set_price(view, name, form)
    before = row.get(key)
    undo = ("/console/models/cell", {"name": name, key: before}) if before is not None else None
    was = figures.dollars(before) if before is not None else "—"
    return Shown("", toast=f"{name}: {was} → {figures.dollars(value)}", undo=undo, fresh=True)


def same(view: View) -> Result:
    """The dialog that gives a model's price to others."""
    name, names = view.query.get("name", ""), _names(view)
    book = view.worker.snapshot.book
    others = [(other, book.find(other) is not None) for other in names[:1000] if other != name]
    return Shown("model_same.html", {"name": name, "others": others})


def put_same(view: View) -> Result:
    """The price of one model becomes that of all that were ticked."""
    name, others = view.form.get("name", ""), view.form.get("other", "").splitlines()
    row = _row(view, name, pricing.Offer(view.worker.db))
    if not row["priced"]:
        raise Invalid("name", gettext("It has no price itself"))
    if not others:
        raise Invalid("other", gettext("Tick at least one model"))
    for option, value in _said(row).items():
        table = {key: amount for key, amount in _option(view, option).items() if key not in others}
        if value is not None:
            table |= dict.fromkeys(others, int(value) if value == int(value) else round(value, 9))
        if table != _option(view, option):
            view.api("PUT", "/api/option/", {"key": option, "value": orjson.dumps(table).decode()})
    toast = ngettext("%(num)s model costs the same now", "%(num)s models cost the same now", len(others))
    return Shown("", toast=toast % {"num": len(others)}, fresh=True, done=True)


def _said(row: dict[str, Any]) -> dict[str, float | None]:
    """A row's price as options say it: each with its value, or nothing where it is to have none."""
    if row["each"] is not None:
        return {**dict.fromkeys(_OPTIONS.values()), "ModelPrice": row["each"]}
    base = row["ratio"] * _RATIO
    parts = {"cache": row["cache"], "write": row["write"]}
    shares = {_OPTIONS[key]: amount / base if amount is not None and base else None for key, amount in parts.items()}
    return {"ModelRatio": row["ratio"], "CompletionRatio": row["completion"], **shares, "ModelPrice": None}


def reset(view: View) -> Result:
    """All prices of options away: those of documents are in force again."""
    view.api("POST", "/api/option/rest_model_ratio")
    return Shown("", toast=gettext("Prices are as documents say"), fresh=True)


PAGES = (
    Page("GET", "/console/models", ADMIN, listed),
    Page("GET", "/console/models/one", ADMIN, one),
    Page("POST", "/console/models/one", ROOT, price),
    Page("POST", "/console/models/cell", ROOT, cell),
    Page("GET", "/console/models/same/new", ROOT, same),
    Page("POST", "/console/models/same", ROOT, put_same),
    Page("POST", "/console/models/reset", ROOT, reset),
)
