"""Lists of whatever the console keeps, in pages by key: who may see a list is decided where it is asked for."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.api import keyset
from engine.storage.rows.api.keyset import Question
from engine.storage.rows.crud import Row
from engine.storage.tables.billing import redemptions
from engine.storage.tables.core import channels, tokens, users
from engine.storage.tables.invoices import invoices
from engine.storage.tables.ledger import ledger
from engine.storage.tables.outbox import outbox, webhooks
from engine.storage.tables.own import access_tokens, audit, budgets, grants
from engine.storage.tables.releases import captures, row_revisions
from engine.storage.tables.teams import labels

_TABLES = {
    table.name: table
    for table in (
        *(users, tokens, channels, redemptions, ledger, audit, budgets, grants),
        *(access_tokens, outbox, webhooks, captures, row_revisions, labels, invoices),
    )
}

CHUNK = 1000
"""Rows of one page of all."""
_LONGEST_REST = 0.5


def page(db: Database, name: str, question: Question, **fixed: Any) -> tuple[list[Row], Any]:
    """A page of a table's rows that are not deleted, and where the next goes on. ``fixed`` are columns' values."""
    table = _TABLES[name]
    where = [*crud.alive(db, table), *(table.c[column] == value for column, value in fixed.items())]
    return keyset.page(db, table, question, where)


def everything(db: Database, name: str, question: Question, **fixed: Any) -> Iterator[Row]:
    """All rows of a table that fit, in pieces."""
    return unhurried(lambda part: page(db, name, part, **fixed), dataclasses.replace(question, limit=CHUNK))


def unhurried(page_of: Callable[[Question], tuple[list[Row], Any]], question: Question) -> Iterator[Row]:
    """The rows of all pages of a question.

    PERF: after each page as long a rest as it took: of a processor that it shares with calls it has no more than half.
    """
    part = question
    while True:
        began = time.monotonic()
        rows, place = page_of(part)
        took, worked = time.monotonic() - began, time.thread_time()
        yield from rows
        if place is None:
            return
        time.sleep(min(took + time.thread_time() - worked, _LONGEST_REST))
        part = dataclasses.replace(part, after=place)
