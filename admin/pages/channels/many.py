"""Many channels at once, and a new secret that is tried before it is used."""

from __future__ import annotations

from typing import Any

import orjson

from admin import forms
from admin.pages.channels import form as fields
from admin.view import ADMIN, Moved, Page, Result, Shown, View
from admin.words import gettext, ngettext
from engine.errors import Conflict, Forbidden, Invalid

_FAULTS = (Invalid, Conflict, Forbidden)
_NUMBERS = ("priority", "weight")
_OVER = ("model_mapping", "header_override")


def _chosen(view: View) -> list[dict[str, Any]]:
    text = view.form.get("ids") or view.query.get("ids", "")
    numbers = [int(number) for number in text.split(",") if number.isascii() and number.isdigit()]
    return [view.api("GET", f"/api/channel/{which}") for which in numbers[:100]]


def edit(view: View) -> Result:
    """The dialog: what is left empty stays as it is in each channel."""
    rows = _chosen(view)
    return _dialog(view, rows) if rows else Moved("/console/channels")


def _dialog(view: View, rows: list[dict[str, Any]], **more: Any) -> Shown:
    values = {"rows": rows, "ids": ",".join(str(row["id"]) for row in rows), "form": view.form}
    return Shown("channels_edit.html", {**values, **more})


def _change(form: dict[str, str], row: dict[str, Any]) -> dict[str, Any]:
    """What the form changes of one channel: figures and groups are set, models and mappings go over its own."""
    typed = {name: form[name] for name in ("group", *_NUMBERS, "param_override", "tag") if form.get(name, "").strip()}
    body = fields.body(typed)
    if "untag" in form:
        body["tag"] = ""
    own, fresh = forms.words_of(row["models"]), forms.words_of(form.get("add", ""))
    removed = set(forms.words_of(form.get("remove", "")))
    if fresh or removed:
        body["models"] = ",".join(name for name in dict.fromkeys([*own, *fresh]) if name not in removed)
    for name in _OVER:
        if form.get(name, "").strip():
            over = {**forms.loads(row[name]), **forms.loads(forms.object_of(name, form[name]))}
            body[name] = orjson.dumps(over).decode()
    return body


def save(view: View) -> Result:
    """Change them, each by itself."""
    rows = _chosen(view)
    try:
        changes = [(row["id"], _change(view.form, row)) for row in rows]
        if not any(body for _, body in changes):
            raise Invalid("group", gettext("Change something, or cancel"))
        for which, body in changes:
            view.api("PUT", "/api/channel/", {"id": which, **body})
    except _FAULTS as error:
        shown = _dialog(view, rows, faults=forms.faults(view, error, "group"))
        shown.status = 422
        return shown
    words = ngettext("%(num)s channel changed", "%(num)s channels changed", len(rows)) % {"num": len(rows)}
    return Shown("", toast=words, fresh=True, done=True)


def secret(view: View, **more: Any) -> Shown:
    """The dialog for a new secret."""
    row = view.api("GET", f"/api/channel/{view.number()}")
    several = bool((row["channel_info"] or {}).get("is_multi_key"))
    return Shown("channel_secret.html", {"row": row, "several": several, "form": view.form, **more})


def put_secret(view: View) -> Result:
    """Ask the vendor with it; one that the vendor refuses is not taken, unless that is wanted."""
    row, form = view.api("GET", f"/api/channel/{view.number()}"), view.form
    try:
        key = fields.keys_of(form.get("key", ""))
        if not key:
            raise Invalid("key", gettext("Paste the new secret"))
        if "untested" not in form:
            vendor = {"type": row["type"], "base_url": row["base_url"] or "", "key": key}
            view.api("POST", "/api/channel/fetch_models", vendor)
        mode = {"key_mode": form.get("key_mode") or "replace"}
        view.api("PUT", "/api/channel/", {"id": row["id"], "key": key, **mode})
    except _FAULTS as error:
        shown = secret(view, faults=forms.faults(view, error, "key"))
        shown.status = 422
        return shown
    words = gettext("the new secret is used")
    return Shown("", toast=f"{row['name']}: {words}", fresh=True, done=True)


PAGES = (
    Page("GET", "/console/channels/edit", ADMIN, edit),
    Page("POST", "/console/channels/edit", ADMIN, save),
    Page("GET", "/console/channels/:id/secret", ADMIN, secret),
    Page("POST", "/console/channels/:id/secret", ADMIN, put_secret),
)
