"""Webhooks: addresses that are told, signed, of what happens. Their secrets go in, and are told once."""

from __future__ import annotations

import time
from typing import Any

from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation, unchanged
from engine.api.resources.v2.common import ID, page, told
from engine.api.route import ADMIN, Answer, Ask
from engine.errors import NotFound
from engine.notices import hooks
from engine.outbox import Outcome
from engine.storage.rows.crud import Row
from engine.storage.rows.work import webhooks as rows
from engine.texts import refusal

_FIELDS = {
    "id": ID,
    "name": Field(kind="string", words="What it is called.", least=1, most=64, needed=True, filtered=True),
    "url": Field(kind="string", words="Where it is told: an http or https address.", least=8, most=2000, needed=True),
    "events": Field(
        kind="array",
        words="The events that it is told of, by name; * is all of them.",
        lines=" ",
        least=1,
        most=50,
        items=Field(kind="string", words="An event.", least=1, most=40),
    ),
    "enabled": Field(kind="boolean", words="Whether it is told anything."),
    "secret": Field(
        kind="string",
        words="What calls are signed with; one is made where none is sent.",
        least=16,
        most=200,
        told=False,
    ),
    "created_at": told("created_at", "When it was made, in Unix seconds.")[1],
}
WEBHOOK = Shape("Webhook", _FIELDS)
MADE = Shape(
    "MadeWebhook",
    {**_FIELDS, "secret": Field(kind="string", words="What calls are signed with; told this once.", sent=False)},
)
TRIED = Shape(
    "Tried",
    dict((told("sent", "Whether it was taken.", "boolean"), told("error", "Why it was not.", "string"))),
)


def tried(outcome: Outcome) -> dict[str, Any]:
    """A try as it is answered."""
    return {"sent": outcome.sent, "error": outcome.error}


def listed(ask: Ask) -> Answer:
    """All of them."""
    return page(ask, "gatewright_webhooks", WEBHOOK)


def one(ask: Ask) -> Answer:
    """One of them."""
    return Answer(WEBHOOK.tell(hooks.find(ask.worker.db, ask.number())))


def create(ask: Ask) -> Answer:
    """Make one."""
    row, secret = hooks.create(ask.worker.db, ask.worker.notices.ground(), ask.values, int(time.time()))
    return Answer({**MADE.tell(row), "secret": secret}, headers={"location": f"{PREFIX}/webhooks/{row['id']}"})


def change(ask: Ask) -> Answer:
    """Change what is sent of one."""
    ground, guard = ask.worker.notices.ground(), unchanged(ask, WEBHOOK)
    return Answer(WEBHOOK.tell(hooks.change(ask.worker.db, ground, ask.number(), ask.values, guard)))


def delete(ask: Ask) -> Answer:
    """Take one away."""
    if not rows.remove(ask.worker.db, ask.number(), unchanged(ask, WEBHOOK)):
        raise refusal(NotFound, "not_found")
    return Answer()


def attempt(ask: Ask) -> Answer:
    """Call one now, with an event of the type notice.test."""
    row: Row = hooks.find(ask.worker.db, ask.number())
    return Answer(tried(ask.worker.notices.try_webhook({**row, "enabled": 1})))


_ALL, _ONE = f"{PREFIX}/webhooks", f"{PREFIX}/webhooks/:id"
ROUTES = (
    Operation("GET", _ALL, ADMIN, listed, words="Webhooks.", gives=WEBHOOK, many=True, right="webhook.read"),
    Operation(
        *("POST", _ALL, ADMIN, create),
        words="Make a webhook.",
        takes=WEBHOOK,
        gives=MADE,
        status=201,
        makes=True,
        right="webhook.write",
    ),
    Operation("GET", _ONE, ADMIN, one, words="A webhook.", gives=WEBHOOK, right="webhook.read"),
    Operation(
        *("PATCH", _ONE, ADMIN, change),
        words="Change a webhook.",
        takes=WEBHOOK,
        gives=WEBHOOK,
        guarded=True,
        right="webhook.write",
    ),
    Operation(
        *("DELETE", _ONE, ADMIN, delete), words="Delete a webhook.", status=204, guarded=True, right="webhook.write"
    ),
    Operation(
        *("POST", f"{_ONE}/test", ADMIN, attempt), words="Call a webhook now.", gives=TRIED, right="webhook.write"
    ),
)
