"""Kept exchanges: the table, what was said in one, and the keys whose exchanges are kept now."""

from __future__ import annotations

from typing import Any

import orjson

from admin.view import ROOT, Moved, Page, Result, Sent, Shown, View
from admin.words import gettext
from engine.errors import Invalid

_PAGE = "/console/captures"
_SIDES = ("request", "upstream_request", "upstream_response", "response")


def listed(view: View, **more: Any) -> Shown:
    """The table, and the keys that are watched."""
    chosen = {name: view.query[name] for name in ("model", "username", "token_id", "rule") if view.query.get(name)}
    rows = view.api("GET", "/api/v2/captures", limit=100, sort="-created_at", **chosen)
    values = {
        "rows": _items(rows),
        "watched": _items(view.api("GET", "/api/v2/captures/keys")),
        "encrypted": view.worker.db.vault.sealing,
        "open": None,
        "twin": "/api/v2/captures",
    }
    return Shown("captures.html", {**values, **more})


def _items(answer: Any) -> list[dict[str, Any]]:
    return list(answer["items"] if isinstance(answer, dict) else answer)


def one(view: View) -> Result:
    """The drawer of an exchange."""
    row = view.api("GET", f"/api/v2/captures/{view.path['id']}")
    upstream = row.get("upstream") or {}
    sides = (row["request"], upstream.get("request"), upstream.get("response"), row["response"])
    values = {"row": row, "sides": [(name, _shown(side)) for name, side in zip(_SIDES, sides, strict=True) if side]}
    return Shown("capture.html", values) if view.beside else listed(view, open=values)


def _shown(side: dict[str, Any]) -> dict[str, Any]:
    """A body as people read it: JSON on lines of its own."""
    text = str(side.get("body") or "")
    try:
        text = orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        pass
    return {**side, "text": text[:100_000]}


def request(view: View) -> Result:
    """What a caller sent, for the editor's live view: its format and its body. Answers JSON."""
    row = view.api("GET", f"/api/v2/captures/{view.path['id']}")
    try:
        body = orjson.loads(row["request"]["body"])
    except orjson.JSONDecodeError:
        raise Invalid("body", gettext("The body of this exchange is no JSON, or was cut off")) from None
    return Sent(orjson.dumps({"format": row["format"], "body": body}), "application/json")


def delete(view: View) -> Result:
    """Delete an exchange."""
    view.api("DELETE", f"/api/v2/captures/{view.path['id']}")
    return Moved(_PAGE)


def watch(view: View) -> Result:
    """Keep the exchanges of a key for some hours."""
    form = view.form
    number = form.get("key", "").strip().removeprefix("#")
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise Invalid("key", gettext("Write the number of the key"))
    try:
        hours = float(form.get("hours", "1").replace(",", "."))
    except ValueError:
        raise Invalid("hours", gettext("Write a number of hours")) from None
    view.api("PUT", f"/api/v2/captures/keys/{number}", {"hours": hours, "redacted": "redacted" in form})
    return Moved(_PAGE)


def unwatch(view: View) -> Result:
    """Keep the exchanges of a key no more."""
    view.api("DELETE", f"/api/v2/captures/keys/{view.number()}")
    return Moved(_PAGE)


PAGES = (
    Page("GET", _PAGE, ROOT, listed),
    Page("POST", f"{_PAGE}/watch", ROOT, watch),
    Page("POST", f"{_PAGE}/watch/:id/end", ROOT, unwatch),
    Page("GET", f"{_PAGE}/:id", ROOT, one),
    Page("GET", f"{_PAGE}/:id/request", ROOT, request),
    Page("POST", f"{_PAGE}/:id/delete", ROOT, delete),
)
