"""The log: pages for administrators and for users of their own, and exports as CSV or JSON Lines."""

from __future__ import annotations

from typing import Any

from engine.accounts.key_report import shown_row
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation
from engine.api.questions import beside, question_of
from engine.api.resources.v2.common import ID, told
from engine.api.resources.v2.exports import FORMAT, STREAMED, file_of
from engine.api.route import ADMIN, USER, Answer, Ask
from engine.reports import log_lists
from engine.storage.rows.crud import Row

_TYPES = {"other": 0, "top_up": 1, "call": 2, "management": 3, "system": 4, "error": 5, "refund": 6, "login": 7}
_OWN = {
    "id": ID,
    "type": Field(kind="string", words="What it tells of.", codes=_TYPES, sent=False, filtered=True),
    **dict(
        (
            told("created_at", "When, in Unix seconds.", filtered=True),
            told("token_id", "The key's number.", filtered=True),
            told("token_name", "The key's name.", "string", filtered=True),
            told("model_name", "The model.", "string", filtered=True),
            told("group", "The group that it was priced by.", "string", filtered=True),
            told("quota", "Quota units that were charged.", filtered=True),
            told("prompt_tokens", "Tokens of input."),
            told("completion_tokens", "Tokens of output."),
            told("use_time", "How long it took, in seconds.", filtered=True),
            told("is_stream", "Whether the answer was a stream.", "boolean"),
            told("ip", "From where, where that is kept.", "string", filtered=True),
            told("request_id", "The call's id.", "string", filtered=True),
            told("content", "What happened, in words.", "string"),
            told("other", "More of it.", "object"),
        )
    ),
}
OWN_LOG = Shape("OwnLogEntry", _OWN)
LOG = Shape(
    "LogEntry",
    {
        **_OWN,
        **dict(
            (
                told("user_id", "Who called.", filtered=True),
                told("username", "The name that it had.", "string", filtered=True),
                told("channel_id", "Through which channel.", filtered=True),
                told("upstream_request_id", "The provider's id of it.", "string", filtered=True),
            )
        ),
    },
)
_TAG = {"tag": Field(kind="string", words="Calls that have this tag, of a month.", least=1, most=64)}
_FILE = {**FORMAT, **_TAG}


def _tag(ask: Ask) -> str:
    return str(_TAG["tag"].check("tag", ask.query["tag"])) if "tag" in ask.query else ""


def listed(ask: Ask) -> Answer:
    """Log rows, newest first."""
    question = question_of(ask, LOG, _TAG)
    rows, place = log_lists.page(ask.worker.log_db, question, _tag(ask))
    return Answer([LOG.tell(row) for row in rows], beside=beside(question, place))


def own(ask: Ask) -> Answer:
    """The caller's log rows, without what is the operator's."""
    question = question_of(ask, OWN_LOG, _TAG)
    rows, place = log_lists.page(ask.worker.log_db, question, _tag(ask), user_id=ask.user.id)
    return Answer([_own(row) for row in rows], beside=beside(question, place))


def _own(row: Row) -> dict[str, Any]:
    return OWN_LOG.tell({**row, **shown_row(row, row["id"])})


def export(ask: Ask) -> Answer:
    """All log rows that fit, newest first, as they are read."""
    rows = log_lists.everything(ask.worker.log_db, question_of(ask, LOG, _FILE), _tag(ask))
    return file_of(ask, LOG, (LOG.tell(row) for row in rows), "logs")


ROUTES = (
    Operation(
        "GET", f"{PREFIX}/logs", ADMIN, listed, words="The log.", gives=LOG, many=True, right="log.read", query=_TAG
    ),
    Operation(
        *("GET", f"{PREFIX}/me/logs", USER, own), words="The caller's log.", gives=OWN_LOG, many=True, query=_TAG
    ),
    Operation(
        *("GET", f"{PREFIX}/logs/export", ADMIN, export),
        words="The log as a file.",
        gives=LOG,
        many=True,
        query=_FILE,
        stream=STREAMED,
        heavy=True,
        right="log.read",
    ),
)
