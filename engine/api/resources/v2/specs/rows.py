"""Channels and options as revisions: who changed what, when; taking one back, or a row away.

Options are root's, so administrators see those of channels alone.
"""

from __future__ import annotations

from typing import Any

from engine.api.fields import Field, Shape, stored
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import ID, MADE, page, told
from engine.api.rights import need
from engine.api.route import ADMIN, ROOT, Answer, Ask
from engine.catalogue import channels, revisions
from engine.errors import NotFound
from engine.storage.releases import rows
from engine.storage.releases.rows import CHANNEL, RowRevision
from engine.texts import refusal

REVISION = Shape(
    "RowRevision",
    {
        "id": ID,
        **dict(
            (
                told("kind", "channel or option.", "string", filtered=True),
                told("name", "A channel's number, or an option's name.", "string", filtered=True),
                told("title", "What the channel was called.", "string", filtered=True),
                told("user_id", "Who changed it; 0 for the program itself.", filtered=True),
                told("username", "The name that it had.", "string", filtered=True),
                told("before", "What it was; nothing where it was made. Secrets as the beginning of a hash.", "any"),
                told("after", "What it became; nothing where it was deleted.", "any"),
            )
        ),
        "created_at": MADE,
    },
)
TOLD = Shape(
    "ToldRowRevision",
    {
        **REVISION.fields,
        **dict(
            (
                told("what", "added, changed or removed.", "string"),
                told("diff", "What it changed, as a unified diff.", "string"),
            )
        ),
    },
)
BLAMED = Shape(
    "BlamedMember",
    dict(
        (
            told("member", "The member.", "string"),
            told("value", "What it is.", "any"),
            told("revision", "The revision that wrote it."),
            told("username", "By whom.", "string"),
            told("created_at", "When, in Unix seconds."),
        )
    ),
)
DIFFERING = Shape(
    "DifferingRow",
    dict(
        (
            told("kind", "channel or option.", "string"),
            told("name", "Its number or name.", "string"),
            told("title", "What the channel is called.", "string"),
            told("what", "added, changed or removed.", "string"),
            told("diff", "A unified diff.", "string"),
        )
    ),
)
_OLDER = {"older": Field(kind="integer", words="The revision to compare with.", needed=True, least=0, most=2**40)}


def _chosen(ask: Ask) -> RowRevision:
    revision = rows.one(ask.worker.db, ask.number())
    if revision.kind != CHANNEL and ask.user.role < ROOT:
        raise refusal(NotFound, "not_found")
    return revision


def _kind(ask: Ask) -> str:
    if ask.path["kind"] != CHANNEL and ask.user.role < ROOT:
        raise refusal(NotFound, "not_found")
    return ask.path["kind"]


def listed(ask: Ask) -> Answer:
    """Revisions, all of them or of one row."""
    fixed: dict[str, Any] = {} if ask.user.role >= ROOT else {"kind": CHANNEL}
    return page(ask, "gatewright_row_revisions", REVISION, **fixed)


def one(ask: Ask) -> Answer:
    """A revision with what it changed."""
    return Answer(TOLD.tell(revisions.told(_chosen(ask))))


def diff(ask: Ask) -> Answer:
    """What differs between an older revision and this one, by row."""
    text = ask.query.get("older", "")
    older = stored(
        "older", _OLDER["older"], int(text) if text.isascii() and text.isdigit() and len(text) < 16 else text
    )
    differing = revisions.diff(ask.worker.db, older, ask.number())
    seen = [row for row in differing if row["kind"] == CHANNEL or ask.user.role >= ROOT]
    return Answer([DIFFERING.tell(row) for row in seen], beside={"next": None})


def history(ask: Ask) -> Answer:
    """The revisions of a row, the newest first."""
    found = revisions.history(ask.worker.db, _kind(ask), ask.path["name"])
    return Answer([TOLD.tell(row) for row in found], beside={"next": None})


def blame(ask: Ask) -> Answer:
    """The members of a row, each with the revision that wrote it."""
    lines = revisions.blame(ask.worker.db, _kind(ask), ask.path["name"])
    return Answer([BLAMED.tell(line) for line in lines], beside={"next": None})


def undo(ask: Ask) -> Answer:
    """Put back what a revision changed; refused (409) where something of that was changed again."""
    revision, worker = _chosen(ask), ask.worker
    if revision.kind == CHANNEL and channels.SENSITIVE & revisions.changed(revision):
        need(ask, "channel.sensitive_write")
    made = revisions.undo(worker.db, revision.id, user=ask.user.id, values=worker.options)
    worker.changed()
    return Answer(TOLD.tell(made))


def drop(ask: Ask) -> Answer:
    """Take an option's row away: what a document says counts, or its default."""
    worker = ask.worker
    made = revisions.drop(worker.db, _kind(ask), ask.path["name"])
    worker.changed()
    return Answer(TOLD.tell(made))


_ALL, _ONE, _ROW = f"{PREFIX}/rows", f"{PREFIX}/rows/:id", f"{PREFIX}/rows/:kind/:name"
_READ = "channel.read"
ROUTES = (
    Operation("GET", _ALL, ADMIN, listed, words="Revisions of rows.", gives=REVISION, many=True, right=_READ),
    Operation("GET", _ONE, ADMIN, one, words="A revision.", gives=TOLD, right=_READ),
    Operation(
        "GET",
        f"{_ONE}/diff",
        ADMIN,
        diff,
        words="A difference of rows.",
        gives=DIFFERING,
        many=True,
        paged=False,
        query=_OLDER,
        right=_READ,
    ),
    Operation(
        "POST",
        f"{_ONE}/undo",
        ADMIN,
        undo,
        words="Take a revision back.",
        gives=TOLD,
        right="channel.write",
        makes=True,
    ),
    Operation("POST", f"{_ROW}/drop", ROOT, drop, words="Take an option's row away.", gives=TOLD, makes=True),
    Operation(
        *("GET", f"{_ROW}/history", ADMIN, history),
        words="A row's revisions.",
        gives=TOLD,
        many=True,
        paged=False,
        right=_READ,
    ),
    Operation(
        *("GET", f"{_ROW}/blame", ADMIN, blame),
        words="A row's members.",
        gives=BLAMED,
        many=True,
        paged=False,
        right=_READ,
    ),
)
