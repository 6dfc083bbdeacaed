"""Users, for administrators; and what whoever asks is."""

from __future__ import annotations

from typing import Any

from engine.accounts import people as rules
from engine.accounts import rights
from engine.accounts.factors import proofs
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation, matches, unchanged
from engine.api.refusals import Told
from engine.api.resources.v2.common import ID, MADE, STATES, page, told
from engine.api.rights import prove
from engine.api.route import ADMIN, ROOT, USER, Answer, Ask
from engine.errors import NotFound
from engine.storage.rows import people
from engine.storage.rows.crud import Row
from engine.texts import refusal

ROLES = {"user": 1, "administrator": 10, "root": 100}
_GRANTABLE = 2**53
_NAME = Field(kind="string", words="The name that logins use.", least=1, most=20, needed=True, filtered=True)
USER_SHAPE = Shape(
    "User",
    {
        "id": ID,
        "username": _NAME,
        "display_name": Field(kind="string", words="The name that is shown.", most=20, filtered=True),
        "password": Field(
            kind="string", words="Ends all logins made before.", told=False, least=8, most=20, needed=True
        ),
        "role": Field(kind="string", words="What it may do.", codes=ROLES, filtered=True),
        "status": Field(kind="string", words="Whether it is let in.", codes=STATES, filtered=True),
        "group": Field(
            kind="string", words="The group that decides models and prices.", least=1, most=64, filtered=True
        ),
        "email": Field(kind="string", words="Its address.", sent=False, filtered=True),
        "remark": Field(kind="string", words="A note of administrators.", most=255),
        **dict(
            (
                told("quota", "The balance in quota units; it is changed by grants.", filtered=True, sorted=True),
                told("used_quota", "Quota units that calls were charged.", filtered=True, sorted=True),
                told("request_count", "How many calls were made.", filtered=True, sorted=True),
                told("inviter_id", "Who invited it; 0 for nobody.", filtered=True),
                told("last_login_at", "When it logged in last, in Unix seconds."),
            )
        ),
        "created_at": MADE,
    },
)
GRANT = Shape(
    "GrantRequest",
    {
        "mode": Field(
            kind="string", words="What happens to the balance.", choices=("add", "subtract", "override"), needed=True
        ),
        "amount": Field(kind="integer", words="Quota units.", least=0, most=_GRANTABLE, needed=True),
        "reason": Field(kind="string", words="Why, such as a gift; it stands in the person's statement.", most=100),
    },
)
BALANCE = Shape("Balance", dict((told("balance", "The balance afterwards, in quota units."),)))
RIGHTS = Shape(
    "Rights",
    {
        name: Field(kind="object", words=f"Whether it may: {', '.join(actions)}.")
        for name, actions in rights.TABLE.items()
    },
)
GRANTS = Shape(
    "Grant",
    {
        "id": ID,
        **dict(
            (
                told("user_id", "Whose balance changed.", filtered=True),
                told("token_id", "The key whose quota changed; 0 where it was the balance.", filtered=True),
                told("amount", "Quota units.", filtered=True),
                told("reason", "What it was for.", "string", filtered=True),
                told("reference", "A code, a day, or who did it.", "string"),
            )
        ),
        "created_at": MADE,
    },
)


def listed(ask: Ask) -> Answer:
    """Users that are not deleted."""
    return page(ask, "users", USER_SHAPE)


def one(ask: Ask) -> Answer:
    """A user."""
    return Answer(USER_SHAPE.tell(_row(ask, ask.number())))


def _row(ask: Ask, which: int) -> Row:
    row = people.by_id(ask.worker.db, which)
    if row is None:
        raise refusal(NotFound, "not_found")
    return row


def me(ask: Ask) -> Answer:
    """Who asks."""
    return Answer(USER_SHAPE.tell(ask.user.row))


def create(ask: Ask) -> Answer:
    """Make a user below the own role; it begins without balance."""
    values, db = ask.values, ask.worker.db
    name, role = values["username"], values.get("role", 1)
    if role != 1:
        prove(ask, proofs.SECURE)
    row = rules.create(db, ask.user, name, values["password"], values.get("display_name", ""), role)
    more: dict[str, Any] = {name: values[name] for name in ("group", "remark", "status") if name in values}
    if more:
        row = rules.edit(db, ask.user, row["id"], more)
    return Answer(USER_SHAPE.tell(row), headers={"location": f"{PREFIX}/users/{row['id']}"})


def change(ask: Ask) -> Answer:
    """Change what is sent of a user of a lower role."""
    if {"password", "role"} & ask.values.keys():
        prove(ask, proofs.SECURE)
    row = rules.edit(ask.worker.db, ask.user, ask.number(), ask.values, unchanged(ask, USER_SHAPE))
    return Answer(USER_SHAPE.tell(row))


def delete(ask: Ask) -> Answer:
    """Delete a user of a lower role; its keys and logins end."""
    rules.delete(ask.worker.db, ask.user, ask.number(), hard=False, guard=unchanged(ask, USER_SHAPE))
    return Answer()


def grant(ask: Ask) -> Answer:
    """Add to a balance, take from it, or set it."""
    amount, mode, why = ask.values["amount"], ask.values["mode"], ask.values.get("reason", "")
    return Answer({"balance": rules.give(ask.worker.db, ask.user, ask.number(), mode, amount, why)})


def rights_of(ask: Ask) -> Answer:
    """What a user may do."""
    row = _row(ask, ask.number())
    return Answer(rights.of(ask.worker.db, row["id"], row.get("role") or 0))


def change_rights(ask: Ask) -> Answer:
    """Change rights of an administrator; what is not sent stays."""
    db, row = ask.worker.db, _row(ask, ask.number())
    prove(ask, proofs.SECURE)
    ask.before = rights.of(db, row["id"], row.get("role") or 0)
    if not matches(ask, RIGHTS, ask.before):
        raise Told.of("v2.match", 412, "precondition_failed")
    rights.put(db, ask.user, row, ask.values)
    return Answer(rights.of(db, row["id"], row.get("role") or 0))


def grants(ask: Ask) -> Answer:
    """Changes of balances and of keys' quota that are no charges."""
    return page(ask, "gatewright_grants", GRANTS)


_ONE = f"{PREFIX}/users/:id"
ROUTES = (
    Operation("GET", f"{PREFIX}/me", USER, me, words="Who asks.", gives=USER_SHAPE),
    Operation("GET", f"{PREFIX}/users", ADMIN, listed, words="Users.", gives=USER_SHAPE, many=True, right="user.read"),
    Operation(
        *("POST", f"{PREFIX}/users", ADMIN, create),
        words="Make a user.",
        takes=USER_SHAPE,
        gives=USER_SHAPE,
        status=201,
        makes=True,
        right="user.write",
    ),
    Operation("GET", _ONE, ADMIN, one, words="A user.", gives=USER_SHAPE, right="user.read"),
    Operation(
        *("PATCH", _ONE, ADMIN, change),
        words="Change a user.",
        takes=USER_SHAPE,
        gives=USER_SHAPE,
        guarded=True,
        right="user.write",
    ),
    Operation("DELETE", _ONE, ADMIN, delete, words="Delete a user.", status=204, guarded=True, right="user.write"),
    Operation(
        *("POST", f"{_ONE}/grants", ADMIN, grant),
        words="Change a user's balance.",
        takes=GRANT,
        gives=BALANCE,
        status=201,
        makes=True,
        right="user.quota",
    ),
    Operation("GET", f"{_ONE}/rights", ADMIN, rights_of, words="A user's rights.", gives=RIGHTS, right="user.read"),
    Operation(
        *("PATCH", f"{_ONE}/rights", ROOT, change_rights),
        words="Change an administrator's rights.",
        takes=RIGHTS,
        gives=RIGHTS,
        guarded=True,
    ),
    Operation(
        "GET",
        f"{PREFIX}/grants",
        ADMIN,
        grants,
        words="Changes of balances.",
        gives=GRANTS,
        many=True,
        right="user.read",
    ),
)
