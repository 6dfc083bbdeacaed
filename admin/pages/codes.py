"""Redemption codes: batches made and handed out, switched, deleted."""

from __future__ import annotations

import time
from typing import Any

from admin import forms
from admin.view import ADMIN, Page, Result, Sent, Shown, View
from admin.words import gettext, ngettext
from engine.errors import Conflict, Forbidden, Invalid

_FAULTS = (Invalid, Conflict, Forbidden)
_SIZE = 100


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    late = 0 < row["expired_time"] < time.time()
    words = {1: ("ok", gettext("Unused")), 2: ("off", gettext("Disabled")), 3: ("off", gettext("Used"))}
    kind, word = ("off", gettext("Expired")) if late and row["status"] == 1 else words.get(row["status"], ("off", "—"))
    return {**row, "kind": kind, "word": word, "tail": row["key"][-4:], "key": ""}


def listed(view: View) -> Result:
    """The table."""
    q = view.query
    page = int(q["p"]) if q.get("p", "").isdigit() else 1
    data = view.api(
        "GET", "/api/redemption/search", keyword=q.get("q", ""), status=q.get("state", ""), p=page, page_size=_SIZE
    )
    values = {"rows": [_shown(row) for row in data["items"]], "total": data["total"], "page": page, "size": _SIZE}
    return Shown("codes.html", {**values, "twin": "/api/redemption/"})


def new(view: View) -> Result:
    """The dialog for a batch."""
    return Shown("codes_new.html", {"made": None})


def create(view: View) -> Result:
    """Make a batch; the dialog shows it as lines, once."""
    form = view.form
    try:
        body = {
            "name": form.get("name", "").strip(),
            "quota": forms.quota(view, "quota", form.get("quota", "")),
            "count": forms.whole("count", form.get("count", ""), 1),
            "expired_time": max(0, forms.until("expires", form.get("expires", ""), form.get("date", ""))),
        }
        codes = view.api("POST", "/api/redemption/", body)
    except _FAULTS as error:
        return Shown("codes_new.html", {"made": None, "form": form, "faults": forms.faults(view, error, "name")}, 422)
    return Shown("codes_new.html", {"made": codes, "form": form}, fresh=True)


def secret(view: View) -> Result:
    """A code for the clipboard."""
    return Sent(view.api("GET", f"/api/redemption/{view.number()}")["key"])


def power(view: View) -> Result:
    """Off, or on again."""
    which = view.number()
    row = view.api("GET", f"/api/redemption/{which}")
    wanted = int(view.form.get("status") or (2 if row["status"] == 1 else 1))
    view.api("PUT", "/api/redemption/", {"id": which, "status": wanted}, status_only="1")
    undo = (f"/console/codes/{which}/power", {"status": row["status"]})
    return Shown(
        "", toast=f"{row['name']}: {gettext('Unused') if wanted == 1 else gettext('Disabled')}", undo=undo, fresh=True
    )


def edit(view: View, **more: Any) -> Shown:
    """The dialog of one code."""
    row = _shown(view.api("GET", f"/api/redemption/{view.number()}"))
    form = {"name": row["name"], "quota": f"{row['quota'] / view.unit:.6g}", "expires": "", **view.form}
    return Shown("code.html", {"row": row, "form": form, **more})


def save(view: View) -> Result:
    """What was changed of a code."""
    form, which = view.form, view.number()
    try:
        body = {"name": form.get("name", "").strip(), "quota": forms.quota(view, "quota", form.get("quota", ""))}
        if form.get("expires"):
            body["expired_time"] = max(0, forms.until("expires", form["expires"], form.get("date", "")))
        view.api("PUT", "/api/redemption/", {"id": which, **body})
    except _FAULTS as error:
        shown = edit(view, faults=forms.faults(view, error, "name"))
        shown.status = 422
        return shown
    return Shown("", toast=gettext("Saved"), fresh=True, done=True)


def several(view: View) -> Result:
    """Delete what was ticked, or all that is used and expired."""
    ids = forms.ids(view)
    if view.path["verb"] == "secrets":
        return Sent("\n".join(view.api("GET", f"/api/redemption/{which}")["key"] for which in ids))
    if view.path["verb"] == "dead":
        count = int(view.api("DELETE", "/api/redemption/invalid") or 0)
    else:
        for which in ids:
            view.api("DELETE", f"/api/redemption/{which}")
        count = len(ids)
    words = ngettext("%(num)s code deleted", "%(num)s codes deleted", count) % {"num": count}
    return Shown("", toast=words, fresh=True)


PAGES = (
    Page("GET", "/console/codes", ADMIN, listed),
    Page("GET", "/console/codes/new", ADMIN, new),
    Page("POST", "/console/codes/new", ADMIN, create),
    Page("POST", "/console/codes/batch/:verb", ADMIN, several),
    Page("GET", "/console/codes/:id", ADMIN, edit),
    Page("POST", "/console/codes/:id", ADMIN, save),
    Page("POST", "/console/codes/:id/secret", ADMIN, secret),
    Page("POST", "/console/codes/:id/power", ADMIN, power),
)
