"""What the compiling process does for workers that ask at its desk: check, plan, publish, roll back; trials, canaries.

Questions and answers are plain data: changes as ``engine.storage.releases.drafts`` keeps them, faults as the compiler
tells them. Imported by that process alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.errors import Conflict, Invalid, NotFound
from engine.releases import changes as texts
from engine.releases import checking, looking, planning, publishing, reading
from engine.releases.canary import WORSE, Rules, look
from engine.releases.captured import replay, telling
from engine.releases.checking import Check, Ground
from engine.releases.desk import Doings
from engine.releases.permission import approval, kinds
from engine.storage.database import Database
from engine.storage.releases import canaries, captures, documents, drafts, trials
from engine.storage.releases.canaries import Canary
from engine.storage.releases.documents import Author, StoredDocument
from engine.storage.releases.drafts import as_json, of_json
from engine.storage.releases.trials import BACK, Trial

_HOUR, _USUAL_HOURS = 3600, 24.0
_NO_RULES = ("trial", "author", "root")


class Services:
    """Each method takes a question and gives its answer. ``db`` gives the open database or raises."""

    def __init__(self, db: Callable[[], Database], directories: Sequence[Path]) -> None:
        self._db = db
        self._directories = directories

    def _ground(self) -> Ground:
        return publishing.ground(self._db(), self._directories)

    def commit(self, _question: dict[str, Any]) -> str:
        """The commit that Git's documents are of; empty while there is none."""
        return documents.last_source(self._db(), texts.GIT)

    def signers(self, _question: dict[str, Any]) -> list[str]:
        """Who may sign the commits that are followed; nothing where the Policy in force wants no signatures."""
        return [str(line) for line in checking.policy_of(self._ground()).get("signers") or ()]

    def texts(self, question: dict[str, Any]) -> dict[str, Any]:
        """``files`` ({place: text}) of an owner, as changes of single documents."""
        changes, faults = _handed_in(question)
        return {"changes": [as_json(one) for one in changes], "faults": [fault.as_json() for fault in faults]}

    def shelf(self, question: dict[str, Any]) -> list[dict[str, Any]]:
        """All documents, those of directories too."""
        return looking.shelf(self._ground())

    def text(self, question: dict[str, Any]) -> dict[str, Any]:
        """The document ``title`` with its text."""
        return looking.text_of(self._ground(), str(question.get("title", "")))

    def rendered(self, question: dict[str, Any]) -> dict[str, Any]:
        """The document ``title`` after ``extends``, with the origin of each value."""
        changes, _ = _handed_in(question)
        return looking.rendered(self._ground(), changes, str(question.get("title", "")))

    def live(self, question: dict[str, Any]) -> dict[str, Any]:
        """What the set with changes says, and what it makes of a message."""
        changes, _ = _handed_in(question)
        return looking.live(self._ground(), changes, question)

    def check(self, question: dict[str, Any]) -> dict[str, Any]:
        """Whether changes may go live."""
        changes, faults = _handed_in(question)
        checked = checking.check(self._ground(), changes, moved=_moved(question))
        checked.faults = [*faults, *checked.faults]
        return _told(checked)

    def plan(self, question: dict[str, Any]) -> dict[str, Any]:
        """What changes would mean; with ``replays`` also for kept exchanges, which not everybody may see."""
        changes, faults = _handed_in(question)
        ground = self._ground()
        wanted = _wanted(question, ground, changes)
        exchanges = captures.newest(self._db(), replay.MOST) if question.get("replays") else ()
        made = planning.plan(ground, wanted, planning.rows_of(self._db()), moved=_moved(question), exchanges=exchanges)
        made.faults = [*faults, *made.faults]
        return {**made.as_json(), "rows": planning.beside(self._db(), made.program)}

    def publish(self, question: dict[str, Any]) -> dict[str, Any]:
        """Changes on release ``base`` (the newest, where none is named) become a release."""
        changes, faults = _handed_in(question)
        kinds.may_change(changes, root=bool(question.get("root")))
        ground = self._ground()
        if texts.bad(faults):
            return {"release": 0, "canary": 0, **_told(Check(list(ground.documents), faults))}
        if question.get("base") is not None:
            ground = replace(ground, number=int(question["base"]))
        self._approved(ground, changes, _author(question))
        before = canaries.running(self._db())
        number, checked = publishing.publish(
            self._db(),
            ground,
            changes,
            _author(question),
            message=str(question.get("message", "")),
            source=str(question.get("source", "")),
            moved=_moved(question),
            canary=question.get("canary"),
        )
        return {"release": number, "canary": self._dropped(before), **_told(checked)}

    def _approved(self, ground: Ground, changes: Sequence[StoredDocument], author: Author) -> None:
        """Refuse what another person has to approve first."""
        documents.unmoved(self._db(), ground.number)
        approval.need(self._db(), checking.policy_of(ground), changes, ground.documents, author)

    def _dropped(self, before: Canary | None) -> int:
        """The canary that ran and was dropped since; 0 without one."""
        now = canaries.one(self._db(), before.number) if before is not None else None
        return now.number if now is not None and now.state == canaries.DROPPED else 0

    def apply(self, question: dict[str, Any]) -> dict[str, Any]:
        """Files of an owner become what it has: what is the same stays, and ``prune`` takes the rest of it away.

        With ``draft``, a name, they are only kept as a draft, for somebody else to look at.
        """
        changes, faults = _handed_in(question)
        ground = self._ground()
        wanted = _wanted(question, ground, changes)
        if texts.bad(faults):
            return {"release": 0, "canary": 0, **_told(Check(list(ground.documents), faults))}
        if wanted and question.get("draft"):
            return self._kept(question, ground, wanted)
        if not wanted:
            return {"release": ground.number, "canary": 0, **_told(Check(list(ground.documents)))}
        return self.publish({**question, "changes": [as_json(one) for one in wanted], "base": ground.number})

    def _kept(self, question: dict[str, Any], ground: Ground, wanted: Sequence[StoredDocument]) -> dict[str, Any]:
        checked = checking.check(ground, wanted, moved=_moved(question))
        if not checked.ok:
            return {"release": 0, "canary": 0, "draft": "", **_told(checked)}
        draft = drafts.create(self._db(), str(question["draft"]), ground.number, _author(question), wanted)
        return {"release": ground.number, "canary": 0, "draft": draft.id, **_told(checked)}

    def drafts(self, question: dict[str, Any]) -> list[dict[str, Any]]:
        """Change sets that are not published."""
        return [reading.draft(self._db(), one) for one in drafts.listed(self._db())]

    def draft(self, question: dict[str, Any]) -> dict[str, Any]:
        """Draft ``id``."""
        return reading.draft(self._db(), drafts.one(self._db(), str(question["id"])))

    def approve_draft(self, question: dict[str, Any]) -> dict[str, Any]:
        """Approve draft ``id`` as it was read, in ``version``."""
        db, draft = self._db(), drafts.one(self._db(), str(question["id"]))
        approval.unsaved(draft, int(question["version"]))
        approval.approve(db, draft, _author(question), root=bool(question.get("root")))
        return reading.draft(db, draft)

    def publish_draft(self, question: dict[str, Any]) -> dict[str, Any]:
        """Make a release of draft ``id``, which is gone then."""
        db, draft = self._db(), drafts.one(self._db(), str(question["id"]))
        changes = [as_json(one) for one in draft.changes]
        words = {"message": draft.message or draft.name, "source": f"draft {draft.id}"}
        made = self.publish({**question, "changes": changes, "base": draft.base, **words})
        if made["ok"]:
            drafts.drop(db, draft.id, version=draft.version)
            trials.end(db, draft.id)
        return made

    def rollback(self, question: dict[str, Any]) -> dict[str, Any]:
        """Back to release ``number``."""
        changes = publishing.back_to(self._db(), int(question["number"]))
        kinds.may_change(changes, root=bool(question.get("root")))
        before = canaries.running(self._db())
        number = publishing.rollback(
            self._db(),
            self._directories,
            int(question["number"]),
            _author(question),
            str(question.get("message", "")),
        )
        return {"release": number, "canary": self._dropped(before)}

    def begin_trial(self, question: dict[str, Any]) -> dict[str, Any]:
        """Put ``draft``, or what release ``number`` held, on trial for ``hours``."""
        db, ground = self._db(), self._ground()
        hours = float(question.get("hours") or _USUAL_HOURS)
        trial = _of_release(db, ground, question) if "number" in question else _of_draft(db, question)
        documents.unmoved(db, trial.base)
        kinds.may_change(trial.changes, root=bool(question.get("root")))
        if not trial.changes:
            raise Conflict("there is nothing to try: no document differs from the release in force")
        checked = checking.check(ground, trial.changes, moved=trial.moved)
        trial = replace(trial, author=_author(question), until=int(time.time() + hours * _HOUR))
        if checked.ok:
            trials.begin(db, trial)
        return {"trial": trial.id if checked.ok else "", "until": trial.until, **_told(checked)}

    def end_trial(self, question: dict[str, Any]) -> dict[str, Any]:
        """Nobody runs trial ``id`` any more; a canary of it is dropped."""
        db, trial = self._db(), trials.one(self._db(), str(question["id"]))
        if (canary := canaries.running(db)) is not None and canary.trial == trial.id:
            self.drop_canary({**question, "message": "its trial was ended"})
        trials.end(db, trial.id)
        return {"trial": trial.id}

    def begin_canary(self, question: dict[str, Any]) -> dict[str, Any]:
        """Give ``trial`` a share of calls; what else the question holds are rules."""
        db, trial = self._db(), trials.one(self._db(), str(question["trial"]))
        kinds.may_change(trial.changes, root=bool(question.get("root")))
        self._approved(replace(self._ground(), number=trial.base), trial.changes, _author(question))
        rules = Rules.of({name: value for name, value in question.items() if name not in _NO_RULES})
        documents.unmoved(db, trial.base)
        until = int(time.time()) + rules.seconds()
        number = canaries.begin(db, trial.id, trial.name, rules.as_json(), until, _author(question))
        return reading.canary(db, number)

    def weigh_canary(self, _question: dict[str, Any]) -> dict[str, Any]:
        """Look at the canary: how many looks there were with this one, its ``verdict``, and what is ``broken``."""
        canary = _running(self._db())
        rules = Rules.of(canary.rules)
        verdict = look(rules, canary.looks, canaries.counts(self._db(), canary.number, rules.by))
        if verdict is None:
            raise Conflict(f"canary {canary.number} has been looked at meanwhile")
        broken = verdict.words if verdict.state == WORSE else ""
        return {"looks": verdict.looks, "verdict": verdict.as_json(), "broken": broken}

    def promote_canary(self, question: dict[str, Any]) -> dict[str, Any]:
        """Make a release of what the canary runs, which ends with that."""
        db = self._db()
        canary = _running(db)
        trial = trials.one(db, canary.trial)
        words = str(question.get("message") or trial.message or trial.name)
        answer = self.publish(
            {
                **question,
                "changes": [as_json(one) for one in trial.changes],
                "base": trial.base,
                "moved": sorted(trial.moved),
                "message": words,
                "source": f"canary {canary.number}",
                "canary": canary.number,
            }
        )
        if answer["ok"]:
            trials.end(db, trial.id)
            drafts.drop(db, trial.id, version=trial.version)
        return answer

    def watch_key(self, question: dict[str, Any]) -> dict[str, Any]:
        """Keep the exchanges of key ``token_id`` for a time."""
        rules = {name: question[name] for name in ("hours", "share", "redacted", "days") if name in question}
        return telling.watch(self._db(), int(question["token_id"]), _author(question), **rules)

    def unwatch_key(self, question: dict[str, Any]) -> dict[str, Any]:
        """Keep the exchanges of key ``token_id`` no more."""
        captures.unwatch(self._db(), int(question["token_id"]))
        return {"token_id": question["token_id"]}

    def drop_capture(self, question: dict[str, Any]) -> dict[str, Any]:
        """Delete exchange ``id``."""
        return {"dropped": captures.drop(self._db(), str(question["id"]))}

    def drop_canary(self, question: dict[str, Any]) -> dict[str, Any]:
        """End the canary: all calls go by the release in force again."""
        db, canary = self._db(), _running(self._db())
        words = f"by {_author(question).name}" + (f": {question['message']}" if question.get("message") else "")
        db.write(lambda connection: canaries.end(db, connection, canary.number, canaries.DROPPED, words))
        return reading.canary(db, canary.number)


def _of_draft(db: Database, question: dict[str, Any]) -> Trial:
    draft = drafts.one(db, str(question.get("draft", "")))
    return Trial(draft.id, draft.name, draft.base, draft.author, draft.changes, 0, draft.version, draft.message)


def _of_release(db: Database, ground: Ground, question: dict[str, Any]) -> Trial:
    number = int(question["number"])
    changes = publishing.back_to(db, number)
    return Trial(f"{BACK}{number}", f"what release {number} held", ground.number, _author(question), changes, 0)


def _running(db: Database) -> Canary:
    canary = canaries.running(db)
    if canary is None:
        raise NotFound("no canary runs")
    return canary


def _handed_in(question: dict[str, Any]) -> tuple[list[StoredDocument], list[Any]]:
    """Changes of a question: as ``changes``, or as ``files`` of an owner."""
    if "changes" in question:
        return [of_json(one) for one in question["changes"]], []
    owner = str(question.get("owner", texts.CONSOLE))
    if owner not in texts.STORED:
        raise Invalid("owner", f"{owner!r} owns nothing in the database", f"one of {', '.join(texts.STORED)}")
    return texts.of_files(question.get("files", {}), owner)


def _wanted(question: dict[str, Any], ground: Ground, changes: list[StoredDocument]) -> list[StoredDocument]:
    """What differs of the files that were handed in; ``prune`` adds what is to go, within ``selector`` (labels)."""
    if "changes" in question:
        return changes
    owner, selector = str(question.get("owner", texts.CONSOLE)), question.get("selector") or {}
    return publishing.apply_changes(
        ground.documents, changes, owner, prune=bool(question.get("prune")), selector=selector
    )


def _moved(question: dict[str, Any]) -> frozenset[str]:
    return frozenset(question.get("moved", ()))


def _author(question: dict[str, Any]) -> Author:
    author = question.get("author") or {}
    return Author(int(author.get("id", 0)), str(author.get("name", "gatewright")))


def _told(checked: Check) -> dict[str, Any]:
    return {"ok": checked.ok, "tests": checked.tests, "faults": [fault.as_json() for fault in checked.faults]}


def doings(services: Services) -> Doings:
    """The table of the desk."""
    names = (
        *(
            "commit",
            "signers",
            "texts",
            "check",
            "plan",
            "publish",
            "apply",
            "rollback",
            "shelf",
            "text",
            "rendered",
            "live",
        ),
        *("begin_trial", "end_trial", "begin_canary", "weigh_canary", "promote_canary", "drop_canary"),
    )
    return {name: getattr(services, name) for name in names}
