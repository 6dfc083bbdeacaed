"""What a stretch of the log adds up to: row by row with all that a row says, or by the database, of its columns alone.

``tally`` reads rows and knows their ``other``; ``gather`` is for a stretch that is too long for that. Knows no rules
of when.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import and_, case, func, literal, or_, select

from engine.errors import MEANINGS
from engine.storage.database import Database
from engine.storage.rows import calls
from engine.storage.rows.api.call_tags import TagNames
from engine.storage.rows.api.hours import (
    BASE_SUMS,
    CONSUME,
    DIMENSIONS,
    ERROR_PART,
    FIRST,
    HOUR,
    SLOW,
    TOKEN_PART,
    Sums,
    put,
)
from engine.storage.rows.crud import Row
from engine.storage.rows.posting import cost_of
from engine.storage.tables.core import logs

_ERROR = 5
_FAULTS = frozenset(name for name, meaning in MEANINGS.items() if meaning.retry or meaning.status >= 500)
"""Meanings of failures that are no fault of the caller's."""
_COLUMNS = (
    *("id", "created_at", "type", "user_id", "token_id", "group", "model_name", "channel_id", "quota", "request_id"),
    *("prompt_tokens", "completion_tokens", "use_time", "other"),
)
_BUCKET = re.compile(r"(?!.*total)[a-z][a-z0-9_]{0,39}")
_VALUE, _BREATH = 160, 100


def tally(
    log_db: Database,
    dimensions: Iterable[str],
    *where: Any,
    tags: TagNames,
    after: int,
    to: int = 0,
    most: int | None = None,
) -> Sums | None:
    """The sums of the log rows of a stretch of numbers (``after`` is no part of it; ``to`` of nothing is no bound).

    ``tags`` says under which names tags count. Nothing where there are more than ``most`` rows.
    """
    wanted = list(dimensions)
    sums: Sums = {}
    for count, row in enumerate(_rows(log_db, where, after, to, most), 1):
        if most is not None and count > most:
            return None
        if count % _BREATH == 0:
            time.sleep(0)  # PERF: calls of this worker get a turn
        other = _read(row.get("other"))
        numbers = _numbers(row, other)
        hour = row["created_at"] - row["created_at"] % HOUR
        for dimension in wanted:
            for value in _values(dimension, row, other, tags):
                put(sums, (dimension, value[:_VALUE], hour), numbers)
    return sums


def _rows(log_db: Database, where: Sequence[Any], after: int, to: int, most: int | None) -> Iterator[Row]:
    there = log_db.columns.get(logs.name, frozenset())
    chosen = select(*(logs.c[name] for name in _COLUMNS if name in there))
    chosen = chosen.where(logs.c.type.in_((CONSUME, _ERROR)), logs.c.id > after, *where)
    if to:
        chosen = chosen.where(logs.c.id <= to)
    if most is not None:
        chosen = chosen.order_by(logs.c.id).limit(most + 1)
    with log_db.read() as reader:
        rows = [{str(name): value for name, value in row.items()} for row in reader.execute(chosen).mappings()]
    if "other" not in there:
        for start in range(0, len(rows), _BREATH):
            calls.add_extra(log_db, rows[start : start + _BREATH])
    yield from rows


def _read(other: Any) -> Mapping[str, Any]:
    try:
        value = orjson.loads(other) if other else {}
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _values(dimension: str, row: Row, other: Mapping[str, Any], tags: TagNames) -> list[str]:
    """Of which values of a dimension a call is."""
    if dimension == "release":
        return [str(other["release"])] if other.get("release") else []
    if dimension == "tag":
        return tags.counted(int(row.get("user_id") or 0), map(str, _list(other.get("tags"))))
    parts = []
    for name in DIMENSIONS[dimension]:
        if name not in row:
            return []
        value = row[name]
        if name == "channel_id" and not value:  # a channel that is a document has a name and no number
            value = other.get("channel") or 0
        parts.append("" if value is None else str(value))
    return ["|".join(parts)]


def _numbers(row: Row, other: Mapping[str, Any]) -> dict[str, int]:
    """What a call adds to sums, without what is 0."""
    served, quota, seconds = row["type"] == CONSUME, int(row.get("quota") or 0), int(row.get("use_time") or 0)
    numbers = {"calls" if served else "errors": 1, "quota": quota, "seconds": seconds}
    numbers |= {name: int(row.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")}
    numbers |= {f"slow_{threshold}": 1 for threshold in SLOW if seconds >= threshold}
    first = other.get("frt")
    if isinstance(first, int | float) and first >= 0:
        numbers |= {"streamed": 1, **{f"first_{threshold}": 1 for threshold in FIRST if first >= threshold}}
    if not served:
        meaning = str(other.get("error_type"))
        numbers |= {f"{ERROR_PART}{meaning if meaning in MEANINGS else 'unknown'}": 1}
        numbers["failed"] = int(meaning in _FAULTS)
    if other.get("losses"):
        numbers["lossy"] = 1
    cost = cost_of(other)
    if cost is not None:
        numbers |= {"cost": cost, "costed": 1, "costed_quota": quota}
    usage = other.get("usage")
    for name, tokens in usage.items() if isinstance(usage, dict) else ():
        if isinstance(tokens, int) and 0 < tokens < 2**53 and _BUCKET.fullmatch(name):
            numbers[f"{TOKEN_PART}{name}"] = tokens
    return {name: number for name, number in numbers.items() if number}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def models_after(log_db: Database, after: int, pattern: str, most: int) -> list[str] | None:
    """The models of the rows above a number that fit a pattern; nothing where there are more rows than ``most``."""
    newest = select(logs.c.model_name).where(logs.c.id > after).limit(most + 1).subquery()
    with log_db.read() as reader:
        if int(reader.execute(select(func.count()).select_from(newest)).scalar() or 0) > most:
            return None
        chosen = select(newest.c.model_name).where(newest.c.model_name.like(pattern)).distinct()
        return [str(row[0]) for row in reader.execute(chosen)]


_BY_SQL = (*BASE_SUMS, *(f"slow_{seconds}" for seconds in SLOW))


def gather(log_db: Database, dimension: str, *where: Any, after: int = 0) -> Sums:
    """The sums of all log rows above a number, as far as columns tell them."""
    there = log_db.columns.get("logs", frozenset())
    names = [name for name in DIMENSIONS[dimension] if name in there]
    if len(names) < len(DIMENSIONS[dimension]):
        return {}
    hour = (logs.c.created_at - logs.c.created_at % HOUR).label("hour")
    columns = [logs.c[name] for name in names]
    chosen = select(hour, *columns, *_sums(there)).where(logs.c.type.in_((CONSUME, _ERROR)), logs.c.id > after, *where)
    sums: Sums = {}
    with log_db.read() as reader:
        for row in reader.execute(chosen.group_by(hour, *columns)):
            value = "|".join(str("" if part is None else part) for part in row[1 : 1 + len(names)])
            numbers = dict(zip(_BY_SQL, (int(number or 0) for number in row[1 + len(names) :]), strict=True))
            put(sums, (dimension, value[:_VALUE], int(row[0])), numbers)
    return sums


def _sums(there: frozenset[str]) -> list[Any]:
    used = "use_time" in there  # older programs have no such column
    slow = (func.sum(case((logs.c.use_time >= threshold, 1), else_=0)) if used else literal(0) for threshold in SLOW)
    numbers = ("quota", "prompt_tokens", "completion_tokens", "use_time")
    return [
        func.sum(case((logs.c.type == CONSUME, 1), else_=0)),
        func.sum(case((logs.c.type == _ERROR, 1), else_=0)),
        func.sum(case((and_(logs.c.type == _ERROR, _failed()), 1), else_=0)) if "other" in there else literal(0),
        *(func.sum(logs.c[name]) if name in there else literal(0) for name in numbers),
        *slow,
    ]


def _failed() -> Any:
    """That a row's failure was the service's: the row says its meaning (``engine.relay.settle``)."""
    return or_(*(logs.c.other.contains(f'"error_type":"{name}"', autoescape=True) for name in _FAULTS))
