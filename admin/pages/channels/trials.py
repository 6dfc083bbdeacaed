"""Testing a channel: one click in the row, or models, a format and streaming chosen in its drawer."""

from __future__ import annotations

from admin import figures, forms
from admin.view import ADMIN, Page, Result, Shown, View
from admin.words import gettext

MOST = 20
"""Models, or channels, that are tried at a time."""


def trial(view: View, which: int, model: str, *, stream: bool = False, rule: str = "") -> tuple[str, str, str, float]:
    """A short call through a channel: its model, kind of state, time or error, and the time in seconds."""
    query = {"model": model, "stream": str(stream).lower(), "endpoint_type": rule}
    answer = view.ask(view, "GET", f"/api/channel/test/{which}", {}, query)
    seconds = float(answer.beside.get("time") or 0)
    if answer.success:
        return model, "ok", figures.took(seconds), seconds
    return model, "bad", str(answer.beside.get("message") or "")[:400], seconds


def test(view: View) -> Result:
    """Try a channel; from the drawer with the models that were ticked."""
    which, ticked = view.number(), forms.words_of(view.form.get("models", ""))
    if view.fragment != "trials":
        row = view.api("GET", f"/api/channel/{which}")
        _, kind, words, _ = trial(view, which, "")
        return Shown("", toast=f"{row['name']}: {gettext('answered in') if kind == 'ok' else ''} {words}", fresh=True)
    stream, rule = bool(view.form.get("stream")), view.form.get("rule", "")
    trials = [trial(view, which, model, stream=stream, rule=rule) for model in ticked[:MOST]]
    return Shown("channel_trials.html", {"trials": trials, "which": which}, fresh=True)


PAGES = (Page("POST", "/console/channels/:id/test", ADMIN, test),)
