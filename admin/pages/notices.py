"""Notices of the operator: webhooks, and what could not leave."""

from __future__ import annotations

from typing import Any

from admin import forms
from admin.view import ADMIN, Moved, Page, Result, Shown, View
from admin.words import gettext, noted
from engine.errors import Conflict, Forbidden, Invalid

_FAULTS = (Invalid, Conflict, Forbidden)
_WORDS = {
    "balance.low": noted("Balance low"),
    "key.ending": noted("A key is near its end"),
    "budget.passed": noted("Budget passed"),
    "payment.in": noted("Payment received"),
    "login.new_place": noted("Sign-in from a new place"),
    "channel.aside": noted("Channel set aside"),
    "channel.low": noted("Little left at a channel"),
    "channel.back": noted("Channel back"),
    "documents.refused": noted("Documents refused"),
    "canary.ended": noted("Canary ended"),
    "release.changed": noted("Release published"),
    "notice.test": noted("Test"),
}


def event_words() -> dict[str, str]:
    """What events are called; documents may have others, which stand by their names."""
    return {name: gettext(word) for name, word in _WORDS.items()}


def _events(view: View) -> list[str]:
    return [name for name in sorted(view.worker.notices.ground().events) if name != "notice.test"]


def listed(view: View, **more: Any) -> Shown:
    """Webhooks and dead letters."""
    letters = view.api("GET", "/api/v2/dead-letters", limit=50)
    values = {
        "hooks": _rows(view.api("GET", "/api/v2/webhooks", limit=200)),
        "letters": _rows(letters),
        "event_words": event_words(),
        "twin": "/api/v2/dead-letters",
    }
    return Shown("notices.html", {**values, **more})


def _rows(answer: Any) -> list[dict[str, Any]]:
    return list(answer["items"] if isinstance(answer, dict) else answer)


def _dialog(view: View, status: int = 200, **more: Any) -> Shown:
    values = {"events": _events(view), "event_words": event_words(), "row": None, "made": None}
    return Shown("notices_hook.html", {**values, **more}, status)


def new(view: View) -> Result:
    """The dialog for a webhook."""
    return _dialog(view)


def one(view: View) -> Result:
    """The dialog to change one."""
    return _dialog(view, row=view.api("GET", f"/api/v2/webhooks/{view.number()}"))


def _typed(view: View) -> dict[str, Any]:
    form = view.form
    chosen = [name for name in _events(view) if f"event:{name}" in form]
    body: dict[str, Any] = {
        "name": form.get("name", "").strip(),
        "url": form.get("url", "").strip(),
        "events": ["*"] if "all" in form else chosen,
        "enabled": "enabled" in form,
    }
    return {**body, "secret": form["secret"].strip()} if form.get("secret") else body


def create(view: View) -> Result:
    """Make a webhook; the dialog shows its secret, once."""
    try:
        webhook = view.api("POST", "/api/v2/webhooks", _typed(view))
    except _FAULTS as error:
        return _dialog(view, 422, form=view.form, faults=forms.faults(view, error, "name"))
    shown = _dialog(view, made=webhook)
    shown.fresh = True
    return shown


def change(view: View) -> Result:
    """Change a webhook."""
    address = f"/api/v2/webhooks/{view.number()}"
    try:
        view.api("PATCH", address, _typed(view))
    except _FAULTS as error:
        row = view.api("GET", address)
        return _dialog(view, 422, row=row, form=view.form, faults=forms.faults(view, error, "name"))
    return Moved("/console/notices")


def act(view: View) -> Result:
    """Call a webhook now, or delete it."""
    address = f"/api/v2/webhooks/{view.number()}"
    if view.path["verb"] == "delete":
        view.api("DELETE", address)
        return Shown("", toast=gettext("Deleted"), fresh=True)
    tried = view.api("POST", f"{address}/test")
    words = gettext("Sent") if tried["sent"] else gettext("Not sent: %(why)s") % {"why": tried["error"]}
    return Shown("", toast=words)


def letter(view: View) -> Result:
    """Try a dead letter again, or forget it."""
    address = f"/api/v2/dead-letters/{view.number()}"
    if view.path["verb"] == "again":
        view.api("POST", f"{address}/again")
        return Shown("", toast=gettext("It is tried again"), fresh=True)
    view.api("DELETE", address)
    return Shown("", toast=gettext("Deleted"), fresh=True)


PAGES = (
    Page("GET", "/console/notices", ADMIN, listed),
    Page("GET", "/console/notices/new", ADMIN, new),
    Page("POST", "/console/notices/new", ADMIN, create),
    Page("GET", "/console/notices/:id", ADMIN, one),
    Page("POST", "/console/notices/:id", ADMIN, change),
    Page("POST", "/console/notices/:id/do/:verb", ADMIN, act),
    Page("POST", "/console/notices/letters/:id/:verb", ADMIN, letter),
)
