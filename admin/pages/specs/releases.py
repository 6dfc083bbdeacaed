"""Releases: the history of all documents, what each machine runs, trials and the canary, and the way back."""

from __future__ import annotations

from typing import Any

from admin import figures
from admin.view import ROOT, Moved, Page, Result, Shown, View
from engine.catalogue import revisions
from engine.errors import Invalid
from engine.releases import reading
from engine.releases.desk import Desk
from engine.releases.permission import approval
from engine.storage.releases import documents as stored
from engine.storage.releases import drafts
from engine.storage.releases import rows as stored_rows

_PAGE = "/console/releases"


def releases(view: View, **more: Any) -> Shown:
    """All releases, and what each machine runs."""
    db = view.worker.db
    rows = reading.releases(db, limit=100)
    values = {"rows": rows, "status": reading.status(db), "open": None, "last": view.worker.upstream.status()}
    trials = reading.trials(db)
    begun = {one["id"] for one in trials}
    canary = next(iter(reading.canaries(db, limit=1)), None)
    values |= {"trials": trials, "canary": canary, "broken": [], "mark": named}
    values["drafts"] = [one for one in drafts.listed(db, limit=20) if one.id not in begun]
    values["drafts"] = [
        (one, approval.approved_by(db, one), view.user.id in {hand.id for hand in one.hands})
        for one in values["drafts"]
    ]
    values["revisions"] = [revisions.told(one) for one in stored_rows.between(db, 0, 2**62, limit=15)]
    return Shown("releases.html", {**values, **more})


def named(measure: str, value: float | None) -> str:
    """A measure of a canary as people read it."""
    if value is None:
        return "—"
    if measure == "latency":
        return f"{figures.number(value)} ms"
    return figures.percent(value, 1) if measure == "errors" else f"{value:.3f}"


def release(view: View) -> Result:
    """What a release changed."""
    values = {"row": reading.release(view.worker.db, view.number()), "newest": stored.head(view.worker.db)}
    return Shown("release.html", values) if view.beside else releases(view, open=values)


def roll_back(view: View) -> Result:
    """Back to what a release held, as a release of its own."""
    body = {"number": view.number(), "message": view.form.get("message", "").strip()}
    answer = view.api("POST", "/api/v2/releases/rollback", body)
    return Moved(f"/console/releases/{answer['release']}")


def _asked(view: View, what: str, **values: Any) -> Any:
    """Have the compiling process do something in the name of who looks."""
    author = {"id": view.user.id, "name": view.user.username}
    return Desk(view.worker.settings.program_directory).ask(what, **values, author=author, root=view.root)


def begin_trial(view: View) -> Result:
    """Put a draft on trial for a day."""
    return _after(view, _asked(view, "begin_trial", draft=view.form.get("id", "")))


def approve(view: View) -> Result:
    """Approve a draft as the page showed it."""
    version = int(view.form.get("version", "0") or 0)
    view.api("POST", f"/api/v2/drafts/{view.form.get('id', '')}/approve", {"version": version})
    return Moved(_PAGE)


def undo(view: View) -> Result:
    """Put back what a revision of rows changed."""
    view.api("POST", f"/api/v2/rows/{view.number()}/undo")
    return Moved(_PAGE)


def end_trial(view: View) -> Result:
    """End a trial; a canary of it is dropped."""
    _asked(view, "end_trial", id=view.form.get("id", ""))
    return Moved(_PAGE)


def begin_canary(view: View) -> Result:
    """Give a trial a share of calls, with the usual bounds."""
    text = view.form.get("share", "").strip().replace(",", ".")
    try:
        share = float(text) / 100
    except ValueError:
        raise Invalid("share", f"{text[:20]!r} is no number of percent") from None
    body = {"trial": view.form.get("id", ""), "share": share, "by": view.form.get("by", "key")}
    view.api("POST", "/api/v2/releases/canaries", body)
    return Moved(_PAGE)


def promote(view: View) -> Result:
    """Publish what the canary runs."""
    return _after(view, view.api("POST", "/api/v2/releases/canaries/promote"))


def drop(view: View) -> Result:
    """Have all calls go by the release in force again."""
    _asked(view, "drop_canary")
    return Moved(_PAGE)


def _after(view: View, answer: dict[str, Any]) -> Result:
    """The page anew, or with what is in the way."""
    if answer["ok"]:
        return Moved(_PAGE)
    broken = [fault for fault in answer["faults"] if fault["severity"] == "error"]
    return releases(view, broken=broken)


PAGES = (
    Page("GET", "/console/releases", ROOT, releases),
    Page("GET", "/console/releases/:id", ROOT, release),
    Page("POST", "/console/releases/:id/back", ROOT, roll_back),
    Page("POST", "/console/releases/trials/begin", ROOT, begin_trial),
    Page("POST", "/console/releases/drafts/approve", ROOT, approve),
    Page("POST", "/console/releases/rows/:id/undo", ROOT, undo),
    Page("POST", "/console/releases/trials/end", ROOT, end_trial),
    Page("POST", "/console/releases/canary/begin", ROOT, begin_canary),
    Page("POST", "/console/releases/canary/promote", ROOT, promote),
    Page("POST", "/console/releases/canary/drop", ROOT, drop),
)
