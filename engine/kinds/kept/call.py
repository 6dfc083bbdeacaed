"""A call about something that a provider keeps: what this kind learns of it beside what every call knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.relay.call import Call

if TYPE_CHECKING:
    from engine.kinds.kept.requests import Work
    from engine.kinds.plain.form import Form
    from engine.transport.spool import Body


@dataclass(slots=True)
class KeptCall(Call):
    """``body`` is the JSON object that was sent, or the fields of a form; ``sent`` is all of it as it came."""

    sent: Body = b""
    form: Form | None = None
    work: Work | None = None
    """The requests that a file holds."""
