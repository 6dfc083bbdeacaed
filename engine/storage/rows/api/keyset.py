"""Any table in pages by key: so many rows after a known one, under conditions. Knows no table by name.

Deep pages cost as much as the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table, and_, func, or_

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.channel_edits import escaped
from engine.storage.rows.crud import Row

OPERATORS = ("eq", "ne", "gt", "ge", "lt", "le", "in", "has", "begins")


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition: column, operator, value (of ``in`` several)."""

    column: str
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class Question:
    """A page: sorted by a column and then by key, after the row that had these two values."""

    filters: tuple[Filter, ...] = ()
    sort: str = ""
    descending: bool = True
    after: tuple[Any, Any] | None = None
    limit: int = 50

    def value(self, column: str, *operators: str) -> Any:
        """What a column is compared with by one of the operators; nothing where it is not."""
        return next(
            (
                condition.value
                for condition in self.filters
                if condition.column == column and condition.operator in operators
            ),
            None,
        )


def page(db: Database, table: Table, question: Question, where: Sequence[Any] = ()) -> tuple[list[Row], Any]:
    """The rows, and where the next page goes on (nothing where there is none)."""
    key: Column[Any] = next(iter(table.primary_key.columns))
    column = _plain(table, question.sort, key)
    conditions = [*where, *_conditions(db, table, question.filters)]
    if question.after is not None:
        conditions.append(_after(column, key, question))
    order = [key] if column is key else [column, key]
    order = [term.desc() if question.descending else term.asc() for term in order]
    rows = crud.listed(db, table, conditions, order, limit=question.limit + 1)
    if len(rows) <= question.limit:
        return rows, None
    last = rows[question.limit - 1]
    return rows[: question.limit], (last[question.sort or key.name] or 0, last[key.name])


def _plain(table: Table, name: str, key: Column[Any]) -> Any:
    """A column to sort by, with 0 for nothing; the key as it is, so that its index counts."""
    return key if name in ("", key.name) else func.coalesce(table.c[name], 0)


def _after(column: Any, key: Column[Any], question: Question) -> Any:
    value, which = question.after or (0, 0)
    if column is key:
        return key < which if question.descending else key > which
    if question.descending:
        return or_(column < value, and_(column == value, key < which))
    return or_(column > value, and_(column == value, key > which))


def _conditions(db: Database, table: Table, filters: Sequence[Filter]) -> list[Any]:
    there = db.columns.get(table.name, frozenset())
    # a column that an older program did not make holds nothing, which fits no filter
    return [
        _condition(table.c[condition.column], condition) if condition.column in there else key_never(table)
        for condition in filters
    ]


def key_never(table: Table) -> Any:
    """A condition that no row fits."""
    return next(iter(table.primary_key.columns)).is_(None)


def _condition(column: Column[Any], condition: Filter) -> Any:
    value = condition.value
    if condition.operator == "in":
        return column.in_(list(value))
    if condition.operator in ("has", "begins"):
        pattern = f"{'%' if condition.operator == 'has' else ''}{escaped(value)}%"
        return column.like(pattern, escape="!")
    return {
        "eq": column == value,
        "ne": or_(column != value, column.is_(None)),
        "gt": column > value,
        "ge": column >= value,
        "lt": column < value,
        "le": column <= value,
    }[condition.operator]
