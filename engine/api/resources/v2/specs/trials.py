"""Trials and canaries: a draft, or what an earlier release held, beside the release in force.

A trial serves calls that ask for it by a header, of keys that may; a canary gives it a share of all calls, and ends by
itself or by hand. What takes a compiler is done by the process that has one.
"""

from __future__ import annotations

from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import told
from engine.api.resources.v2.specs.releases import PUBLISHED, UNPROCESSABLE, done, proven
from engine.api.route import ADMIN, Answer, Ask
from engine.errors import Invalid
from engine.releases import reading
from engine.storage.releases import canaries as stored_canaries
from engine.storage.releases import trials as stored_trials
from engine.texts import refusal

_HOURS = Field(kind="number", words="How long; a day without it.", told=False, least=0, most=24 * 30)
_MESSAGE = Field(kind="string", words="Why.", told=False, most=4000)
_FACTOR = {"least": 1, "most": 100}
TRIAL = Shape(
    "Trial",
    dict(
        (
            told("id", "What the header names: the draft's id, or release-NUMBER.", "string"),
            told("name", "What its author calls it.", "string"),
            told("base", "The release that it stands on."),
            told("user_id", "Whose it is."),
            told("username", "The name that it had.", "string"),
            told("documents", "The documents that it changes.", "array"),
            told("created_at", "When it began, in Unix seconds."),
            told("until", "When it ends, in Unix seconds."),
        )
    ),
)
BEGUN = Shape(
    "BegunTrial",
    {
        "draft": Field(kind="string", words="The draft to try.", told=False, least=1, most=32),
        "number": Field(kind="integer", words="The release to try, in place of a draft.", told=False, least=0),
        "hours": _HOURS,
        **dict(
            (
                told("trial", "What the header names; empty with faults.", "string"),
                told("until", "When it ends, in Unix seconds."),
                told("ok", "Whether it runs.", "boolean"),
                told("tests", "How many tests of documents were run."),
                told("faults", "What is in the way, with places.", "array"),
            )
        ),
    },
)
_RULES = {
    "share": Field(kind="number", words="The part that goes to it: 0.05 of the keys, groups or calls.", told=False),
    "by": Field(kind="string", words="What it is a part of.", told=False, choices=("key", "group", "call")),
    "groups": Field(
        kind="array",
        words="Groups whose calls may go to it; all without any.",
        told=False,
        most=50,
        items=Field(kind="string", words="A group.", least=1, most=191),
    ),
    "least": Field(kind="integer", words="Calls of either release before the first look.", told=False, least=50),
    "confidence": Field(kind="number", words="How rarely it is dropped without a reason: 0.99.", told=False),
    "errors": Field(kind="any", words="Bound: part of calls that may fail more; null compares none.", told=False),
    "latency": Field(kind="any", words="Bound: factor of the time to the first byte.", told=False),
    "losses": Field(kind="any", words="Bound: loss lines that a call may have more.", told=False),
    "cost": Field(kind="any", words="Bound: factor of the charge for a token.", told=False),
    "promote": Field(kind="boolean", words="Whether it is published once it is surely within bounds.", told=False),
    "hours": _HOURS,
}
CANARY = Shape(
    "Canary",
    {
        **dict(
            (
                told("number", "Its number."),
                told("name", "What its author calls it.", "string"),
                told("state", "running, promoted or dropped.", "string"),
                told("reason", "Why it ended.", "string"),
                told("rules", "What was declared.", "object"),
                told("looks", "How often it was looked at."),
                told("verdict", "The last look: state, calls, measures.", "any"),
                told("tally", "Calls and measures as they stand now.", "object"),
                told("begun_at", "When it began, in Unix seconds."),
                told("ended_at", "When it ended; 0 while it runs."),
                told("user_id", "Who began it."),
                told("username", "The name that it had.", "string"),
            )
        ),
        "trial": Field(kind="string", words="The trial that it runs.", needed=True, most=32),
        **_RULES,
    },
)
DROPPED = Shape("DroppedCanary", {"message": _MESSAGE})


def listed(ask: Ask) -> Answer:
    """Trials that run."""
    return Answer(reading.trials(ask.worker.db), beside={"next": None})


def begin(ask: Ask) -> Answer:
    """Put a draft, or what an earlier release held, on trial: compiled and tested first."""
    values = ask.values
    if ("draft" in values) == ("number" in values):
        raise refusal(Invalid, "required", name="draft or number", field="draft")
    answer = done(ask, "begin_trial", **values)
    return Answer(answer, status=201 if answer["ok"] else UNPROCESSABLE)


def end(ask: Ask) -> Answer:
    """End a trial; a canary of it is dropped."""
    done(ask, "end_trial", id=ask.path["id"])
    return Answer()


def canaries(ask: Ask) -> Answer:
    """Canaries, the newest first."""
    return Answer(reading.canaries(ask.worker.db), beside={"next": None})


def canary(ask: Ask) -> Answer:
    """A canary with its comparison."""
    return Answer(reading.canary(ask.worker.db, ask.number("number")))


def begin_canary(ask: Ask) -> Answer:
    """Give a trial a share of calls; refused (403) where a Policy wants that another person approves it first."""
    _proven(ask, ask.values["trial"])
    return Answer(done(ask, "begin_canary", **ask.values))


def promote(ask: Ask) -> Answer:
    """Publish what the canary runs."""
    running = stored_canaries.running(ask.worker.db)
    if running is not None:
        _proven(ask, running.trial)
    answer = {"draft": "", **done(ask, "promote_canary", message=ask.values.get("message", ""))}
    return Answer(answer, status=200 if answer["ok"] else UNPROCESSABLE)


def drop(ask: Ask) -> Answer:
    """Have all calls go by the release in force again."""
    return Answer(done(ask, "drop_canary", message=ask.values.get("message", "")))


def _proven(ask: Ask, trial: str) -> None:
    if ask.session is not None:
        proven(ask, (change.kind for change in stored_trials.one(ask.worker.db, trial).changes))


_TRIALS, _CANARIES = f"{PREFIX}/releases/trials", f"{PREFIX}/releases/canaries"
ROUTES = (
    Operation("GET", _TRIALS, ADMIN, listed, words="Trials.", gives=TRIAL, many=True, paged=False),
    Operation("POST", _TRIALS, ADMIN, begin, words="Begin a trial.", takes=BEGUN, gives=BEGUN, makes=True, status=201),
    Operation("DELETE", f"{_TRIALS}/:id", ADMIN, end, words="End a trial.", status=204),
    Operation("GET", _CANARIES, ADMIN, canaries, words="Canaries.", gives=CANARY, many=True, paged=False),
    Operation(
        "POST",
        _CANARIES,
        ADMIN,
        begin_canary,
        words="Begin a canary.",
        takes=CANARY,
        gives=CANARY,
        makes=True,
        status=201,
    ),
    Operation(
        *("POST", f"{_CANARIES}/promote", ADMIN, promote),
        words="Publish it.",
        takes=DROPPED,
        gives=PUBLISHED,
        makes=True,
        also=(UNPROCESSABLE,),
    ),
    Operation("POST", f"{_CANARIES}/drop", ADMIN, drop, words="Drop it.", takes=DROPPED, gives=CANARY),
    Operation("GET", f"{_CANARIES}/:number", ADMIN, canary, words="A canary.", gives=CANARY),
)
