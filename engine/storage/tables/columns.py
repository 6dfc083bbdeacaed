"""Column kinds of the family's schema: one function per kind, with its type on each of the three engines.

Takes names and defaults, gives SQLAlchemy columns and tables. What differs by engine is decided here and nowhere else:
JSON is bytes on SQLite (its Go reader can't scan text), flags are 0/1 numbers there, moments are text with an offset.
"""

from __future__ import annotations

import datetime
from typing import Any

import orjson
from sqlalchemy import (
    CHAR,
    DECIMAL,
    REAL,
    VARCHAR,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

METADATA = MetaData()
_KEY_LENGTH = 191
"""Longest string that older MySQL can index in four-byte characters."""


class _Named(UserDefinedType[Any]):
    """A type that is only its name; values go through as they are."""

    cache_ok = True

    def __init__(self, spec: str) -> None:
        self.spec = spec

    def get_col_spec(self, **_: object) -> str:
        return self.spec


class Flag(TypeDecorator[bool]):
    """A boolean: 0/1 in a numeric column on SQLite, where old rows may also hold NULL."""

    impl = Boolean
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(
            _Named("NUMERIC") if dialect.name == "sqlite" else Boolean(create_constraint=False)
        )

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> Any:
        return int(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> bool | None:
        return None if value is None else bool(value)


class Json(TypeDecorator[Any]):
    """A JSON document: bytes on SQLite, the engine's ``json`` elsewhere; what can't be read is nothing."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(_Named("JSON"))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        raw = orjson.dumps(value)
        return raw if dialect.name == "sqlite" else raw.decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return read_json(value)


class Moment(TypeDecorator[datetime.datetime]):
    """A point in time with zone; on SQLite the text form that the family's programs write."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(_Named("DATETIME"))
        if dialect.name == "mysql":
            return dialect.type_descriptor(mysql.DATETIME(fsp=3))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime.datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(datetime.UTC).isoformat(" ", "microseconds")


def read_json(value: Any) -> Any:
    """What a JSON column held, whichever way the engine and the writer kept it; unreadable is ``None``."""
    if isinstance(value, str | bytes | bytearray | memoryview):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    return value


def _default(value: str | int | None) -> Any:
    if value is None:
        return None
    return text("'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value))


def _column(name: str, kind: TypeEngine[Any], default: str | int | None, options: dict[str, Any]) -> Column[Any]:
    options.setdefault("nullable", True)
    return Column(name, kind, server_default=_default(default), **options)


def key(name: str = "id", *, unsigned: bool = False) -> Column[Any]:
    """The numeric primary key, given out by the engine."""
    mine = mysql.BIGINT(unsigned=True) if unsigned else BigInteger()
    kind = BigInteger().with_variant(Integer(), "sqlite").with_variant(mine, "mysql")
    return Column(name, kind, primary_key=True, autoincrement=True)


def whole(name: str, default: int | None = None, *, unsigned: bool = False, **options: Any) -> Column[Any]:
    """An integer, 64 bits on every engine though SQLite's schema calls it ``integer``."""
    mine = mysql.BIGINT(unsigned=True) if unsigned else BigInteger()
    return _column(name, BigInteger().with_variant(Integer(), "sqlite").with_variant(mine, "mysql"), default, options)


def half(name: str, default: int | None = None) -> Column[Any]:
    """The one unsigned 32-bit number of the schema."""
    kind = BigInteger().with_variant(Integer(), "sqlite").with_variant(mysql.INTEGER(unsigned=True), "mysql")
    return _column(name, kind, default, {})


def big(name: str, default: int | None = None, **options: Any) -> Column[Any]:
    """An integer that SQLite's schema calls ``bigint`` too."""
    return _column(name, BigInteger(), default, options)


def flag(name: str, default: str | None = None) -> Column[Any]:
    """A boolean."""
    return Column(name, Flag(), nullable=True, server_default=text(default) if default else None)


def real(name: str) -> Column[Any]:
    """A floating number."""
    return _column(name, Double().with_variant(REAL(), "sqlite").with_variant(Numeric(), "postgresql"), None, {})


def money(name: str, default: str, **options: Any) -> Column[Any]:
    """A decimal with six places."""
    return Column(name, DECIMAL(10, 6), server_default=text(default), **options)


def long(name: str, **options: Any) -> Column[Any]:
    """Text without a bound."""
    return _column(name, Text().with_variant(mysql.LONGTEXT(), "mysql"), None, options)


def note(name: str, **options: Any) -> Column[Any]:
    """Text that MySQL bounds at 64 KiB."""
    return _column(name, Text(), None, options)


def short(name: str, default: str | None = None, **options: Any) -> Column[Any]:
    """Text that MySQL bounds at what older ones can index, the others not at all."""
    return _column(name, Text().with_variant(VARCHAR(_KEY_LENGTH), "mysql"), default, options)


def sized(name: str, size: int, default: str | None = None, **options: Any) -> Column[Any]:
    """Text bounded at ``size`` characters, though SQLite's schema does not say so."""
    return _column(name, VARCHAR(size).with_variant(Text(), "sqlite"), default, options)


def chars(name: str, size: int, default: str | None = None, **options: Any) -> Column[Any]:
    """Text bounded at ``size`` characters."""
    return _column(name, VARCHAR(size), default, options)


def fixed(name: str, size: int, **options: Any) -> Column[Any]:
    """Text of exactly ``size`` characters (PostgreSQL pads it with blanks)."""
    return _column(name, CHAR(size), None, options)


def json(name: str) -> Column[Any]:
    """A JSON document."""
    return Column(name, Json(), nullable=True)


def moment(name: str, **options: Any) -> Column[Any]:
    """A point in time."""
    return _column(name, Moment(), None, options)


def table(name: str, *columns: Column[Any], plain: str = "", more: tuple[Index, ...] = ()) -> Table:
    """A table with its indexes; ``plain`` lists the columns that have one of their own under the usual name."""
    usual = [Index(f"idx_{name}_{column}", column) for column in plain.split()]
    return Table(name, METADATA, *columns, *usual, *more, mysql_engine="InnoDB", mysql_default_charset="utf8mb4")


def unique(name: str, *columns: str, **options: Any) -> Index:
    """A unique index."""
    return Index(name, *columns, unique=True, **options)
