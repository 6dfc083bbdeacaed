"""Sums of calls per hour: added to what is there, made days of, and read back.

One dimension at a time (of all at once a stretch has nearly as many sums as calls). What has no column of its own
(errors by meaning, buckets of tokens) is a part with a name, in a table beside. Knows no rules of when.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, Table, cast, delete, func, insert, or_, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.crud import Row
from engine.storage.tables.billing import quota_data
from engine.storage.tables.core import logs
from engine.storage.tables.management import hour_parts, hours
from engine.storage.tables.own import facts

DIMENSIONS: Mapping[str, tuple[str, ...]] = {
    "all": (),
    "user": ("user_id",),
    "key": ("token_id",),
    "group": ("group",),
    "model": ("model_name",),
    "channel": ("channel_id",),
    "user_model": ("user_id", "model_name"),
    "channel_model": ("channel_id", "model_name"),
    "release": ("release",),
    "tag": ("tags",),
}
"""By which columns of the log they are told; the last two stand in its ``other``."""
BASE_SUMS = ("calls", "errors", "failed", "quota", "prompt_tokens", "completion_tokens", "seconds")
SLOW = (1, 3, 10, 30, 100)
FIRST = (300, 1000, 3000, 10_000)
ALL_SUMS = (
    *(*BASE_SUMS, "cost", "costed", "costed_quota", "lossy", "streamed"),
    *(f"slow_{seconds}" for seconds in SLOW),
    *(f"first_{milliseconds}" for milliseconds in FIRST),
)
ERROR_PART, TOKEN_PART = "error:", "tokens:"
HOUR, DAY = 3600, 86_400
CONSUME = 2
_DONE = "hours"
_ROWS = 100
Sums = dict[tuple[str, str, int], dict[str, int]]
LONGEST = 160
"""Of a value, as its column has it."""
_PARTS = 20
"""How many parts a sum has at most, about."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is read of sums: which ``names``, with their ``parts`` or without, ``most`` of them at most.

    ``span``: seconds that are put together (a day, or ``WHOLE`` for all of the stretch); 0: hours as they are kept.
    """

    names: tuple[str, ...] = ALL_SUMS
    parts: bool = True
    span: int = 0
    most: int = 100_000

    def begin(self, hour: Any) -> Any:
        """Where the span of an hour begins; of a column, too."""
        if self.span == WHOLE:
            return hour * 0
        return hour - hour % self.span if self.span else hour


WHOLE = -1
ALL = Asked()


def place(connection: Connection) -> str:
    """How far the log was summed: ``done newest moment first``.

    Everything up to ``done`` is in the sums; ``first`` was the newest when summing began.
    """
    return str(connection.execute(select(facts.c.value).where(facts.c.name == _DONE)).scalar() or "")


def newest(log_db: Database) -> int:
    """The highest number of a log row."""
    with log_db.read() as reader:
        return int(reader.execute(select(func.max(logs.c.id))).scalar() or 0)


def move(db: Database, connection: Connection, before: str, after: str) -> bool:
    """Note how far the log was summed; false where another worker was first."""
    where = [facts.c.name == _DONE, facts.c.value == before]
    return crud.change(db, connection, facts, where, {"value": after}) == 1


def fresh() -> dict[str, int]:
    """Sums of nothing."""
    return dict.fromkeys(ALL_SUMS, 0)


def put(sums: Sums, key: tuple[str, str, int], numbers: Mapping[str, int]) -> None:
    """Add numbers to the sums of a dimension, value and hour."""
    total = sums.get(key)
    if total is None:
        total = sums[key] = fresh()
    for name, number in numbers.items():
        total[name] = total.get(name, 0) + number


def add(connection: Connection, sums: Sums) -> None:
    """Add to the sums that are there; in one order, so that two of these wait and never deadlock."""
    rows, parts = [], []
    for (dimension, value, hour), numbers in sorted(sums.items()):
        key = {"dimension": dimension, "value": value, "hour": hour}
        rows.append({**key, **{name: numbers.get(name, 0) for name in ALL_SUMS}})
        named = sorted((name, number) for name, number in numbers.items() if ":" in name)
        parts += [{**key, "part": name, "amount": number} for name, number in named]
    _upsert(connection, hours, ALL_SUMS, rows)
    _upsert(connection, hour_parts, ("amount",), parts)


def _upsert(connection: Connection, table: Table, names: Iterable[str], rows: list[Row]) -> None:
    if not rows:
        return
    if connection.dialect.name == "mysql":
        insertion = mysql.insert(table)
        more = {name: table.c[name] + insertion.inserted[name] for name in names}
        _in_parts(connection, insertion.on_duplicate_key_update(**more), rows)
        return
    upsert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
    more = {name: table.c[name] + upsert.excluded[name] for name in names}
    keys = list(table.primary_key.columns)
    _in_parts(connection, upsert.on_conflict_do_update(index_elements=keys, set_=more), rows)


def _in_parts(connection: Connection, statement: Any, rows: list[Row]) -> None:
    """PERF: a thousand rows at once hold up a worker for 70 ms; its calls get a turn after each hundred."""
    for start in range(0, len(rows), _ROWS):
        connection.execute(statement, rows[start : start + _ROWS])
        time.sleep(0)


def compact(db: Database, before: int) -> int:
    """Make days of the hours before a moment; how many rows went."""
    before -= before % DAY

    def work(connection: Connection) -> int:
        # one at a time: two that read the same hours would add them twice
        connection.execute(select(facts.c.value).where(facts.c.name == _DONE).with_for_update())
        return sum(
            _days(connection, table, names, before) for table, names in ((hours, ALL_SUMS), (hour_parts, ("amount",)))
        )

    return db.write(work)


def _days(connection: Connection, table: Table, names: Sequence[str], before: int) -> int:
    """Add the hours of a table to their days, and take them away."""
    older = [table.c.hour < before, table.c.hour % DAY != 0]
    keys = [column for column in table.primary_key.columns if column.name != "hour"]
    day = (table.c.hour - table.c.hour % DAY).label("hour")
    sums = [func.sum(table.c[name]).label(name) for name in names]
    chosen = select(*keys, day, *sums).where(*older).group_by(*keys, day).limit(_PART)
    rows = [{str(name): value for name, value in row.items()} for row in connection.execute(chosen).mappings()]
    count = 0
    for row in rows:
        row |= {name: int(row[name]) for name in (*names, "hour")}
        mine = [column == row[column.name] for column in keys]
        same = [*mine, table.c.hour > row["hour"], table.c.hour < row["hour"] + DAY]
        count += connection.execute(delete(table).where(*same)).rowcount
    _upsert(connection, table, names, sorted(rows, key=lambda row: [str(row[c.name]) for c in keys] + [row["hour"]]))
    return count


_PART = 2000


def listed(
    db: Database,
    dimension: str,
    since: int,
    until: int,
    values: Iterable[str] = (),
    begins: str = "",
    asked: Asked = ALL,
) -> Sums | None:
    """The sums of hours that begin in a stretch, of some values or of those that begin with a text.

    Nothing where there are more of them than are asked for at most.
    """
    sums: Sums = {}
    chosen = list(values)
    if begins:
        # PERF: no engine seeks a pattern in its order of texts: a user's models are asked for by their names
        chosen = [f"{begins}{name}"[:LONGEST] for name in names(db, dimension.partition("_")[2])]
        if not chosen:
            return sums
    for table in (hours, hour_parts) if asked.parts else (hours,):
        where: list[Any] = [table.c.dimension == dimension, table.c.hour >= since, table.c.hour <= until]
        if chosen:
            where.append(table.c.value.in_(chosen))
        rows = _read(db, table, where, asked)
        if rows is None:
            return None
        if table is hours:
            told = asked.names
            for value, hour, *numbers in rows:
                sums[dimension, value, hour] = dict(zip(told, numbers, strict=True))
        else:
            for value, hour, part, amount in rows:
                put(sums, (dimension, value, hour), {part: amount})
    return sums


def names(db: Database, dimension: str, pattern: str = "%") -> list[str]:
    """The values of a dimension that fit a pattern: one seek for each, whatever number of hours it has."""
    one = hours.alias()
    first = (
        select(func.min(one.c.value).label("value")).where(one.c.dimension == dimension).cte("known", recursive=True)
    )
    following = select(func.min(hours.c.value)).where(hours.c.dimension == dimension, hours.c.value > first.c.value)
    known = first.union_all(select(following.scalar_subquery()).where(first.c.value.is_not(None)))
    with db.read() as reader:
        return [str(row[0]) for row in reader.execute(select(known.c.value).where(known.c.value.like(pattern)))]


def _read(db: Database, table: Table, where: Sequence[Any], asked: Asked) -> list[Any] | None:
    """PERF: tuples of what is asked alone: rows as maps of all columns cost four times as much."""
    hour = asked.begin(table.c.hour)
    more = [table.c[name] for name in asked.names] if table is hours else [table.c.part, table.c.amount]
    if asked.span:
        numbers = more if table is hours else more[1:]
        keys = [table.c.value, hour, *([table.c.part] if table is hour_parts else [])]
        # a sum of large numbers is a decimal elsewhere
        sums = (cast(func.sum(number), BigInteger) for number in numbers)
        chosen = select(*keys, *sums).group_by(*keys)
    else:
        chosen = select(table.c.value, hour, *more).order_by(hour, table.c.value)
    most = asked.most if table is hours else asked.most * _PARTS
    with db.read() as reader:
        rows = reader.execute(chosen.where(*where).limit(most + 1)).all()
    return None if len(rows) > most else list(rows)


def daily(db: Database, dimension: str, since: int, values: Iterable[str]) -> list[tuple[str, int, int, int]]:
    """Value, day, calls served and calls that the service failed, of some values since the begin of a day."""
    day = (hours.c.hour - hours.c.hour % DAY).label("day")
    where = [hours.c.dimension == dimension, hours.c.hour >= since, hours.c.value.in_(list(values))]
    chosen = select(hours.c.value, day, func.sum(hours.c.calls), func.sum(hours.c.failed)).where(*where)
    with db.read() as reader:
        rows = reader.execute(chosen.group_by(hours.c.value, day)).all()
    return [(str(row[0]), int(row[1]), int(row[2] or 0), int(row[3] or 0)) for row in rows]


def quota_rows(log_db: Database, after: int, to: int) -> list[Row]:
    """What the family's program keeps of a stretch of the log in ``quota_data``."""
    there = log_db.columns.get("logs", frozenset())
    named = {"user_id": "user_id", "username": "username", "model_name": "model_name", "use_group": "group"}
    named |= {"token_id": "token_id", "channel_id": "channel_id"}
    columns = {name: logs.c[column] for name, column in named.items() if column in there}
    hour = logs.c.created_at - logs.c.created_at % HOUR
    tokens = func.sum(logs.c.prompt_tokens + logs.c.completion_tokens)
    chosen = select(hour, func.count(), func.sum(logs.c.quota), tokens, *columns.values())
    chosen = chosen.where(logs.c.id > after, logs.c.id <= to, logs.c.type == CONSUME)
    with log_db.read() as reader:
        rows = reader.execute(chosen.group_by(hour, *columns.values())).all()
    texts = ("username", "model_name", "use_group")
    return [
        {
            "created_at": int(row[0]),
            "count": int(row[1]),
            "quota": int(row[2] or 0),
            "token_used": int(row[3] or 0),
            **{
                name: (str(v or "")[:64] if name in texts else v or 0) for name, v in zip(columns, row[4:], strict=True)
            },
        }
        for row in rows
    ]


def add_quota(db: Database, connection: Connection, rows: Iterable[Row]) -> None:
    """Add to ``quota_data``, which has no unique key: as the family's program does, change or insert."""
    there = db.columns.get(quota_data.name, frozenset())
    for row in rows:
        row = {"node_name": "", **row}
        sums = {name: row.pop(name) for name in ("count", "quota", "token_used")}
        same = [_same(quota_data.c[name], value) for name, value in row.items() if name in there]
        which = connection.execute(select(quota_data.c.id).where(*same).limit(1)).scalar()
        if which is None:
            connection.execute(insert(quota_data).values(crud.present(db, quota_data, {**row, **sums})))
        else:
            more = {name: func.coalesce(quota_data.c[name], 0) + number for name, number in sums.items()}
            connection.execute(update(quota_data).where(quota_data.c.id == which).values(more))


def _same(column: Any, value: Any) -> Any:
    """Whether a column has a value; of the neutral one, that older rows say by nothing too."""
    return column == value if value not in ("", 0) else or_(column == value, column.is_(None))
