"""Named work of the cluster: when it was done last and what came of it, and who is at it."""

from __future__ import annotations

from engine.api.fields import Shape
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import told
from engine.api.route import ADMIN, Answer, Ask
from engine.storage.rows.work import leases

JOB = Shape(
    "Job",
    dict(
        (
            told("name", "What it is called.", "string"),
            told("at_work", "Whether a process is at it now.", "boolean"),
            told("holder", "The process that is, or was last.", "string"),
            told("last_at", "When it ended last, in Unix seconds; 0: not yet."),
            told("next_at", "When it is due again, in Unix seconds."),
            told("result", "What came of it last, in words.", "string"),
        )
    ),
)


def listed(ask: Ask) -> Answer:
    """All work that was ever begun, by its name."""
    rows, now = leases.listed(ask.worker.db)
    jobs = [{**JOB.tell(row), "at_work": row["until"] > now} for _, row in sorted(rows.items())]
    return Answer(jobs, beside={"next": None})


ROUTES = (
    Operation("GET", f"{PREFIX}/jobs", ADMIN, listed, words="Work of the cluster.", gives=JOB, many=True, paged=False),
)
