"""What the resources of ``/api/v2`` share: members that many things have, and a page of anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.api.fields import Field, Shape
from engine.api.questions import beside, question_of
from engine.api.route import Answer, Ask
from engine.reports import lists
from engine.storage.rows.crud import Row
from engine.storage.values import AUTO_DISABLED, DISABLED, ENABLED, EXHAUSTED, EXPIRED

ID = Field(kind="integer", words="Its number.", sent=False, filtered=True, sorted=True)
MADE = Field(kind="integer", words="When it was made, in Unix seconds.", sent=False, filtered=True, sorted=True)
STATES = {"enabled": ENABLED, "disabled": DISABLED}
KEY_STATES = {**STATES, "expired": EXPIRED, "exhausted": EXHAUSTED}
CHANNEL_STATES = {**STATES, "auto_disabled": AUTO_DISABLED}


def told(name: str, words: str, kind: str = "integer", **more: Any) -> tuple[str, Field]:
    """A member that is answered only."""
    return name, Field(kind=kind, words=words, sent=False, **more)


def page(
    ask: Ask, table: str, shape: Shape, tell: Callable[[Row], Mapping[str, Any]] | None = None, **fixed: Any
) -> Answer:
    """A page of a table's rows, as a shape tells them; ``fixed`` are columns' values."""
    question = question_of(ask, shape)
    rows, place = lists.page(ask.worker.db, table, question, **fixed)
    return Answer([(tell or shape.tell)(row) for row in rows], beside=beside(question, place))
