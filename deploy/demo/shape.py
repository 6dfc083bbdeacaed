"""Checks JSON against a table of what a vendor knows, and finds the first thing that the vendor would refuse.

A table is nested Python: ``"str"``, ``"int"``, ``"number"``, ``"bool"``, ``"any"`` for plain values; ``{"name!": ...}``
for an object (``!`` = required, other keys are unknown; ``"*"`` = any other key); ``[table]`` for a list; ``Tagged``
for objects that a key tells apart; ``OneOf`` for several forms; a tuple of strings for the words that are allowed.
Null counts as absent. Knows no vendor: what a problem is called in an answer is each wire's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Path = tuple[Any, ...]


@dataclass(frozen=True)
class Problem:
    """``kind``: unknown (key), missing (key), type (``wanted``), value (``wanted`` words) or tag (``wanted`` words)."""

    kind: str
    path: Path
    wanted: str = ""
    found: Any = None


class Tagged:
    """Objects that ``key`` tells apart; ``other`` takes words that the table does not list."""

    def __init__(self, key: str, forms: dict[str, Any], other: Any = None, default: str | None = None) -> None:
        self.key, self.forms, self.other, self.default = key, forms, other, default


class OneOf:
    """Several forms, chosen by JSON type."""

    def __init__(self, *forms: Any) -> None:
        self.forms = forms


_PLAIN = {"str": str, "bool": bool, "number": (int, float), "int": int}


def json_type(value: Any) -> str:
    """What JSON calls the type of a value."""
    for name, kinds in (
        ("boolean", bool),
        ("number", (int, float)),
        ("string", str),
        ("array", list),
        ("object", dict),
    ):
        if isinstance(value, kinds):  # type: ignore[arg-type]
            return name
    return "null"


def check(value: Any, table: Any, path: Path = ()) -> Problem | None:
    """The first problem, or nothing."""
    if isinstance(table, OneOf):
        fitting = [form for form in table.forms if _fits(value, form)]
        if not fitting:
            return Problem("type", path, " or ".join(_name(form) for form in table.forms), value)
        return check(value, fitting[0], path)
    if not _fits(value, table):
        return Problem("type", path, _name(table), value)
    if isinstance(table, tuple):
        return None if value in table else Problem("value", path, ", ".join(f"'{word}'" for word in table), value)
    if isinstance(table, list):
        found = (check(item, table[0], (*path, index)) for index, item in enumerate(value))
        return next((problem for problem in found if problem), None)
    if isinstance(table, Tagged):
        return _tagged(value, table, path)
    return _object(value, table, path) if isinstance(table, dict) else None


def _tagged(value: dict[str, Any], table: Tagged, path: Path) -> Problem | None:
    tag = value.get(table.key, table.default)
    if tag is None:
        return Problem("missing", (*path, table.key))
    form = table.forms.get(tag, table.other) if isinstance(tag, str) else None
    if form is None:
        return Problem("tag", (*path, table.key), ", ".join(f"'{word}'" for word in table.forms), tag)
    return _object(value, {table.key: "str", **form}, path) if isinstance(form, dict) else None


def _object(value: dict[str, Any], table: dict[str, Any], path: Path) -> Problem | None:
    known = {name.rstrip("!"): form for name, form in table.items()}
    for name in value:
        if name not in known and "*" not in known:
            return Problem("unknown", (*path, name))
    for name in table:
        if name.endswith("!") and value.get(name[:-1]) is None:
            return Problem("missing", (*path, name[:-1]))
    for name, form in known.items():
        if name != "*" and value.get(name) is not None:
            problem = check(value[name], form, (*path, name))
            if problem:
                return problem
    return None


def _fits(value: Any, form: Any) -> bool:
    if form == "any":
        return True
    if isinstance(form, str):
        return isinstance(value, _PLAIN[form]) and (form == "bool" or not isinstance(value, bool))  # type: ignore[arg-type]
    if isinstance(form, tuple):
        return isinstance(value, str)
    if isinstance(form, list):
        return isinstance(value, list)
    return isinstance(value, dict)


def _name(form: Any) -> str:
    if isinstance(form, str):
        return {"str": "string", "int": "integer", "bool": "boolean"}.get(form, form)
    if isinstance(form, tuple):
        return "string"
    return "array" if isinstance(form, list) else "object"


def dotted(path: Path, indexes: str = "[{}]") -> str:
    """``messages[0].content`` or, with ``indexes=".{}"``, ``messages.0.content``."""
    text = ""
    for step in path:
        text += indexes.format(step) if isinstance(step, int) else f".{step}"
    return text.lstrip(".")
