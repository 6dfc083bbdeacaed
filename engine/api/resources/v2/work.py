"""What goes on for a while: the story of a task, and live sessions."""

from __future__ import annotations

from typing import Any

from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import told
from engine.api.route import ADMIN, USER, Answer, Ask
from engine.errors import NotFound
from engine.reports import work

KINDS = ("task", "mj")
"""Tasks of all kinds, and drawings."""
_INSIDE = ("channel_id", "vendor_id", "vendor_format", "vendor_model")
"""What the owner of a task is not told."""
_STATE = Field(
    kind="object", words="`at` in Unix seconds, `state`, and `questions`: how often its vendor was asked before."
)
_ENTRY = Field(kind="object", words="`request_id`, `at`, and `quota`, below 0 where money went back.")
STORY = Shape(
    "TaskStory",
    dict(
        (
            told("id", "What its callers know it by.", "string"),
            told("state", "Its state.", "string"),
            told("progress", "How far it is, in percent.", "string"),
            told("submitted_at", "When it was submitted, in Unix seconds."),
            told("started_at", "When its vendor began with it; 0: not yet."),
            told("finished_at", "When it ended; 0: not yet."),
            told("action", "What was asked for.", "string"),
            told("model", "The model that was asked for.", "string"),
            told("vendor_model", "That model at the vendor; nothing for its owner.", "string"),
            told("vendor_id", "What its vendor knows it by; nothing for its owner.", "string"),
            told("format", "The format that its caller speaks.", "string"),
            told("vendor_format", "The format that its vendor speaks; nothing for its owner.", "string"),
            told("channel_id", "The channel that it went to; 0: a document's, or not told to its owner."),
            told("user_id", "Whose it is."),
            told("username", "Whose it is.", "string"),
            told("key", "The name of the key that asked for it.", "string"),
            told("reason", "Why it failed.", "string"),
            told("charged", "What it has cost in all, in quota units."),
            told("states", "Its states, oldest first.", "array", items=_STATE),
            told("entries", "Its entries in the ledger.", "array", items=_ENTRY),
        )
    ),
)
SESSION = Shape(
    "LiveSession",
    dict(
        (
            told("id", "The request id of its log row to come.", "string"),
            told("begun_at", "When it began, in Unix seconds."),
            told("seconds", "How long it has been open."),
            told("model", "The model that was asked for.", "string"),
            told("format", "The format that its caller speaks.", "string"),
            told("channel", "The channel; nothing for its owner.", "string"),
            told("user_id", "Whose it is."),
            told("username", "Whose it is.", "string"),
            told("key", "The name of its key.", "string"),
            told("input", "Tokens that came so far, as far as they have been told."),
            told("output", "Tokens that went so far."),
            told("held", "What is held for that, in quota units; known to some seconds."),
        )
    ),
)


def _story(ask: Ask, user: int) -> dict[str, Any]:
    if ask.path["kind"] not in KINDS:
        raise NotFound(f"there is no kind of task {ask.path['kind'][:64]}: task or mj")
    return work.story(ask.worker.db, ask.path["id"], drawing=ask.path["kind"] == "mj", user=user)


def story(ask: Ask) -> Answer:
    """Anybody's."""
    return Answer(STORY.tell(_story(ask, 0)))


def own_story(ask: Ask) -> Answer:
    """The caller's."""
    return Answer(STORY.tell({**_story(ask, ask.user.id), "channel_id": 0, **dict.fromkeys(_INSIDE[1:], "")}))


def sessions(ask: Ask) -> Answer:
    """Everybody's."""
    return Answer([SESSION.tell(each) for each in work.sessions(ask.worker.settings.data)], beside={"next": None})


def own_sessions(ask: Ask) -> Answer:
    """The caller's."""
    mine = work.sessions(ask.worker.settings.data, ask.user.id)
    return Answer([SESSION.tell({**each, "channel": ""}) for each in mine], beside={"next": None})


ROUTES = (
    Operation(
        *("GET", f"{PREFIX}/tasks/:kind/:id", ADMIN, story),
        words="The story of a task (`kind` is task) or a drawing (mj).",
        gives=STORY,
        right="task.read",
    ),
    Operation(
        "GET", f"{PREFIX}/me/tasks/:kind/:id", USER, own_story, words="The story of one of your own.", gives=STORY
    ),
    Operation(
        *("GET", f"{PREFIX}/sessions/live", ADMIN, sessions),
        words="Live sessions of the server that answers.",
        gives=SESSION,
        many=True,
        paged=False,
        right="log.read",
    ),
    Operation(
        *("GET", f"{PREFIX}/me/sessions/live", USER, own_sessions),
        words="Your own live sessions at the server that answers.",
        gives=SESSION,
        many=True,
        paged=False,
    ),
)
