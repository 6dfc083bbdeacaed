"""Rows of any of the three engines as lines of JSON, and lines as rows of any of them.

``dump(connection, name)`` gives a table's lines, ``fitting(column, engine)`` what makes a value fit an engine. What
JSON has no word for stands in an object of one member: bytes, exact numbers, moments, documents. Columns that this
version does not know are carried with the plainest type of their kind.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable, Collection, Iterator
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    LargeBinary,
    Text,
    column,
    inspect,
    or_,
    select,
    table,
)
from sqlalchemy.types import TypeEngine

from engine.storage.tables import METADATA
from engine.storage.tables.columns import Flag, Json, Moment

_AT_ONCE = 1000
_EXTRA: dict[str, TypeEngine[Any]] = {
    "whole": BigInteger(), "real": Double(), "text": Text(), "flag": Boolean(create_constraint=False),
    "json": Json(), "moment": Moment(), "bytes": LargeBinary(),
}  # fmt: skip
_KINDS: dict[type, str] = {
    bool: "flag", int: "whole", float: "real", Decimal: "real", dict: "json", list: "json",
    datetime.datetime: "moment", bytes: "bytes",
}  # fmt: skip


def columns_of(connection: Connection, name: str) -> dict[str, str]:
    """A table's columns, each with its kind where this version has no such column; empty: it has."""
    known = METADATA.tables[name].columns
    return {
        str(info["name"]): "" if info["name"] in known else _kind(info["type"])
        for info in inspect(connection).get_columns(name)
    }


def _kind(kind: TypeEngine[Any]) -> str:
    try:
        return _KINDS.get(kind.python_type, "text")
    except NotImplementedError:
        return "text"


def dump(
    connection: Connection, name: str, columns: list[str], without: Collection[str] = ()
) -> Iterator[tuple[int, bytes]]:
    """A table's rows, in pieces: how many, and a line for each, an array of its values in the order of the columns.

    ``without`` are request ids whose rows are left out.
    """
    chosen = select(table(name, *map(column, columns))).execution_options(yield_per=_AT_ONCE)
    if without:
        chosen = chosen.where(or_(column("request_id").is_(None), column("request_id").not_in(without)))
    with connection.execute(chosen) as rows:
        for part in rows.partitions():
            yield len(part), b"".join(orjson.dumps([_worded(value) for value in row]) + b"\n" for row in part)


def _worded(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict | list):
        return {"j": value}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"b": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, Decimal):
        return {"n": str(value)}
    if isinstance(value, datetime.datetime):
        return {"t": value.isoformat()}
    raise TypeError(f"a value of the kind {type(value).__name__} can't be kept")


def read(line: bytes) -> list[Any]:
    """The values of a line."""
    return [_value(word) for word in orjson.loads(line)]


def _value(word: Any) -> Any:
    if not isinstance(word, dict):
        return word
    ((kind, value),) = word.items()
    if kind == "b":
        return base64.b64decode(value)
    if kind == "n":
        return Decimal(value)
    return datetime.datetime.fromisoformat(value) if kind == "t" else value


def unknown(name: str, kind: str) -> Column[Any]:
    """A column that this version does not know."""
    return Column(name, _EXTRA[kind], nullable=True)


def fitting(of: Column[Any], dialect: str) -> Callable[[Any], Any]:
    """What an engine takes for a value of a column, whichever engine it came from."""
    if isinstance(of.type, Json):
        return _json_bytes if dialect == "sqlite" else _json_text
    if isinstance(of.type, Flag | Boolean):
        return _flag if dialect == "postgresql" else _number
    if isinstance(of.type, Moment):
        return _moment_text if dialect == "sqlite" else _moment
    if isinstance(of.type, LargeBinary):
        return lambda value: value
    if isinstance(of.type, Text) or getattr(of.type, "length", None):
        return _text
    return _plain


def _json_text(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else orjson.dumps(value).decode()


def _json_bytes(value: Any) -> Any:
    text = _json_text(value)
    return None if text is None else text.encode()


def _flag(value: Any) -> Any:
    return None if value is None else bool(value)


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value) if value else None
    return value.astimezone(datetime.UTC).replace(tzinfo=None) if value is not None and value.tzinfo else value


def _moment_text(value: Any) -> Any:
    if not isinstance(value, datetime.datetime):
        return value
    aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
    return aware.astimezone(datetime.UTC).isoformat(" ", "microseconds")


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return _number(_text(value))
