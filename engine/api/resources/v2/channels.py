"""Channels; their keys are written and never told."""

from __future__ import annotations

from typing import Any

from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation, unchanged
from engine.api.resources.v2.common import CHANNEL_STATES, ID, page, told
from engine.api.rights import need
from engine.api.route import ADMIN, Answer, Ask
from engine.catalogue import channels
from engine.errors import Invalid, NotFound
from engine.storage.rows import channel_edits as rows
from engine.storage.rows import channels as channel_rows
from engine.storage.values import DISABLED, ENABLED
from engine.texts import refusal

_NAMES = Field(kind="string", words="A name.", least=1, most=255)


def _object(words: str) -> Field:
    return Field(kind="object", words=words)


CHANNEL = Shape(
    "Channel",
    {
        "id": ID,
        "name": Field(kind="string", words="What it is called.", most=191, needed=True, filtered=True),
        "type": Field(
            kind="integer", words="The number of its provider.", least=0, most=1000, needed=True, filtered=True
        ),
        "key": Field(kind="string", words="Its key.", told=False, least=1, most=60_000, needed=True),
        "status": Field(kind="string", words="enabled or disabled is sent.", codes=CHANNEL_STATES, filtered=True),
        "models": Field(kind="array", words="The models that it serves.", lines=",", most=2000, items=_NAMES),
        "groups": Field(
            kind="array", words="The groups that it serves.", column="group", lines=",", most=20, items=_NAMES
        ),
        "tag": Field(kind="string", words="A word that channels are changed by together.", most=191, filtered=True),
        "base_url": Field(kind="string", words="Its address; empty: the provider's.", most=191, filtered=True),
        "priority": Field(
            kind="integer", words="Higher ones are tried first.", least=-(2**53), most=2**53, filtered=True, sorted=True
        ),
        "weight": Field(kind="integer", words="Its share among those of one priority.", least=0, most=2**31),
        "auto_ban": Field(kind="integer", words="1: it is set aside when its key fails.", least=0, most=1),
        "test_model": Field(kind="string", words="The model that tests use.", most=255),
        "remark": Field(kind="string", words="A note.", most=255),
        "model_mapping": _object("Names of models at the provider, by the names that callers use."),
        "param_override": _object("What is set in each request."),
        "header_override": _object("Headers that are set on each request."),
        "setting": _object("Settings of New API."),
        "settings": _object("More settings of New API."),
        **dict(
            (
                told("balance", "What its account still has, in dollars.", "number"),
                told("used_quota", "Quota units that calls through it were charged.", sorted=True),
                told("response_time", "How long the last test took, in milliseconds.", sorted=True),
                told("test_time", "When it was tested last, in Unix seconds."),
                told("created_time", "When it was made, in Unix seconds."),
            )
        ),
    },
)


ASIDE = Shape(
    "ChannelAside",
    {
        "until": Field(
            kind="integer",
            words="Until when it is set aside, in Unix seconds; 0: ask it again, whatever it failed by before.",
            least=0,
            most=2**40 - 1,
            needed=True,
        )
    },
)


def listed(ask: Ask) -> Answer:
    """Channels, newest first unless a sort is given."""
    return page(ask, "channels", CHANNEL)


def one(ask: Ask) -> Answer:
    """A channel."""
    return Answer(CHANNEL.tell(channels.get(ask.worker.db, ask.number())))


def _values(ask: Ask) -> dict[str, Any]:
    if ask.values.get("status", ENABLED) not in (ENABLED, DISABLED):
        raise refusal(Invalid, "invalid.field", field="status", what="enabled or disabled")
    return ask.values


def create(ask: Ask) -> Answer:
    """Make a channel."""
    which = channels.create(ask.worker.db, "single", _values(ask), "", prefix=False)[0]
    ask.worker.changed()
    return Answer(CHANNEL.tell(channels.get(ask.worker.db, which)), headers={"location": f"{PREFIX}/channels/{which}"})


def change(ask: Ask) -> Answer:
    """Change what is sent of a channel; what could send its key elsewhere is root's."""
    values = _values(ask)
    if channels.SENSITIVE & values.keys():
        need(ask, "channel.sensitive_write")
    row = channels.change(ask.worker.db, ask.number(), values, unchanged(ask, CHANNEL))
    ask.worker.changed()
    return Answer(CHANNEL.tell(row))


def set_aside(ask: Ask) -> Answer:
    """Set a channel aside until a moment, or have it asked again at once."""
    until = ask.values["until"]
    if not channel_rows.set_aside(ask.worker.db, ask.number(), until):
        raise refusal(NotFound, "not_found")
    ask.worker.catch_up()
    return Answer({"until": until})


def delete(ask: Ask) -> Answer:
    """Delete a channel."""
    if not rows.remove(ask.worker.db, rows.by_ids([ask.number()]), unchanged(ask, CHANNEL)):
        raise refusal(NotFound, "not_found")
    ask.worker.changed()
    return Answer()


_ONE = f"{PREFIX}/channels/:id"
ROUTES = (
    Operation(
        *("GET", f"{PREFIX}/channels", ADMIN, listed), words="Channels.", gives=CHANNEL, many=True, right="channel.read"
    ),
    Operation(
        *("POST", f"{PREFIX}/channels", ADMIN, create),
        words="Make a channel.",
        takes=CHANNEL,
        gives=CHANNEL,
        status=201,
        makes=True,
        right="channel.sensitive_write",
    ),
    Operation("GET", _ONE, ADMIN, one, words="A channel.", gives=CHANNEL, right="channel.read"),
    Operation(
        *("PATCH", _ONE, ADMIN, change),
        words="Change a channel.",
        takes=CHANNEL,
        gives=CHANNEL,
        guarded=True,
        right="channel.write",
    ),
    Operation(
        *("POST", f"{_ONE}/aside", ADMIN, set_aside),
        words="Set a channel aside until a moment, or have it asked again.",
        takes=ASIDE,
        gives=ASIDE,
        makes=True,
        right="channel.operate",
    ),
    Operation(
        *("DELETE", _ONE, ADMIN, delete),
        words="Delete a channel.",
        status=204,
        guarded=True,
        right="channel.sensitive_write",
    ),
)
