"""Who changed what, for root; and whether the trail is as it was written."""

from __future__ import annotations

from engine.api.fields import Shape
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import ID, MADE, page, told
from engine.api.route import ROOT, Answer, Ask
from engine.storage.rows import trail

ENTRY = Shape(
    "AuditEntry",
    {
        "id": ID,
        **dict(
            (
                told("user_id", "Who did it.", filtered=True),
                told("username", "The name that it had.", "string", filtered=True),
                told("ip", "From where.", "string", filtered=True),
                told("action", "Method and route.", "string", filtered=True),
                told("details", "What was sent, what was there before and after; secrets are ***.", "object"),
                told("previous", "The hash of the entry before it.", "string"),
                told("hash", "The hash over the entry.", "string"),
            )
        ),
        "created_at": MADE,
    },
)
TRAIL = Shape(
    "AuditVerdict",
    dict(
        (
            told("whole", "Whether every entry is as it was written.", "boolean"),
            told("broken_at", "The first entry that is not; 0 for none."),
            told("entries", "How many were looked at."),
        )
    ),
)


def listed(ask: Ask) -> Answer:
    """The trail, newest first."""
    return page(ask, "gatewright_audit", ENTRY)


def verify(ask: Ask) -> Answer:
    """Look at every entry of the trail."""
    verdict = ask.worker.db.aside(lambda: trail.verified(ask.worker.db))
    return Answer({"whole": not verdict.broken_at, "broken_at": verdict.broken_at, "entries": verdict.entries})


ROUTES = (
    Operation("GET", f"{PREFIX}/audit", ROOT, listed, words="The trail of changes.", gives=ENTRY, many=True),
    Operation("GET", f"{PREFIX}/audit/verify", ROOT, verify, words="Prove the trail.", gives=TRAIL, heavy=True),
)
