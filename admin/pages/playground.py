"""The playground: chat with a model in the own name in any client's format, every hop raw beside it, without a key."""

from __future__ import annotations

from contextlib import suppress

import orjson

from admin.pages.keys import _usable
from admin.view import USER, Page, Result, Sent, Shown, View
from admin.words import gettext
from engine.errors import Invalid, NotFound
from engine.releases import reading

FORMATS = (
    ("chat", "OpenAI Chat"),
    ("responses", "OpenAI Responses"),
    ("messages", "Anthropic Messages"),
    ("gemini", "Gemini"),
)
"""What the page's script can write and read, by the name that it has there."""


def show(view: View) -> Result:
    """The page; with the id of a call in the address its model and group are chosen."""
    models = view.api("GET", "/api/user/models")
    model = view.query.get("model", "")
    values = {"models": models, "model": model if model in models else next(iter(models), ""), "usable": _usable(view)}
    values |= {"formats": FORMATS, "trials": reading.trials(view.worker.db) if view.root else []}
    return Shown("playground.html", {**values, "own": view.user.group, "origin": view.origin})


def send(view: View) -> Result:
    """Hand a request on to the relay in the name of who looks; the answer streams."""
    try:
        body = orjson.loads(view.form.get("body", ""))
    except orjson.JSONDecodeError:
        raise Invalid("body", gettext("The request is no JSON")) from None
    if not isinstance(body, dict):
        raise Invalid("body", gettext("The request is no JSON object"))
    question = {name: view.form[name] for name in ("path", "group", "release") if view.form.get(name)}
    answer = view.ask(view, "POST", "/pg/call", {"body": body, **question}, {})
    headers = {name: value for name, value in answer.headers.items() if name != "content-type"}
    kind = answer.headers.get("content-type", "application/json")
    return Sent(answer.stream, kind, int(answer.status), headers)


def facts(view: View) -> Result:
    """What the log says of a call: channel, cost, formats; nothing as long as its row is not there."""
    path = "/api/log/" if view.admin else "/api/log/self"
    items = []
    with suppress(NotFound):
        items = view.api("GET", path, request_id=view.path["id"], page_size=1)["items"]
    if not items:
        return Sent("{}", "application/json")
    row = items[0]
    other = orjson.loads(row["other"] or "{}")
    told = {
        "cost": row["quota"] / view.unit,
        "channel": (row.get("channel_name") or other.get("channel") or "") if view.admin else "",
        "formats": other.get("request_conversion") or [],
        "losses": len(other.get("losses") or ()),
        "release": str(other.get("release") or "")[:7] if view.root else "",
    }
    return Sent(orjson.dumps(told), "application/json")


PAGES = (
    Page("GET", "/console/playground", USER, show),
    Page("POST", "/console/playground", USER, send),
    Page("GET", "/console/playground/facts/:id", USER, facts),
)
