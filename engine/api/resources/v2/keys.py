"""Keys: the caller's own, and for administrators those of others, which they see but never in clear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.accounts import own_keys
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation, unchanged
from engine.api.questions import beside, question_of
from engine.api.resources.newapi.shapes import masked
from engine.api.resources.v2.common import ID, KEY_STATES, MADE, told
from engine.api.route import ADMIN, USER, Answer, Ask
from engine.catalogue import options
from engine.errors import Invalid, NotFound
from engine.reports import lists
from engine.storage.rows.api import call_tags
from engine.storage.rows.crud import Row
from engine.storage.values import DISABLED, ENABLED
from engine.texts import refusal

_FIELDS = {
    "id": ID,
    "name": Field(kind="string", words="What it is called; 50 bytes at most.", most=50, filtered=True),
    **dict((told("user_id", "Whose it is.", filtered=True),)),
    "status": Field(kind="string", words="enabled or disabled is sent.", codes=KEY_STATES, filtered=True),
    "group": Field(kind="string", words="The group that it calls with; empty: the user's.", most=64, filtered=True),
    "expires_at": Field(
        kind="integer", words="When it ends, in Unix seconds; -1 never.", column="expired_time", least=-1, most=2**40
    ),
    "unlimited": Field(kind="boolean", words="Bounded by the balance alone.", column="unlimited_quota"),
    "remaining": Field(
        kind="integer", words="Quota units that it may still spend.", column="remain_quota", least=0, most=2**53
    ),
    "models": Field(
        kind="array",
        words="The models that it may call; none: all.",
        column="model_limits",
        most=500,
        lines=",",
        items=Field(kind="string", words="A model.", least=1, most=255),
    ),
    "networks": Field(
        kind="array",
        words="Addresses and networks that it may be used from; none: all.",
        column="allow_ips",
        most=50,
        lines="\n",
        items=Field(kind="string", words="An address or a network.", least=2, most=43),
    ),
    "cross_group_retry": Field(kind="boolean", words="Whether a failed call goes on in another group."),
    "auto_groups": Field(
        kind="array",
        words="The groups that auto stands for, in their order; none: as the options say.",
        most=50,
        items=Field(kind="string", words="A group.", least=1, most=64),
    ),
    "call_tags": Field(
        kind="array",
        words="The tags that its calls may have, of those that the Policy allows; none: all of these.",
        most=100,
        lines=",",
        items=Field(kind="string", words="A tag; with * at its end any that begin so.", least=1, most=65),
    ),
    **dict(
        (
            told("used_quota", "Quota units that were charged to it."),
            told("accessed_time", "When it was used last, in Unix seconds."),
            told("captured_until", "Until when its exchanges are kept, in Unix seconds; 0: they are not."),
            told("key", "The key; in clear once, when it is made.", "string"),
        )
    ),
    "created_at": Field(
        kind="integer", words=MADE.words, column="created_time", sent=False, filtered=True, sorted=True
    ),
}
KEY = Shape("Key", _FIELDS)


def _teller(ask: Ask) -> Callable[[Row], dict[str, Any]]:
    """How keys are told: masked, and with what the running snapshot says of them."""
    watching, db = ask.worker.snapshot.captures, ask.worker.db

    def tell(row: Row) -> dict[str, Any]:
        until = watching.until(row["id"]) if watching is not None else 0
        whole = row if "call_tags" in row else call_tags.beside(db, [row])[0]
        return {**KEY.tell(whole), "captured_until": until, "key": masked(str(row.get("key") or "").rstrip())}

    return tell


def _page(ask: Ask, **fixed: Any) -> Answer:
    question, db = question_of(ask, KEY), ask.worker.db
    rows, place = lists.page(db, "tokens", question, **fixed)
    tell = _teller(ask)
    return Answer([tell(row) for row in call_tags.beside(db, rows)], beside=beside(question, place))


def listed(ask: Ask) -> Answer:
    """The caller's keys."""
    return _page(ask, user_id=ask.user.id)


def everybodys(ask: Ask) -> Answer:
    """The keys of all users."""
    return _page(ask)


def one(ask: Ask) -> Answer:
    """One of the caller's keys."""
    return Answer(_teller(ask)(own_keys.mine(ask.worker.db, ask.user.id, ask.number())))


def create(ask: Ask) -> Answer:
    """Make a key; it is told in clear this once."""
    most = options.value_of(ask.worker.options, "token_setting.max_user_tokens")
    row = own_keys.create(ask.worker.db, ask.user.id, key_values(ask), _open(ask), most)
    headers = {"location": f"{PREFIX}/keys/{row['id']}"}
    return Answer({**_teller(ask)(row), "key": f"sk-{row['key']}"}, headers=headers)


def key_values(ask: Ask) -> dict[str, Any]:
    """The columns that a body sets of a key."""
    values = dict(ask.values)
    if values.get("status", ENABLED) not in (ENABLED, DISABLED):
        raise refusal(Invalid, "invalid.field", field="status", what="enabled or disabled")
    if "model_limits" in values:
        values["model_limits_enabled"] = bool(values["model_limits"])
    return values


def _open(ask: Ask) -> frozenset[str]:
    return ask.worker.snapshot.groups.open_to(ask.user.group) | {"auto"}


def change(ask: Ask) -> Answer:
    """Change what is sent of a key."""
    row = own_keys.change(
        ask.worker.db, ask.user.id, ask.number(), key_values(ask), _open(ask), unchanged(ask, KEY, _teller(ask))
    )
    return Answer(_teller(ask)(row))


def renew(ask: Ask) -> Answer:
    """Another secret for a key, told in clear this once; the old one is refused from now on."""
    row = own_keys.renew(ask.worker.db, ask.user.id, ask.number())
    return Answer({**_teller(ask)(row), "key": f"sk-{row['key']}"})


def delete(ask: Ask) -> Answer:
    """Delete a key: calls with it are refused from now on."""
    if not own_keys.delete(ask.worker.db, ask.user.id, [ask.number()], unchanged(ask, KEY, _teller(ask))):
        raise refusal(NotFound, "not_found")
    return Answer()


_ONE = f"{PREFIX}/keys/:id"
ROUTES = (
    Operation("GET", f"{PREFIX}/keys", USER, listed, words="The caller's keys.", gives=KEY, many=True),
    Operation(
        *("POST", f"{PREFIX}/keys", USER, create), words="Make a key.", takes=KEY, gives=KEY, status=201, makes=True
    ),
    Operation(
        "GET",
        f"{PREFIX}/keys/all",
        ADMIN,
        everybodys,
        words="All users' keys, masked.",
        gives=KEY,
        many=True,
        right="user.read",
    ),
    Operation("GET", _ONE, USER, one, words="A key of the caller's.", gives=KEY),
    Operation("PATCH", _ONE, USER, change, words="Change a key.", takes=KEY, gives=KEY, guarded=True),
    Operation(
        *("POST", f"{_ONE}/renew", USER, renew),
        words="Give a key another secret; its name, limits and history stay.",
        gives=KEY,
        makes=True,
    ),
    Operation("DELETE", _ONE, USER, delete, words="Delete a key.", status=204, guarded=True),
)
