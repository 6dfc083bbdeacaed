"""Access tokens for scripts: several for each user, each with a name, an end, and what it may do."""

from __future__ import annotations

from engine.accounts import sessions
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import ID, MADE, page, told
from engine.api.route import USER, Answer, Ask
from engine.errors import NotFound
from engine.texts import refusal

SCOPES = ("all", "read")
TOKEN = Shape(
    "AccessToken",
    {
        "id": ID,
        "name": Field(kind="string", words="What it is for.", least=1, most=64, needed=True, filtered=True),
        "scope": Field(kind="string", words="all, or read: then it changes nothing.", choices=SCOPES, filtered=True),
        "expires_at": Field(kind="integer", words="When it ends, in Unix seconds; 0 never.", least=0, most=2**40),
        **dict((told("token", "The token; told once, when it is made.", "string"),)),
        "created_at": MADE,
    },
)


def listed(ask: Ask) -> Answer:
    """The caller's access tokens."""
    return page(ask, "gatewright_access_tokens", TOKEN, user_id=ask.user.id)


def create(ask: Ask) -> Answer:
    """Make an access token; one of the same name ends."""
    values = {"scope": "all", "expires_at": 0, **ask.values}
    token, row = sessions.named_token(ask.worker.db, ask.user.id, **values)
    return Answer({**TOKEN.tell(row), "token": token})


def delete(ask: Ask) -> Answer:
    """End an access token."""
    if not sessions.end_token(ask.worker.db, ask.user.id, ask.number()):
        raise refusal(NotFound, "not_found")
    return Answer()


_ALL = f"{PREFIX}/me/tokens"
ROUTES = (
    Operation("GET", _ALL, USER, listed, words="The own access tokens.", gives=TOKEN, many=True),
    Operation(
        *("POST", _ALL, USER, create),
        words="Make an access token.",
        takes=TOKEN,
        gives=TOKEN,
        status=201,
        makes=True,
        session=True,
    ),
    Operation("DELETE", f"{_ALL}/:id", USER, delete, words="End an access token.", status=204, session=True),
)
