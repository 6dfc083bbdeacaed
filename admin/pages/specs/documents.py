"""Documents: the tree, the text with the compiler's own diagnostics, the live view of every hop, plan and publish.

A change set of each author is kept in the database as it is typed; what takes a compiler is asked of the compiling
process at its desk.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

import orjson

from admin import forms
from admin.curl import provider_of
from admin.view import ROOT, Moved, Page, Result, Sent, Shown, View
from admin.words import gettext
from engine import paths
from engine.errors import Conflict, Invalid, NotFound
from engine.releases import reading
from engine.releases.desk import Desk
from engine.releases.drafts import put
from engine.releases.drafts import rebase as rebased
from engine.storage.releases import captures, drafts
from engine.storage.releases import documents as stored
from engine.storage.releases.documents import Author, StoredDocument
from engine.storage.releases.drafts import Draft, as_json

_OWN = "console"
_READ_ONLY = ("git",)
_TEMPLATES = {
    "Provider": "spec:\n  baseUrl: https://llm.example.com/v1\n  auth: {scheme: bearer}\n"
    "  formats:\n    openai.chat: {path: /chat/completions}\n  models: [a-model]\n",
    "Alias": 'spec:\n  match: "(?P<base>.+)-high"\n  model: "{{ base }}"\n'
    "  hub: {reasoning: {enabled: true, effort: high}}\n",
    "Price": "spec:\n  models:\n    - {names: [a-model], tokens: {input: 1.00, output: 4.00}}\n",
    "Policy": "spec:\n  retries: {times: 2}\n",
}


def _desk(view: View) -> Desk:
    return Desk(view.worker.settings.program_directory)


def _author(view: View) -> Author:
    return Author(view.user.id, view.user.username)


def change_set(view: View) -> Draft | None:
    """The change set of who looks."""
    return next((draft for draft in drafts.listed(view.worker.db) if draft.author.id == view.user.id), None)


def _changed(view: View, draft: Draft | None, change: StoredDocument) -> Draft:
    """Keep a change in the change set of who looks; it begins with the first."""
    if draft is None:
        base = stored.head(view.worker.db)
        return drafts.create(view.worker.db, view.user.username, base, _author(view), [change])
    return drafts.save(view.worker.db, put(draft, change), _author(view))


def _tree(view: View, draft: Draft | None) -> tuple[list[tuple[str, list[dict[str, Any]]]], list[dict[str, Any]]]:
    shelf = _desk(view).ask("shelf")
    mine = {change.title: change for change in draft.changes} if draft is not None else {}
    titles = {f"{row['kind']}/{row['name']}" for row in shelf}
    for title, change in mine.items():
        if title not in titles:
            shelf.append(
                {"kind": change.kind, "name": change.name, "owner": _OWN, "place": "", "line": 1, "added": True}
            )
    kinds: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(shelf, key=lambda row: (row["kind"], row["name"])):
        row["changed"] = f"{row['kind']}/{row['name']}" in mine
        kinds.setdefault(row["kind"], []).append(row)
    changes = [
        {"kind": change.kind, "name": change.name, "gone": change.text is None, "added": title not in titles}
        for title, change in mine.items()
    ]
    return list(kinds.items()), changes


def show(view: View) -> Result:
    """The editor, with a document open or none."""
    kind, name = view.path.get("kind", ""), view.path.get("name", "")
    draft = change_set(view)
    tree, changes = _tree(view, draft)
    program = view.worker.snapshot.program
    values: dict[str, Any] = {
        "tree": tree,
        "changes": changes,
        "title": "",
        "formats": sorted(name for name, spoken in program.formats.items() if spoken.decode_request is not None),
        "samples": orjson.loads((paths.CATALOGUE / "samples.json").read_bytes()),
        "own": captures.listed(view.worker.db, limit=30),
        "kinds": sorted(_TEMPLATES),
        "status": view.worker.upstream.status(),
    }
    if name:
        values |= _opened(view, draft, f"{kind}/{name}")
    return Shown("documents.html", values)


def _opened(view: View, draft: Draft | None, title: str) -> dict[str, Any]:
    mine = next((change for change in draft.changes if change.title == title), None) if draft is not None else None
    try:
        there = _desk(view).ask("text", title=title)
    except NotFound:
        if mine is None:
            raise
        there = {"owner": _OWN, "place": "", "line": 1, "text": ""}
    text = mine.text if mine is not None and mine.text is not None else there["text"]
    kind, _, name = title.partition("/")
    return {
        "title": title,
        "kind": kind,
        "name": name,
        "text": text,
        "before": there["text"],
        "owner": there["owner"],
        "place": f"{'/'.join(there['place'].split('/')[-2:])}:{there['line']}" if there["place"] else "",
        "locked": there["owner"] in _READ_ONLY,
        "source": name if kind == "Format" else "",
    }


def live(view: View) -> Result:
    """What was typed: kept, compiled, and shown on the message. Answers JSON."""
    form = view.form
    title, text = form.get("title", ""), form.get("text", "")
    kind, _, name = title.partition("/")
    draft = change_set(view)
    if title and form.get("typed"):
        if len(text.encode()) > 1024 * 1024:
            raise Invalid("text", gettext("A document may have a megabyte"))
        draft = _changed(view, draft, StoredDocument(kind, name, _OWN, text))
    question: dict[str, Any] = {"changes": [as_json(change) for change in draft.changes] if draft is not None else []}
    question |= {name: form.get(name, "") for name in ("source", "target", "side")}
    refused = ""
    try:
        question["message"] = orjson.loads(form.get("message") or "null")
    except orjson.JSONDecodeError as error:
        refused = gettext("The message is no JSON: %(why)s") % {"why": str(error)}
        question["source"] = ""
    answer = _desk(view).ask("live", **question)
    if refused:
        answer["refused"] = refused
    answer["changes"] = [change.title for change in draft.changes] if draft is not None else []
    return Sent(orjson.dumps(answer, default=str), "application/json")


def plan(view: View) -> Result:
    """What the change set would mean, in words and as text."""
    draft = change_set(view)
    if draft is None or not draft.changes:
        return Shown("plan.html", {"plan": None})
    answer = _desk(view).ask("plan", changes=[as_json(change) for change in draft.changes])
    return Shown("plan.html", {"plan": answer})


def rendered(view: View) -> Result:
    """A document after ``extends``, each value with its origin."""
    draft = change_set(view)
    title = f"{view.path['kind']}/{view.path['name']}"
    answer = _desk(view).ask(
        "rendered", title=title, changes=[as_json(change) for change in draft.changes] if draft else []
    )
    return Shown("rendered.html", {"told": answer})


def history(view: View) -> Result:
    """The revisions of a document, and who wrote each line."""
    try:
        rows = reading.revisions(view.worker.db, view.path["kind"], view.path["name"])
    except NotFound:
        rows = []
    return Shown("history.html", {"rows": rows})


def publish(view: View) -> Result:
    """The change set becomes a release."""
    draft = change_set(view)
    if draft is None or not draft.changes:
        raise Conflict(gettext("Nothing is changed"))
    message = view.form.get("message", "").strip()
    if not message:
        return Shown(
            "publish.html",
            {"faults": {"message": gettext("Say what changes, for whoever reads the history")}, "told": None},
            422,
        )
    draft = drafts.save(view.worker.db, replace(draft, message=message))
    answer = view.api("POST", f"/api/v2/drafts/{draft.id}/publish")
    if not answer["release"]:
        return Shown("publish.html", {"told": answer, "form": view.form}, 422)
    return Moved(f"/console/releases/{answer['release']}")


def drop(view: View) -> Result:
    """Take a document out of the change set; its text is what it was."""
    draft, title = change_set(view), view.form.get("title", "")
    if draft is not None:
        changes = tuple(change for change in draft.changes if change.title != title)
        if changes:
            drafts.save(view.worker.db, replace(draft, changes=changes), _author(view))
        else:
            drafts.drop(view.worker.db, draft.id)
    return Moved("/console/documents")


def remove(view: View) -> Result:
    """The change set takes a document away."""
    kind, _, name = view.form.get("title", "").partition("/")
    _changed(view, change_set(view), StoredDocument(kind, name, _OWN, None))
    return Moved("/console/documents")


def rebase(view: View) -> Result:
    """Bring the change set onto the newest release."""
    draft = change_set(view)
    if draft is not None:
        rebased(view.worker.db, draft)
    return Moved("/console/documents")


def new(view: View) -> Result:
    """A new document, from a template or from a pasted curl line."""
    form = view.form
    kind, name = form.get("kind", "Provider"), form.get("name", "").strip()
    try:
        if kind not in _TEMPLATES:
            raise Invalid("kind", gettext("Choose a kind"))
        body = _TEMPLATES[kind]
        if form.get("curl", "").strip():
            body, name = provider_of(form["curl"], name)
            kind = "Provider"
        if not name or not name.replace("-", "").replace(".", "").replace("_", "").isalnum() or not name.isascii():
            raise Invalid("name", gettext("Write a name of letters, digits, dots and dashes"))
    except Invalid as error:
        return Shown(
            "document_new.html",
            {"kinds": sorted(_TEMPLATES), "faults": forms.faults(view, error, "name"), "form": form},
            422,
        )
    text = f"apiVersion: gatewright/v1\nkind: {kind}\nmetadata: {{name: {name}}}\n{body}"
    _changed(view, change_set(view), StoredDocument(kind, name, _OWN, text))
    return Moved(f"/console/documents/{kind}/{quote(name)}")


def new_card(view: View) -> Result:
    """The page for a new document."""
    return Shown("document_new.html", {"kinds": sorted(_TEMPLATES)})


PAGES = (
    Page("GET", "/console/documents", ROOT, show),
    Page("GET", "/console/documents/new", ROOT, new_card),
    Page("POST", "/console/documents/new", ROOT, new),
    Page("POST", "/console/documents/live", ROOT, live),
    Page("POST", "/console/documents/plan", ROOT, plan),
    Page("POST", "/console/documents/publish", ROOT, publish),
    Page("POST", "/console/documents/drop", ROOT, drop),
    Page("POST", "/console/documents/remove", ROOT, remove),
    Page("POST", "/console/documents/rebase", ROOT, rebase),
    Page("GET", "/console/documents/:kind/:name", ROOT, show),
    Page("GET", "/console/documents/:kind/:name/rendered", ROOT, rendered),
    Page("GET", "/console/documents/:kind/:name/history", ROOT, history),
)
