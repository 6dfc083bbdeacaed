"""Where in an artefact's plain data each field of a part stands, and how it is read: the metadata of the fields.

A field declared with ``data`` says so itself, and ``make`` builds the part. A path such as ``request.decode`` is
looked up in the part's data; without one, the field's own name in camel case is. Readers take what stands there, None
where the document says nothing, and the functions of the generated module by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

Function = Callable[..., Any]
Functions = Mapping[str, Function]
Reader = Callable[[Any, Functions], Any]
Part = TypeVar("Part")

EMPTY: Mapping[str, Any] = MappingProxyType({})
WHOLE = "."
"""The path of the part's data itself, for what takes more than one of its values."""
KNOWN = ""
"""The path of a field that whoever makes the part hands in."""
_SOURCE = "source"


def as_it_is(value: Any, functions: Functions) -> Any:
    """The value itself, or None."""
    return value


def data(at: str | None = None, read: Reader = as_it_is, *, needed: bool = False, **default: Any) -> Any:
    """A field of a part. ``needed``: KeyError where it is missing. ``default`` is a dataclass field's own."""
    return dataclasses.field(metadata={_SOURCE: (at, read, needed)}, **default)


def make(part: type[Part], values: Mapping[str, Any], functions: Functions, **known: Any) -> Part:
    """A part of its data; ``known`` are fields that stand elsewhere."""
    fields = {name: reader(_look(values, path, needed), functions) for name, path, reader, needed in _plan(part)}  # type: ignore[arg-type]
    return part(**fields, **known)


@cache
def _plan(part: Any) -> list[tuple[str, tuple[str, ...], Reader, bool]]:
    plan: list[tuple[str, tuple[str, ...], Reader, bool]] = []
    for field in dataclasses.fields(part):
        at, reader, needed = field.metadata.get(_SOURCE, (KNOWN, as_it_is, False))
        if at == WHOLE:
            plan.append((field.name, (), reader, needed))
        elif at != KNOWN:
            plan.append((field.name, tuple((at or camel(field.name)).split(".")), reader, needed))
    return plan


def _look(values: Any, path: tuple[str, ...], needed: bool) -> Any:
    for key in path:
        if not (needed or (isinstance(values, Mapping) and key in values)):
            return None
        values = values[key]
    return values


def camel(name: str) -> str:
    """``base_url`` as documents spell it: ``baseUrl``."""
    first, *others = name.split("_")
    return first + "".join(other.title() for other in others)


# -- readers


def function(value: str | None, functions: Functions) -> Function | None:
    """The function of a name."""
    return None if value is None else functions[value]


def function_table(value: Mapping[str, str] | None, functions: Functions) -> dict[str, Function]:
    """The functions of a table of names."""
    return {key: functions[name] for key, name in (value or EMPTY).items()}


def mapping(value: Any, functions: Functions) -> Any:
    """A map; an empty one where there is none."""
    return value or {}


def text(value: Any, functions: Functions) -> str:
    """A text; an empty one where there is none."""
    return value or ""


def number(value: Any, functions: Functions) -> Any:
    """A number; 0 where there is none."""
    return value or 0


def flag(value: Any, functions: Functions) -> bool:
    """Whether it is said."""
    return bool(value)


def items(value: Any, functions: Functions) -> tuple[Any, ...]:
    """A list; an empty one where there is none."""
    return tuple(value or ())


def words(value: Any, functions: Functions) -> frozenset[Any]:
    """A list whose order means nothing."""
    return frozenset(value or ())


def path(value: Any, functions: Functions) -> tuple[str, ...] | None:
    """A dotted path by its steps; None where there is none."""
    return tuple(value.split(".")) if isinstance(value, str) else None


def paths(value: Any, functions: Functions) -> tuple[tuple[str, ...], ...]:
    """A list of dotted paths."""
    return tuple(tuple(item.split(".")) for item in value or ())


def columns(value: Any, functions: Functions) -> dict[str, tuple[str, ...]]:
    """A table of lists."""
    return {key: tuple(names) for key, names in (value or EMPTY).items()}


def otherwise(default: Any) -> Reader:
    """The value, or another one where there is none."""
    return lambda value, _: default if value is None else value


def one(part: type[Any]) -> Reader:
    """A part within a part; made of nothing where there is none."""
    return lambda value, functions: make(part, value or EMPTY, functions)


def maybe(part: type[Any]) -> Reader:
    """A part within a part, or None."""
    return lambda value, functions: None if value is None else make(part, value, functions)


def several(part: type[Any]) -> Reader:
    """A list of parts."""
    return lambda value, functions: tuple(make(part, item, functions) for item in value or ())


def table(part: type[Any]) -> Reader:
    """Parts by name."""
    return lambda value, functions: {key: make(part, item, functions) for key, item in (value or EMPTY).items()}
