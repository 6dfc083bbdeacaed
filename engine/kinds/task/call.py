"""A call about a task: what this kind learns of it beside what every call knows. Plain data."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.relay.call import Call

if TYPE_CHECKING:
    from engine.kinds.kept.requests import Work
    from engine.kinds.plain.form import Form
    from engine.kinds.task.record import TaskRecord
    from engine.program import Format
    from engine.routing.attempt import Attempt, Report


@dataclass(slots=True)
class TaskCall(Call):
    """``body`` is what is asked for in the hub's words, which prices go by; ``wire`` is what the caller wrote."""

    wire: dict[str, Any] = field(default_factory=dict)
    form: Form | None = None
    report: Report = field(default_factory=list)
    """What reading the request lost."""
    name: str = field(default_factory=lambda: f"task_{secrets.token_hex(16)}")
    """What the task will be known by."""
    callback: str = ""
    """The address at which the caller is to be told what becomes of the task."""
    origin: TaskRecord | None = None
    """The earlier task that this one goes on from."""
    work: Work | None = None
    """The requests that it is to carry out."""

    @staticmethod
    def speaks(asked: Format, spoken: Format) -> bool:
        """Tasks of one medium go from one format to another."""
        if asked.kind != spoken.kind or asked.task is None or spoken.task is None:
            return False
        return asked.task.medium == spoken.task.medium

    def ctx(self, attempt: Attempt | None = None) -> dict[str, Any]:
        """See ``Call``; with what the route asks for, and the id that the origin has at its vendor."""
        ctx = Call.ctx(self, attempt)
        ctx["action"] = self.endpoint.action or None
        address = self.snapshot.options.get("ServerAddress", "").rstrip("/")
        ctx["callback"] = f"{address}/v1/tasks/{self.name}/callback" if address else None
        ctx["address"] = address
        ctx["origin"] = self.origin.vendor_id if self.origin is not None else None
        return ctx
