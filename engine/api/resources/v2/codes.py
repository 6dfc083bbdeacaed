"""Redemption codes: made in batches, listed, written out as lines or CSV, changed, deleted."""

from __future__ import annotations

import time

from engine.accounts import redemptions
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation, unchanged
from engine.api.questions import question_of
from engine.api.resources.v2.common import ID, MADE, page, told
from engine.api.resources.v2.exports import as_csv, in_pieces
from engine.api.route import ADMIN, Answer, Ask
from engine.errors import Conflict, Invalid, NotFound
from engine.reports import lists
from engine.storage.rows import codes as rows
from engine.storage.rows.crud import Row
from engine.texts import refusal

_STATES = {"unused": redemptions.UNUSED, "disabled": redemptions.DISABLED, "used": redemptions.USED}
_MOST = 1000
_WRITTEN = {
    "name": Field(kind="string", words="What it is for.", least=1, most=20, needed=True, filtered=True),
    "quota": Field(kind="integer", words="Quota units that it gives.", least=1, most=2**53, needed=True, filtered=True),
    "expires_at": Field(
        kind="integer", words="When it ends, in Unix seconds; 0 never.", column="expired_time", least=0, most=2**40
    ),
}
CODE = Shape(
    "Code",
    {
        "id": ID,
        **_WRITTEN,
        "status": Field(kind="string", words="unused or disabled is sent.", codes=_STATES, filtered=True),
        **dict(
            (
                told("key", "The code.", "string", filtered=True),
                told("user_id", "Who made it.", filtered=True),
                told("used_user_id", "Who redeemed it; 0 for nobody.", filtered=True),
                told("redeemed_time", "When it was redeemed, in Unix seconds."),
            )
        ),
        "created_at": Field(
            kind="integer", words=MADE.words, column="created_time", sent=False, filtered=True, sorted=True
        ),
    },
)
BATCH = Shape(
    "CodeBatch",
    {**_WRITTEN, "count": Field(kind="integer", words="How many.", least=1, most=_MOST, needed=True)},
)
MADE_CODES = Shape("CodeKeys", dict((told("keys", "The codes.", "array"),)))
_FORMAT = {"format": Field(kind="string", words="lines or csv.", choices=("lines", "csv"))}


def listed(ask: Ask) -> Answer:
    """Codes."""
    return page(ask, "redemptions", CODE)


def one(ask: Ask) -> Answer:
    """A code."""
    return Answer(CODE.tell(_row(ask)))


def _row(ask: Ask) -> Row:
    row = rows.one(ask.worker.db, ask.number())
    if row is None:
        raise refusal(NotFound, "not_found")
    return row


def create(ask: Ask) -> Answer:
    """Make codes; they are told."""
    values = ask.values
    keys = redemptions.create(
        *(ask.worker.db, values["name"], values["quota"]),
        count=values["count"],
        expires=values.get("expired_time", 0),
        creator=ask.user.id,
        most=_MOST,
    )
    return Answer({"keys": keys})


def change(ask: Ask) -> Answer:
    """Change a code that was not used."""
    row, values = _row(ask), ask.values
    if row["status"] == redemptions.USED:
        raise refusal(Conflict, "code.failed")
    if values.get("status") == redemptions.USED:
        raise refusal(Invalid, "invalid.field", field="status", what="unused or disabled")
    if values.get("expired_time") and values["expired_time"] <= time.time():
        raise refusal(Invalid, "code.past", field="expires_at")
    rows.change(ask.worker.db, row["id"], values, unchanged(ask, CODE))
    return Answer(CODE.tell(_row(ask)))


def delete(ask: Ask) -> Answer:
    """Delete a code."""
    if not rows.bury(ask.worker.db, ask.number(), unchanged(ask, CODE)):
        raise refusal(NotFound, "not_found")
    return Answer()


def export(ask: Ask) -> Answer:
    """All codes that fit, a line each."""
    form = ask.query.get("format") or "lines"
    _FORMAT["format"].check("format", form)
    told_rows = (
        CODE.tell(row) for row in lists.everything(ask.worker.db, "redemptions", question_of(ask, CODE, _FORMAT))
    )
    if form == "csv":
        return Answer(stream=in_pieces(as_csv(CODE, told_rows)), headers={"content-type": "text/csv; charset=utf-8"})
    lines = (f"{row['key']}\n".encode() for row in told_rows)
    return Answer(stream=in_pieces(lines), headers={"content-type": "text/plain; charset=utf-8"})


_ONE = f"{PREFIX}/codes/:id"
ROUTES = (
    Operation("GET", f"{PREFIX}/codes", ADMIN, listed, words="Codes.", gives=CODE, many=True, right="code.read"),
    Operation(
        *("POST", f"{PREFIX}/codes", ADMIN, create),
        words="Make codes.",
        takes=BATCH,
        gives=MADE_CODES,
        status=201,
        makes=True,
        right="code.write",
    ),
    Operation(
        *("GET", f"{PREFIX}/codes/export", ADMIN, export),
        words="Codes as a file.",
        gives=CODE,
        many=True,
        query=_FORMAT,
        stream=("text/plain", "text/csv"),
        right="code.read",
        heavy=True,
    ),
    Operation("GET", _ONE, ADMIN, one, words="A code.", gives=CODE, right="code.read"),
    Operation(
        *("PATCH", _ONE, ADMIN, change),
        words="Change a code.",
        takes=CODE,
        gives=CODE,
        guarded=True,
        right="code.write",
    ),
    Operation(*("DELETE", _ONE, ADMIN, delete), words="Delete a code.", status=204, guarded=True, right="code.write"),
)
