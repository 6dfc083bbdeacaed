"""Drafts: changes of several documents, saved with faults and all, before anybody else sees them.

A draft stands on the release that it was begun on. Publishing one on which another release came since is refused (409);
``rebase`` brings it onto the newest and says which of its documents others changed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.accounts.factors import proofs
from engine.api.fields import Field, Shape, stored
from engine.api.operation import PREFIX, Operation, matches
from engine.api.refusals import Told
from engine.api.resources.v2.common import told
from engine.api.resources.v2.specs.releases import PLAN, PUBLISHED, UNPROCESSABLE, done
from engine.api.rights import may, prove
from engine.api.route import ADMIN, ROOT, Answer, Ask
from engine.releases import drafts as rules
from engine.releases import reading
from engine.releases.permission import approval
from engine.releases.permission.kinds import guarded
from engine.storage.releases import documents, drafts, trials
from engine.storage.releases.documents import Author, StoredDocument
from engine.storage.releases.drafts import Draft

_MOST = 200
_OWNER = "console"
_TEXT = Field(kind="string", words="A text.", most=1024 * 1024)
_NAME = {
    "kind": Field(kind="string", words="", least=1, most=32),
    "name": Field(kind="string", words="", least=1, most=200),
}
_WRITTEN = {
    "name": Field(kind="string", words="What its author calls it.", needed=True, most=191),
    "message": Field(kind="string", words="Why; the release takes it over.", most=4000),
    "changes": Field(
        kind="array",
        words="Documents: kind, name, and text; one without a text is taken away.",
        most=_MOST,
        items=Field(kind="object", words="A document."),
    ),
}
DRAFT = Shape(
    "Draft",
    {
        **dict(
            (
                told("id", "Its id.", "string"),
                told("base", "The release that it stands on."),
                told("user_id", "Whose it is."),
                told("username", "The name that it had.", "string"),
                told("changed_at", "When it was saved, in Unix seconds."),
                told(
                    "approved_by",
                    "The names of those who approved it as it stands.",
                    "array",
                    items=Field(kind="string", words="A name."),
                ),
                told("waits", "Whether a Policy wants another person's approval that is not there.", "boolean"),
            )
        ),
        **_WRITTEN,
        "version": Field(kind="integer", words="How often it was saved; to save it, the one that was read.", least=1),
    },
)
APPROVED = Shape("ApprovedDraft", {"version": Field(kind="integer", words="That was read.", needed=True, least=1)})
REBASED = Shape(
    "RebasedDraft",
    {**DRAFT.fields, **dict((told("both", "Its documents that others have changed since as well.", "array"),))},
)
CHECKED = Shape(
    "CheckedDraft",
    dict(
        (
            told("ok", "Whether it may go live.", "boolean"),
            told("tests", "How many tests of documents were run."),
            told("faults", "What is in the way, with places.", "array"),
        )
    ),
)


def _told(ask: Ask, draft: Draft) -> dict[str, Any]:
    policy = ask.worker.snapshot.program.policy
    told_ = reading.draft(ask.worker.db, draft)
    return {**told_, "waits": bool(approval.wanted(policy, draft.changes)) and not told_["approved_by"]}


def _changes(ask: Ask) -> tuple[StoredDocument, ...]:
    changes = []
    for index, one in enumerate(ask.values["changes"]):
        kind, name = (stored(f"changes[{index}].{key}", _NAME[key], one.get(key)) for key in ("kind", "name"))
        text = one.get("text")
        text = None if text is None else stored(f"changes[{index}].text", _TEXT, text)
        changes.append(StoredDocument(kind, name, _OWNER, text))
    return tuple(changes)


def _one(ask: Ask) -> Draft:
    return drafts.one(ask.worker.db, ask.path["id"])


def _read(ask: Ask) -> Draft:
    """The draft, if it is still as the caller read it."""
    draft = _one(ask)
    ask.before = _told(ask, draft)
    if not matches(ask, DRAFT, ask.before):
        raise Told.of("v2.match", 412, "precondition_failed")
    return draft


def listed(ask: Ask) -> Answer:
    """Drafts of everybody, the last saved first."""
    return Answer([_told(ask, one) for one in drafts.listed(ask.worker.db)], beside={"next": None})


def create(ask: Ask) -> Answer:
    """Begin a draft on the newest release."""
    db, author = ask.worker.db, Author(ask.user.id, ask.user.username)
    changes = _changes(ask) if "changes" in ask.values else ()
    return Answer(_told(ask, drafts.create(db, ask.values["name"], documents.head(db), author, changes)))


def one(ask: Ask) -> Answer:
    """A draft."""
    return Answer(_told(ask, _one(ask)))


def save(ask: Ask) -> Answer:
    """Save a draft over the version that was read; refused (409) where it was saved meanwhile."""
    draft, values = _read(ask), ask.values
    draft = replace(
        draft,
        name=values.get("name", draft.name),
        message=values.get("message", draft.message),
        changes=_changes(ask) if "changes" in values else draft.changes,
        version=values.get("version", draft.version),
    )
    return Answer(_told(ask, drafts.save(ask.worker.db, draft, Author(ask.user.id, ask.user.username))))


def remove(ask: Ask) -> Answer:
    """Take a draft away."""
    drafts.drop(ask.worker.db, _read(ask).id)
    return Answer()


def check(ask: Ask) -> Answer:
    """Compile the whole set as the draft would make it, and run its tests."""
    return Answer(done(ask, "check", changes=_sent(_one(ask))))


def plan(ask: Ask) -> Answer:
    """What the draft would change, in text and in meaning."""
    return Answer(done(ask, "plan", changes=_sent(_one(ask)), replays=may(ask, "capture.read")))


def rebase(ask: Ask) -> Answer:
    """Bring a draft onto the newest release; its texts stay as they are."""
    rebased = rules.rebase(ask.worker.db, _one(ask))
    return Answer({**_told(ask, rebased.draft), "both": list(rebased.both)})


def approve(ask: Ask) -> Answer:
    """Approve a draft as it was read; refused (403) to those who wrote at it, (409) where it was saved since."""
    draft = _one(ask)
    approval.unsaved(draft, ask.values["version"])
    approval.approve(ask.worker.db, draft, Author(ask.user.id, ask.user.username), root=ask.user.role >= ROOT)
    return Answer(_told(ask, draft))


def publish(ask: Ask) -> Answer:
    """Make a release of a draft, which is gone then; refused (409) where another release came since its base.

    Refused (403) where a Policy wants that another person approves it first.
    """
    draft = _one(ask)
    if guarded(draft.changes):
        prove(ask, proofs.SECURE)
    message = draft.message or draft.name
    made = {
        "draft": "",
        **done(ask, "publish", changes=_sent(draft), base=draft.base, message=message, source=f"draft {draft.id}"),
    }
    if made["ok"]:
        drafts.drop(ask.worker.db, draft.id, version=draft.version)
        trials.end(ask.worker.db, draft.id)
    return Answer(made, status=200 if made["ok"] else UNPROCESSABLE)


def _sent(draft: Draft) -> list[dict[str, Any]]:
    return [drafts.as_json(one) for one in draft.changes]


_ALL, _ID = f"{PREFIX}/drafts", f"{PREFIX}/drafts/:id"
ROUTES = (
    Operation("GET", _ALL, ADMIN, listed, words="Drafts.", gives=DRAFT, many=True, paged=False),
    Operation("POST", _ALL, ADMIN, create, words="Begin a draft.", takes=DRAFT, gives=DRAFT, makes=True, status=201),
    Operation("GET", _ID, ADMIN, one, words="A draft.", gives=DRAFT),
    Operation("PUT", _ID, ADMIN, save, words="Save a draft.", takes=DRAFT, gives=DRAFT, guarded=True),
    Operation("DELETE", _ID, ADMIN, remove, words="Take a draft away.", status=204, guarded=True),
    Operation("POST", f"{_ID}/check", ADMIN, check, words="Check a draft.", gives=CHECKED, noted=False),
    Operation("POST", f"{_ID}/plan", ADMIN, plan, words="Plan a draft.", gives=PLAN, noted=False),
    Operation("POST", f"{_ID}/rebase", ADMIN, rebase, words="Bring a draft onto the newest.", gives=REBASED),
    Operation(
        "POST", f"{_ID}/approve", ADMIN, approve, words="Approve a draft.", takes=APPROVED, gives=DRAFT, makes=True
    ),
    Operation(
        *("POST", f"{_ID}/publish", ADMIN, publish),
        words="Publish a draft.",
        gives=PUBLISHED,
        makes=True,
        also=(UNPROCESSABLE,),
    ),
)
