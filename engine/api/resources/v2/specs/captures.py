"""Exchanges that were kept, and the keys whose are: for who has the rights ``capture.read`` and ``capture.write``.

Reading one goes into the trail, as does every change. The holder of a key sees with it until when it is watched.
"""

from __future__ import annotations

from typing import Any

from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import page, told
from engine.api.route import ADMIN, Answer, Ask
from engine.errors import NotFound
from engine.releases.captured import telling
from engine.storage.releases import captures
from engine.storage.releases.documents import Author
from engine.texts import refusal

_FACTS = dict(
    (
        told("id", "The call's id, as its log row has it.", "string", filtered=True, sorted=True),
        told("rule", "The Policy's rule that kept it, or key:ID.", "string", filtered=True),
        told("created_at", "When the call came, in Unix seconds.", filtered=True, sorted=True),
        told("until", "When it is deleted.", filtered=True),
        told("user_id", "Whose call it was.", filtered=True),
        told("username", "The name that it had.", "string", filtered=True),
        told("token_id", "With which key.", filtered=True),
        told("token_name", "What the key was called.", "string", filtered=True),
        told("model", "The model asked for.", "string", filtered=True),
        told("format", "The format that its caller spoke.", "string", filtered=True),
        told("channel", "The channel that answered.", "string", filtered=True),
        told("release", "The program that served it.", "string", filtered=True),
        told("status", "The status that its caller was given.", filtered=True),
        told("size", "Bytes that were kept of its bodies."),
        told("redacted", "1 where texts are crossed out."),
    )
)
CAPTURE = Shape("Capture", _FACTS)
EXCHANGE = Shape(
    "CapturedExchange",
    {
        **_FACTS,
        **dict(
            (
                told("request", "method, path, query, headers and body of the caller; no credential.", "object"),
                told("response", "status, headers and body that it was given.", "object"),
                told("upstream", "provider, channel, format, model; what was sent and what came.", "any"),
            )
        ),
    },
)
WATCHED = Shape(
    "WatchedKey",
    {
        **dict(
            (
                told("token_id", "The key's number."),
                told("name", "What it is called.", "string"),
                told("until", "Until when its exchanges are kept, in Unix seconds."),
                told("created_at", "Since when."),
                told("user_id", "Who asked for it."),
                told("username", "The name that it had.", "string"),
            )
        ),
        "hours": Field(kind="number", words="For how many hours; 1 without it.", told=False, least=0, most=720),
        "share": Field(kind="number", words="The part of its calls that is kept; 1 without it.", least=0, most=1),
        "redacted": Field(kind="boolean", words="Whether texts are crossed out."),
        "days": Field(kind="number", words="For how many days each is kept; 7 without it.", least=0, most=366),
    },
)


def listed(ask: Ask) -> Answer:
    """What is known of exchanges, without what was said."""
    return page(ask, "gatewright_captures", CAPTURE)


def one(ask: Ask) -> Answer:
    """An exchange with what was said; that it was looked at goes into the trail."""
    return Answer(EXCHANGE.tell({"upstream": None, **telling.one(ask.worker.db, ask.path["id"])}))


def delete(ask: Ask) -> Answer:
    """Delete an exchange."""
    if not captures.drop(ask.worker.db, ask.path["id"]):
        raise refusal(NotFound, "not_found")
    return Answer()


def watched(ask: Ask) -> Answer:
    """The keys whose exchanges are kept now."""
    return Answer([WATCHED.tell(row) for row in telling.keys(ask.worker.db)], beside={"next": None})


def watch(ask: Ask) -> Answer:
    """Keep a key's exchanges from now on, for a time."""
    author = Author(ask.user.id, ask.user.username)
    values: dict[str, Any] = {name: value for name, value in ask.values.items() if value is not None}
    return Answer(WATCHED.tell(telling.watch(ask.worker.db, ask.number(), author, **values)))


def unwatch(ask: Ask) -> Answer:
    """Keep a key's exchanges no more; those that are kept stay until their time."""
    captures.unwatch(ask.worker.db, ask.number())
    return Answer()


_ALL, _KEYS = f"{PREFIX}/captures", f"{PREFIX}/captures/keys"
_READ, _WRITE = "capture.read", "capture.write"
ROUTES = (
    Operation("GET", _ALL, ADMIN, listed, words="Kept exchanges.", gives=CAPTURE, many=True, right=_READ),
    Operation("GET", _KEYS, ADMIN, watched, words="Watched keys.", gives=WATCHED, many=True, paged=False, right=_READ),
    Operation("PUT", f"{_KEYS}/:id", ADMIN, watch, words="Watch a key.", takes=WATCHED, gives=WATCHED, right=_WRITE),
    Operation("DELETE", f"{_KEYS}/:id", ADMIN, unwatch, words="Watch it no more.", status=204, right=_WRITE),
    Operation("GET", f"{_ALL}/:id", ADMIN, one, words="A kept exchange.", gives=EXCHANGE, right=_READ, noted=True),
    Operation("DELETE", f"{_ALL}/:id", ADMIN, delete, words="Delete it.", status=204, right=_WRITE),
)
