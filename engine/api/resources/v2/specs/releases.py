"""Releases: what there was, what runs where, what changes would mean, and publishing them.

What takes a compiler is done by the process that has one (``engine.releases.desk``).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.accounts.factors import proofs
from engine.api.fields import Field, Shape, stored
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import told
from engine.api.rights import may, prove
from engine.api.route import ADMIN, NOBODY, ROOT, Answer, Ask
from engine.api.signed import signed
from engine.errors import Forbidden, NotFound
from engine.releases import history, reading
from engine.releases.desk import Desk
from engine.releases.permission.kinds import ROOT_KINDS
from engine.releases.store import Releases
from engine.storage.releases import documents

_MOST_LISTED = 200
UNPROCESSABLE = 422
RELEASE = Shape(
    "Release",
    dict(
        (
            told("number", "Its number; the newest is in force."),
            told("content", "A hash over all of its documents.", "string"),
            told("parent", "The release before it; 0 for the first."),
            told("created_at", "When it was made, in Unix seconds."),
            told("user_id", "By whom; 0 for the program or its command line."),
            told("username", "The name that it had.", "string"),
            told("source", "What it came from, as a commit.", "string"),
            told("message", "Why.", "string"),
            told("changes", "How many documents it changed."),
            told("documents", "What it changed: title, what, owner, diff; in lists empty.", "array"),
        )
    ),
)
CHANGED = Shape(
    "ChangedDocument",
    dict(
        (
            told("title", "Kind/name.", "string"),
            told("what", "added, changed, moved or removed.", "string"),
            told("owner", "Whose it is.", "string"),
            told("diff", "A unified diff.", "string"),
        )
    ),
)
STATUS = Shape(
    "ReleaseStatus",
    dict(
        (
            told("release", "The newest release; nothing where there is none.", "any"),
            told("machines", "Each machine: name, release, program, ok, silent, faults, git, since, seen.", "array"),
            told("same", "Whether every machine that is heard of runs the newest.", "boolean"),
        )
    ),
)
PLAN = Shape(
    "Plan",
    dict(
        (
            told("base", "The release that it is made on."),
            told("ok", "Whether it may go live.", "boolean"),
            told("empty", "Whether nothing would change.", "boolean"),
            told("documents", "What would change in the text.", "array"),
            told("models", "By group: models gained and lost.", "array"),
            told("prices", "By model: dollars of three example calls before and after.", "array"),
            told("routes", "By group and model: how calls are drawn before and after.", "array"),
            told("effects", "Every document that would say something else.", "array"),
            told("replays", "Kept exchanges under both releases, for who may read them.", "object"),
            told("outputs", "Samples of the documents' own tests that would come out otherwise.", "array"),
            told("faults", "What is in the way, with places.", "array"),
            told("rows", "What rows add: channels, options, revision; twice: what documents say otherwise.", "object"),
        )
    ),
)
PUBLISHED = Shape(
    "Published",
    dict(
        (
            told("release", "The release that was made; 0 with faults."),
            told("canary", "The canary that it ended, as its base is gone; 0 without one."),
            told("draft", "The draft that changes were kept as, where that was asked for.", "string"),
            told("ok", "Whether it was.", "boolean"),
            told("tests", "How many tests of documents were run."),
            told("faults", "What is in the way, with places.", "array"),
        )
    ),
)
WOKEN = Shape("Woken", dict((told("ok", "Whether the remote is looked at.", "boolean"),)))
_WORDS = {
    "message": Field(kind="string", words="Why.", told=False, most=4000),
    "source": Field(kind="string", words="What they come from, as a commit.", told=False, most=191),
}
_SET = {
    "files": Field(kind="object", words="Texts of documents by file name.", needed=True, told=False),
    "owner": Field(kind="string", words="Whose they are; git without it.", told=False, choices=("git", "console")),
    "prune": Field(kind="boolean", words="Whether what the owner has besides goes.", told=False),
    "selector": Field(kind="object", words="Labels of what may go.", told=False),
}
FILES = Shape("Files", _SET)
_KEPT = {"draft": Field(kind="string", words="Keep them as a draft of this name.", told=False, least=1, most=191)}
APPLIED = Shape("AppliedFiles", {**_SET, **_WORDS, **_KEPT})
BACK = Shape(
    "BackTo",
    {
        "number": Field(
            kind="integer", words="The release to go back to.", needed=True, told=False, least=0, most=2**40
        ),
        "message": _WORDS["message"],
    },
)
_LIST = {
    "limit": Field(kind="integer", words="How many.", least=1, most=_MOST_LISTED),
    "offset": Field(kind="integer", words="How many newer ones are left out.", least=0, most=2**40),
}
_OLDER = {"older": Field(kind="integer", words="The release to compare with.", needed=True, least=0, most=2**40)}


@lru_cache(maxsize=8)
def _desk(programs: Path) -> Desk:
    return Desk(programs)


def done(ask: Ask, what: str, **values: Any) -> Any:
    """Have the compiling process do something in the caller's name."""
    person = ask.user
    author = {"id": person.id, "name": person.username}
    return _desk(ask.worker.settings.program_directory).ask(what, **values, author=author, root=person.role >= ROOT)


def proven(ask: Ask, kinds: Iterable[str]) -> None:
    """Ask a session for a second factor where documents of these kinds go live that are root's."""
    if not ROOT_KINDS.isdisjoint(kinds):
        prove(ask, proofs.SECURE)


def _number(ask: Ask, name: str, fields: dict[str, Field], default: int | None) -> int:
    text = ask.query.get(name, "" if default is None else str(default))
    return int(stored(name, fields[name], int(text) if text.isascii() and text.isdigit() and len(text) < 16 else text))


def listed(ask: Ask) -> Answer:
    """Releases, the newest first."""
    limit, offset = _number(ask, "limit", _LIST, 50), _number(ask, "offset", _LIST, 0)
    rows = reading.releases(ask.worker.db, limit=limit, offset=offset)
    return Answer([RELEASE.tell(row) for row in rows], beside={"next": None})


def status(ask: Ask) -> Answer:
    """The newest release, and what each machine runs."""
    return Answer(reading.status(ask.worker.db))


def one(ask: Ask) -> Answer:
    """A release with what it changed."""
    return Answer(RELEASE.tell(reading.release(ask.worker.db, ask.number("number"))))


def diff(ask: Ask) -> Answer:
    """What differs between an older release and this one."""
    rows = reading.diff(ask.worker.db, _number(ask, "older", _OLDER, None), ask.number("number"))
    return Answer([CHANGED.tell(row) for row in rows], beside={"next": None})


def plan(ask: Ask) -> Answer:
    """What the documents of files would change, in text and in meaning. Nothing is changed."""
    return Answer(done(ask, "plan", **_files(ask), replays=may(ask, "capture.read")))


def apply(ask: Ask) -> Answer:
    """Publish the documents of files, checked and tested as one set, all or nothing; or keep them as a draft.

    Refused (403) where a Policy wants that another person approves them first.
    """
    files = _files(ask)
    if ask.session is not None and not files.get("draft"):
        changes = done(ask, "texts", files=files["files"], owner=files["owner"])["changes"]
        proven(ask, [one["kind"] for one in changes] + _pruned(ask, files, changes))
    made = {"draft": "", **done(ask, "apply", **files)}
    return Answer(made, status=200 if made["ok"] else UNPROCESSABLE)


def _pruned(ask: Ask, files: dict[str, Any], changes: list[dict[str, Any]]) -> list[str]:
    """The kinds of documents that go with ``prune``, or would without its labels."""
    if not files.get("prune"):
        return []
    titles = {(one["kind"], one["name"]) for one in changes}
    there = documents.listed(ask.worker.db)[1]
    return [one.kind for one in there if one.owner == files["owner"] and (one.kind, one.name) not in titles]


def rollback(ask: Ask) -> Answer:
    """Make the documents what an earlier release held, as a release of its own."""
    db, number = ask.worker.db, ask.values["number"]
    differing = history.diff(db, documents.head(db), number) if ask.session is not None else []
    proven(ask, (one.title.partition("/")[0] for one in differing))
    return Answer({"draft": "", **done(ask, "rollback", **ask.values), "ok": True, "tests": 0, "faults": []})


def pull(ask: Ask) -> Answer:
    """Have the Git remote looked at now, as the webhook of a Git host asks that is signed with the secret of ours.

    Nothing of its body is believed. A repeated one is one look more, and looks have a pause between them.
    """
    settings = ask.worker.settings
    if not settings.git_url or not settings.git_hook_secret:
        raise NotFound("no webhook is set up here: GATEWRIGHT_GIT and GATEWRIGHT_GIT_HOOK_SECRET")
    assert ask.raw is not None
    if not signed(settings.git_hook_secret, ask.raw.body, ask.raw.header):
        raise Forbidden("no header has a signature of this body by GATEWRIGHT_GIT_HOOK_SECRET (HMAC of SHA-256)")
    Releases(settings.program_directory).wake_git()
    return Answer({"ok": True}, status=202)


def _files(ask: Ask) -> dict[str, Any]:
    """The files that were sent, as the compiling process takes them."""
    texts = Field(kind="string", words="A text.")
    values = {"owner": "git", **ask.values}
    values["files"] = {str(name): stored(f"files.{name}", texts, text) for name, text in ask.values["files"].items()}
    values["selector"] = {name: str(value) for name, value in (ask.values.get("selector") or {}).items()}
    return values


_ALL = f"{PREFIX}/releases"
ROUTES = (
    Operation("GET", _ALL, ADMIN, listed, words="Releases.", gives=RELEASE, many=True, paged=False, query=_LIST),
    Operation("GET", f"{_ALL}/status", ADMIN, status, words="What runs where.", gives=STATUS),
    Operation("GET", f"{_ALL}/:number", ADMIN, one, words="A release.", gives=RELEASE),
    Operation(
        "GET",
        f"{_ALL}/:number/diff",
        ADMIN,
        diff,
        words="A difference.",
        gives=CHANGED,
        many=True,
        paged=False,
        query=_OLDER,
    ),
    Operation(
        "POST", f"{_ALL}/plan", ADMIN, plan, words="Plan changes.", takes=FILES, gives=PLAN, makes=True, noted=False
    ),
    Operation(
        "POST",
        f"{_ALL}/apply",
        ADMIN,
        apply,
        words="Publish changes.",
        takes=APPLIED,
        gives=PUBLISHED,
        makes=True,
        also=(UNPROCESSABLE,),
    ),
    Operation(
        "POST",
        f"{_ALL}/pull",
        NOBODY,
        pull,
        words="A Git host's webhook.",
        gives=WOKEN,
        status=202,
        raw=True,
        noted=False,
    ),
    Operation("POST", f"{_ALL}/rollback", ADMIN, rollback, words="Go back.", takes=BACK, gives=PUBLISHED, makes=True),
)
