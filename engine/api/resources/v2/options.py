"""Options with their types: what is set, what is the default, and whether something here reads it."""

from __future__ import annotations

from typing import Any

from engine.api import networks
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation, unchanged
from engine.api.resources.v2.common import ID, MADE, page, told
from engine.api.route import ROOT, Answer, Ask
from engine.catalogue import options
from engine.errors import NotFound
from engine.storage.releases.rows import OPTION as OPTION_ROW
from engine.texts import refusal

OPTION = Shape(
    "Option",
    {
        **dict((told("id", "Its name again, as a key.", "string"), told("name", "Its name.", "string"))),
        "value": Field(
            kind="any", words="Its value as a text, or the JSON that the text holds. Secrets are not told.", needed=True
        ),
        **dict(
            (
                told("type", "What its value has to be.", "string"),
                told("default", "What counts where it is not set.", "string"),
                told("set", "Whether it is set.", "boolean"),
                told("secret", "Whether its value is never told.", "boolean"),
                told("used", "Whether something here reads it.", "boolean"),
                told("choices", "The values that it may have; none: any of its type.", "array"),
            )
        ),
    },
)
CHANGE = Shape(
    "OptionChange",
    {
        "id": ID,
        **dict(
            (
                told("user_id", "Who changed it.", filtered=True),
                told("name", "The option.", "string", filtered=True),
                told("before", "What it was; of secrets the beginning of a hash.", "string"),
                told("after", "What it became.", "string"),
            )
        ),
        "created_at": MADE,
    },
)


def _told(option: options.Option, value: str | None) -> dict[str, Any]:
    shown = value if value is not None else option.default
    return {
        "id": option.name,
        "name": option.name,
        "value": "" if option.secret else shown,
        "type": option.type,
        "default": option.default,
        "set": value is not None,
        "secret": option.secret,
        "used": option.used,
        "choices": list(option.choices),
    }


def listed(ask: Ask) -> Answer:
    """All options that are known, by name."""
    known, values = options.known(), ask.worker.options
    return Answer([_told(known[name], values.get(name)) for name in sorted(known)], beside={"next": None})


def _option(ask: Ask) -> options.Option:
    option = options.find(ask.path["name"])
    if option is None:
        raise refusal(NotFound, "not_found")
    return option


def one(ask: Ask) -> Answer:
    """An option."""
    option = _option(ask)
    return Answer(_told(option, ask.worker.options.get(option.name)))


def change(ask: Ask) -> Answer:
    """Set an option; it counts on all workers within a second."""
    option, worker = _option(ask), ask.worker
    networks.not_oneself(ask, option.name, ask.values["value"])
    guard = unchanged(ask, OPTION, lambda row: _told(option, row["value"]))
    options.put(worker.db, worker.options, option.name, ask.values["value"], ask.user.id, guard)
    worker.changed()
    if option.secret:
        ask.body = {"value": "***"}  # what the trail keeps
    return Answer(_told(option, worker.options.get(option.name)))


def history(ask: Ask) -> Answer:
    """What options were changed from and to."""
    return page(ask, "gatewright_row_revisions", CHANGE, kind=OPTION_ROW)


_ONE = f"{PREFIX}/options/:name"
ROUTES = (
    Operation("GET", f"{PREFIX}/options", ROOT, listed, words="Options.", gives=OPTION, many=True, paged=False),
    Operation("GET", f"{PREFIX}/option-history", ROOT, history, words="Changes.", gives=CHANGE, many=True),
    Operation("GET", _ONE, ROOT, one, words="An option.", gives=OPTION),
    Operation("PUT", _ONE, ROOT, change, words="Set an option.", takes=OPTION, gives=OPTION, guarded=True, whole=True),
)
