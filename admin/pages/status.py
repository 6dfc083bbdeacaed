"""The status page: how well models answered, for who has signed in, and for everybody where the operator says so."""

from __future__ import annotations

from typing import Any

from admin.pages import gate
from admin.view import NOBODY, Page, Result, Shown, View
from admin.words import gettext

_WELL, _BADLY = 0.99, 0.9


def tone(share: float | None) -> str:
    """How a share looks: good, less so, bad, or nothing to tell."""
    return "none" if share is None else "ok" if share >= _WELL else "warn" if share >= _BADLY else "bad"


def show(view: View) -> Result:
    """The page."""
    data = view.api("GET", "/api/v2/uptime")
    rows = [_row(model) for model in data["models"]]
    values = {"rows": rows, "recorded": data["recorded"], "twin": "/api/v2/uptime"}
    if view.person is None:
        return gate.framed(view, "status.html", **values)
    return Shown("status.html", values)


def _row(model: dict[str, Any]) -> dict[str, Any]:
    now = next((share for share in reversed(model["hours"]) if share is not None), None)
    words = {"ok": gettext("works"), "warn": gettext("works in part"), "bad": gettext("fails")}
    bars = {name: [(index, tone(share)) for index, share in enumerate(model[name])] for name in ("hours", "days")}
    share = model["uptime"]
    whole = "—" if share is None else f"{100 * share:.2f} %"
    return {
        "name": model["name"],
        "tone": tone(now),
        "word": words.get(tone(now)) or gettext("not called"),
        "share": whole,
        **bars,
    }


PAGES = (Page("GET", "/console/status", NOBODY, show),)
