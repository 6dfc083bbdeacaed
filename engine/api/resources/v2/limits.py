"""What binds a key now: its quota, the account's balance and plans, budgets, limits of a time; told to its holder."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from engine.accounts.teams import keys as team_keys
from engine.api import rights
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import told
from engine.api.resources.v2.teams.teams import who
from engine.api.route import ADMIN, USER, Answer, Ask
from engine.errors import NotFound
from engine.relay.attempts import in_force
from engine.relay.attempts.in_force import KINDS, BoundInForce
from engine.storage.rows import accounts
from engine.storage.rows.accounts import Account
from engine.texts import refusal

_NUMBERS = {
    "most": "How much may be used; null: as much as one likes.",
    "used": "How much of it was; null: calls of this key have several such counts (by model or address).",
    "left": "How much is left.",
    "resets_at": "When it begins anew, or when all is forgotten that counts now, in Unix seconds; null: never, or"
    " nothing counts now.",
}
LIMIT = Shape(
    "LimitInForce",
    dict(
        (
            told(
                "kind",
                "The key's own quota, its account's balance, a plan, a budget, or a limit of a time.",
                "string",
                choices=KINDS,
            ),
            told("name", "What it is called, or whose it is.", "string"),
            told("counts", "quota (quota units), tokens, requests, served (answered requests), parallel.", "string"),
            told("source", "What says so: a document, an option, or a row by its number.", "string"),
            *(told(name, words, nullable=True) for name, words in _NUMBERS.items()),
            told("held", "How much of it calls under way hold."),
            told("period", "The time in words; empty: none.", "string"),
            told(
                "by",
                "What has a count of its own; none: all that it binds share one.",
                "array",
                items=Field(kind="string", words="key, user, group, model or address."),
            ),
            told("when", "What it asks of a call that it binds; empty: it binds all calls of the key.", "object"),
        )
    ),
)
_MODEL = Field(kind="string", words="A model: then counts for each model are told of this one.", most=255)


def tell(bound: BoundInForce) -> dict[str, Any]:
    """A bound as it is answered."""
    return {**asdict(bound), "left": bound.left}


def _listed(ask: Ask, account: Account) -> Answer:
    bounds = in_force.in_force(ask.worker.upstream, ask.worker.snapshot, account, ask.query.get("model", ""))
    return Answer([LIMIT.tell(tell(bound)) for bound in bounds], beside={"next": None})


def of_key(ask: Ask) -> Answer:
    """What binds one of the caller's keys, or anybody's for an administrator who may see it."""
    account = accounts.of_id(ask.worker.db, ask.number())
    above = ask.user.role >= ADMIN and rights.may(ask, "user.read")
    if account is None or (account.user_id != ask.user.id and not above):
        raise refusal(NotFound, "not_found")
    return _listed(ask, account)


def of_team_key(ask: Ask) -> Answer:
    """What binds a key of a team that one sees."""
    row = team_keys.one(ask.worker.db, who(ask), ask.number("key"))
    account = accounts.of_id(ask.worker.db, row["id"])
    if account is None:
        raise refusal(NotFound, "not_found")
    return _listed(ask, account)


ROUTES = (
    Operation(
        *("GET", f"{PREFIX}/keys/:id/limits", USER, of_key),
        words="What binds a key now, and how much of it is left.",
        gives=LIMIT,
        many=True,
        paged=False,
        query={"model": _MODEL},
    ),
    Operation(
        *("GET", f"{PREFIX}/teams/:id/keys/:key/limits", USER, of_team_key),
        words="What binds a team's key now, and how much of it is left.",
        gives=LIMIT,
        many=True,
        paged=False,
        query={"model": _MODEL},
    ),
)
