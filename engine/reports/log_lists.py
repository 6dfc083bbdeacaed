"""The log in pages by key, and all of it that fits, for exports. Questions that no index answers are of a month."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

from engine.errors import Invalid
from engine.reports.lists import CHUNK, unhurried
from engine.storage.database import Database
from engine.storage.rows import calls
from engine.storage.rows.api import keyset
from engine.storage.rows.api.keyset import Filter, Question
from engine.storage.rows.crud import Row
from engine.storage.tables.core import logs
from engine.texts import refusal

_MONTH, _DAYS = 31 * 86_400, 31


def page(log_db: Database, question: Question, tag: str = "", **fixed: Any) -> tuple[list[Row], Any]:
    """A page of log rows, of those that have a tag if one is said, newest first, and where the next goes on."""
    bounded = _bounded(question, parts=bool(tag))
    where = [logs.c[name] == value for name, value in fixed.items()]
    if tag:
        where.append(calls.tagged(log_db, tag))

    def work() -> tuple[list[Row], Any]:
        rows, place = keyset.page(log_db, logs, bounded, where)
        if "other" not in log_db.columns.get("logs", ()):
            calls.add_extra(log_db, rows)
        return rows, place

    return log_db.aside(work)


def everything(log_db: Database, question: Question, tag: str = "", **fixed: Any) -> Iterator[Row]:
    """All rows that fit, in pieces, so that nobody waits for it and nothing of it is held."""
    bounded = dataclasses.replace(_bounded(question, parts=bool(tag)), limit=CHUNK)
    return unhurried(lambda part: page(log_db, part, tag, **fixed), bounded)


def _bounded(question: Question, *, parts: bool) -> Question:
    """A question for parts of texts looks at a month: the newest, or the one that is asked for."""
    if not parts and not any(condition.operator in ("has", "begins", "ne") for condition in question.filters):
        return question
    since, until = question.value("created_at", "ge", "gt"), question.value("created_at", "le", "lt")
    if since is None:
        newest = Filter("created_at", "ge", (until or int(time.time())) - _MONTH)
        return dataclasses.replace(question, filters=(*question.filters, newest))
    if (until or int(time.time())) - since > _MONTH:
        raise refusal(Invalid, "search.range", days=_DAYS, field="created_at")
    return question
