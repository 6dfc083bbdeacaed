"""The health of channels: which are asked now, which are not, until when and why; of rows and of documents."""

from __future__ import annotations

import time
from typing import Any

from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import CHANNEL_STATES, told
from engine.api.route import ADMIN, Answer, Ask
from engine.storage.rows import channel_edits
from engine.storage.rows.crud import Row
from engine.storage.rows.work.noted import members_of
from engine.storage.values import ENABLED

_NO_KEYS = {"keys": 0, "keys_aside": 0}
_STATES = ("serving", "aside", "left_out", *(name for name in CHANNEL_STATES if name != "enabled"))
HEALTH = Shape(
    "ChannelHealth",
    dict(
        (
            told("id", "Its number; 0: a document declares it."),
            told("name", "What it is called.", "string"),
            ("state", Field(kind="string", words="Whether it is asked.", choices=_STATES, sent=False)),
            told("until", "Until when it is set aside, in Unix seconds; 0: it is not."),
            told("reason", "Why it is not asked, where that is known.", "string"),
            told("keys", "How many keys it has that are on."),
            told("keys_aside", "How many of several keys are set aside now."),
        )
    ),
)


def listed(ask: Ask) -> Answer:
    """All channels, by number and name."""
    table = ask.worker.snapshot.table
    rows = [_of_row(ask, row) for row in channel_edits.listed(ask.worker.db)]
    declared = [_live(ask, channel) for channel in table.channels if not channel.id]
    each = sorted([*rows, *declared], key=lambda one: (one["id"], one["name"]))
    return Answer([HEALTH.tell(one) for one in each], beside={"next": None})


def _of_row(ask: Ask, row: Row) -> dict[str, Any]:
    state = next((name for name, status in CHANNEL_STATES.items() if status == row["status"]), "disabled")
    live = ask.worker.snapshot.table.by_id.get(row["id"])
    if row["status"] == ENABLED and live is not None:
        return _live(ask, live)
    reason = str(members_of(row.get("other_info")).get("status_reason") or "")
    if row["status"] == ENABLED:
        state, reason = "left_out", "the log and /readyz say which fault it has"
    return {"id": row["id"], "name": row["name"], "state": state, "until": 0, "reason": reason, **_NO_KEYS}


def _live(ask: Ask, channel: Any) -> dict[str, Any]:
    """One that is in the table of channels: breakers, hours and what an operator said decide."""
    health = ask.worker.upstream.health
    until = health.away(channel)
    by_hand = "an operator set it aside, or it is outside its hours"
    reason = (by_hand if channel.closed(time.time()) else "its breaker is open") if until else ""
    return {
        "id": channel.id,
        "name": channel.name,
        "state": "aside" if until else "serving",
        "until": int(until),
        "reason": reason,
        "keys": len(channel.keys),
        "keys_aside": health.keys_aside(channel),
    }


ROUTES = (
    Operation(
        *("GET", f"{PREFIX}/channels/health", ADMIN, listed),
        words="The health of channels.",
        gives=HEALTH,
        many=True,
        paged=False,
        right="channel.read",
    ),
)
