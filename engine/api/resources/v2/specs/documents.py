"""The documents of the database: what they say, who owns them, and who changed them when.

A document is known by kind and name; a name may hold slashes, so it stands in the query.
"""

from __future__ import annotations

from typing import Any

from engine.api.fields import Field, Shape, stored
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import told
from engine.api.route import ADMIN, Answer, Ask
from engine.releases import reading

_NAME = {"name": Field(kind="string", words="The document's name.", needed=True, least=1, most=200)}
DOCUMENT = Shape(
    "Document",
    dict(
        (
            told("kind", "Its kind.", "string"),
            told("name", "Its name.", "string"),
            told("owner", "Who owns it: git or console.", "string"),
            told("place", "The file that it came from.", "string"),
            told("line", "The line there on which it begins."),
            told("labels", "Its labels.", "object"),
            told("release", "The release that changed it last."),
            told("hash", "The SHA-256 of its text.", "string"),
            told("text", "Its text, byte for byte; in lists only where texts are asked for.", "string"),
        )
    ),
)
REVISION = Shape(
    "Revision",
    dict(
        (
            told("number", "The release that brought it."),
            told("created_at", "When, in Unix seconds."),
            told("user_id", "By whom; 0 for the program or its command line."),
            told("username", "The name that it had.", "string"),
            told("source", "What the release came from, as a commit.", "string"),
            told("message", "Why.", "string"),
            told("what", "added, changed, moved (to another owner) or removed.", "string"),
            told("owner", "Who owned it then.", "string"),
            told("diff", "A unified diff to the revision before.", "string"),
        )
    ),
)
BLAMED = Shape(
    "BlamedLine",
    dict(
        (
            told("number", "The line."),
            told("release", "The release that wrote it."),
            told("username", "By whom.", "string"),
            told("created_at", "When, in Unix seconds."),
            told("text", "The line's text.", "string"),
        )
    ),
)
_LIST = {
    "kind": Field(kind="string", words="Of this kind alone.", most=32),
    "owner": Field(kind="string", words="Of this owner alone.", most=16),
    "texts": Field(kind="string", words="Whether texts are told.", choices=("true", "false")),
}


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """A document with its text to the last byte, which a shape would trim."""
    return {**DOCUMENT.tell(row), "text": row.get("text") or ""}


def _asked(ask: Ask) -> tuple[str, str]:
    return ask.path["kind"], str(stored("name", _NAME["name"], ask.query.get("name", "")))


def listed(ask: Ask) -> Answer:
    """The documents of the newest release, which is told beside them."""
    kind, owner = ask.query.get("kind", ""), ask.query.get("owner", "")
    rows = reading.listed(ask.worker.db, kind, owner, text=ask.query.get("texts") == "true")
    return Answer([_told(row) for row in rows["documents"]], beside={"next": None, "release": rows["release"]})


def one(ask: Ask) -> Answer:
    """A document with its text."""
    return Answer(_told(reading.one(ask.worker.db, *_asked(ask))))


def history(ask: Ask) -> Answer:
    """The revisions of a document, the newest first."""
    rows = reading.revisions(ask.worker.db, *_asked(ask))
    return Answer([REVISION.tell(row) for row in rows], beside={"next": None})


def blame(ask: Ask) -> Answer:
    """The lines of a document, each with the release that wrote it."""
    rows = reading.blame(ask.worker.db, *_asked(ask))
    return Answer([BLAMED.tell(row) for row in rows], beside={"next": None})


_ONE = f"{PREFIX}/documents/:kind"
ROUTES = (
    Operation(
        "GET",
        f"{PREFIX}/documents",
        ADMIN,
        listed,
        words="Documents.",
        gives=DOCUMENT,
        many=True,
        paged=False,
        query=_LIST,
    ),
    Operation("GET", _ONE, ADMIN, one, words="A document.", gives=DOCUMENT, query=_NAME),
    Operation(
        "GET",
        f"{_ONE}/history",
        ADMIN,
        history,
        words="Its revisions.",
        gives=REVISION,
        many=True,
        paged=False,
        query=_NAME,
    ),
    Operation(
        "GET", f"{_ONE}/blame", ADMIN, blame, words="Its lines.", gives=BLAMED, many=True, paged=False, query=_NAME
    ),
)
