"""What is said of models: texts, vendors, and lists that forms are filled with; each a table with a dialog."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from admin import forms
from admin.view import ADMIN, Page, Result, Shown, View
from admin.words import gettext, noted
from engine.errors import Conflict, Forbidden, Invalid, NotFound

_FAULTS = (Invalid, Conflict, Forbidden)
_SIZE = 100
RULES = (noted("exactly"), noted("begins with"), noted("contains"), noted("ends with"))
"""How an entry's name means models, in the order of their numbers."""
LISTS = {"model": noted("Models"), "tag": noted("Tags"), "endpoint": noted("Endpoints")}


@dataclass(frozen=True, slots=True)
class Shelf:
    """A table: where the management API has it, what its rows are called by, and how a form becomes a row."""

    path: str
    name: str
    texts: tuple[str, ...]
    more: Callable[[Mapping[str, str]], dict[str, Any]]


def _model(form: Mapping[str, str]) -> dict[str, Any]:
    """The members of an entry that are no plain texts."""
    rule = forms.whole("name_rule", form.get("name_rule", ""))
    vendor = forms.whole("vendor_id", form.get("vendor_id", ""))
    tags = ",".join(forms.words_of(form.get("tags", "")))
    switches = {"status": int("status" in form), "sync_official": int("sync_official" in form)}
    return {"name_rule": rule, "vendor_id": vendor, "tags": tags, "endpoints": _ends(form), **switches}


def _ends(form: Mapping[str, str]) -> str:
    """Endpoints as the family's programs keep them: by name with path and method."""
    named = forms.loads(forms.object_of("endpoints", form.get("endpoints", "")))
    whole = {name: path if isinstance(path, dict) else {"path": path, "method": "POST"} for name, path in named.items()}
    return orjson.dumps(whole).decode() if whole else ""


def _vendor(form: Mapping[str, str]) -> dict[str, Any]:
    return {"status": int("status" in form)}


def _list(form: Mapping[str, str]) -> dict[str, Any]:
    """A list of names; endpoints have paths."""
    kind, text = form.get("type", "model"), form.get("items", "")
    items: Any = forms.loads(forms.object_of("items", text)) if kind == "endpoint" else forms.words_of(text)
    return {"type": kind if kind in LISTS else "model", "items": items}


SHELVES = {
    "texts": Shelf("/api/models/", "model_name", ("description", "icon"), _model),
    "vendors": Shelf("/api/vendors/", "name", ("description", "icon"), _vendor),
    "lists": Shelf("/api/prefill_group/", "name", ("description",), _list),
}


def _shelf(view: View) -> tuple[str, Shelf]:
    kind = view.path.get("kind") or view.address.rpartition("/")[2]
    if kind not in SHELVES:
        raise NotFound(kind)
    return kind, SHELVES[kind]


def listed(view: View) -> Result:
    """The table of a shelf; of texts also the names in use that nobody has described."""
    kind, shelf = _shelf(view)
    values: dict[str, Any] = {"kind": kind, "missing": [], "vendors": {}, "rules": RULES, "lists": LISTS}
    word, page = view.query.get("q", ""), view.query.get("p", "1")
    if kind == "lists":
        rows = [row for row in view.api("GET", shelf.path) if word.lower() in row["name"].lower()]
        total = len(rows)
    else:
        sought = {"keyword": word, "vendor": view.query.get("vendor", ""), "status": view.query.get("state", "")}
        data = view.api("GET", f"{shelf.path}search", **sought, p=page, page_size=_SIZE)
        rows, total = data["items"], data["total"]
    if kind == "texts":
        values["missing"] = view.api("GET", "/api/models/missing")
        values["vendors"] = _vendors(view)
    number = int(page) if page.isdigit() else 1
    return Shown("shelf.html", {**values, "rows": rows, "total": total, "page": number, "size": _SIZE})


def _vendors(view: View) -> dict[int, str]:
    return {row["id"]: row["name"] for row in view.api("GET", "/api/vendors/", page_size=100)["items"]}


def form(view: View, status: int = 200, **more: Any) -> Result:
    """The dialog of a row, or of one that is made."""
    kind, shelf = _shelf(view)
    which = view.number()
    if "id" in view.path and not which:
        raise NotFound(view.path["id"])
    row = _row(view, kind, which) if which else {}
    typed: dict[str, Any] = {**row, **_told(kind, row), **view.form} if row or view.form else {}
    typed = {"name": view.query.get("name", ""), "status": 1, "sync_official": 1, **typed}
    typed["name"] = view.form.get("name") or row.get(shelf.name) or typed["name"]
    values = {"kind": kind, "which": which, "form": typed, "rules": RULES, "lists": LISTS}
    if kind == "texts":
        values |= {"vendors": _vendors(view), "tags": forms.filled(view, "tag")}
    return Shown("shelf_form.html", {**values, **more}, status)


def _row(view: View, kind: str, which: int) -> dict[str, Any]:
    if kind != "lists":
        row: dict[str, Any] = view.api("GET", f"{SHELVES[kind].path}{which}")
        return row
    row = next((row for row in view.api("GET", SHELVES[kind].path) if row["id"] == which), {})
    if not row:
        raise NotFound(str(which))
    return row


def _told(kind: str, row: Mapping[str, Any]) -> dict[str, str]:
    """The members of a row that are no plain texts, as the form shows them."""
    if kind == "texts":
        ends = forms.loads(row.get("endpoints"))
        paths = {name: end.get("path", "") if isinstance(end, dict) else end for name, end in ends.items()}
        return {"endpoints": forms.lines_of(paths), "tags": ", ".join(forms.words_of(row.get("tags") or ""))}
    if kind == "lists":
        items = row.get("items")
        return {"items": forms.lines_of(items) if isinstance(items, dict) else "\n".join(map(str, items or []))}
    return {}


def save(view: View) -> Result:
    """A row, new or changed."""
    _, shelf = _shelf(view)
    which, typed = view.number(), view.form
    try:
        body = {name: typed.get(name, "").strip() for name in shelf.texts} | shelf.more(typed)
        body[shelf.name] = typed.get("name", "").strip()
        view.api("PUT" if which else "POST", shelf.path, {**body, **({"id": which} if which else {})})
    except _FAULTS as error:
        faults = forms.faults(view, error, "name")
        return form(view, 422, faults={"name" if name == shelf.name else name: text for name, text in faults.items()})
    return Shown("", toast=f"{body[shelf.name]}: {gettext('Saved')}", fresh=True, done=True)


def power(view: View) -> Result:
    """Shown, or hidden."""
    kind, shelf = _shelf(view)
    which = view.number()
    row = _row(view, kind, which)
    wanted = int(view.form.get("status") or (0 if row.get("status") == 1 else 1))
    view.api("PUT", shelf.path, {"id": which, "status": wanted})
    undo = (f"/console/models/{kind}/{which}/power", {"status": row.get("status") or 0})
    word = gettext("Shown") if wanted else gettext("Hidden")
    return Shown("", toast=f"{row[shelf.name]}: {word}", undo=undo, fresh=True)


def delete(view: View) -> Result:
    """A row goes."""
    _, shelf = _shelf(view)
    view.api("DELETE", f"{shelf.path}{view.number()}")
    return Shown("", toast=gettext("Deleted"), fresh=True)


PAGES = (
    *(Page("GET", f"/console/models/{kind}", ADMIN, listed) for kind in SHELVES),
    Page("GET", "/console/models/:kind/new", ADMIN, form),
    Page("POST", "/console/models/:kind/new", ADMIN, save),
    Page("GET", "/console/models/:kind/:id", ADMIN, form),
    Page("POST", "/console/models/:kind/:id", ADMIN, save),
    Page("POST", "/console/models/:kind/:id/power", ADMIN, power),
    Page("POST", "/console/models/:kind/:id/delete", ADMIN, delete),
)
