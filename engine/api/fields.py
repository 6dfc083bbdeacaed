"""What things of the API hold: a record for each member, from which come checks, answers, filters and OpenAPI schemas.

``Shape`` is a thing with its members. ``take`` reads a body into columns, ``tell`` a row into an answer. Numbers that
the database keeps for words (roles, states) are words here.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from engine.errors import Invalid
from engine.texts import refusal

_LARGEST = 2**53
_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}
_NEUTRAL: Mapping[str, Any] = {"integer": 0, "number": 0, "string": "", "boolean": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A member: its ``kind`` is a type of JSON Schema (or ``any``), ``words`` say what it is.

    ``least`` and ``most`` bound numbers, or the length of texts and lists. ``needed``: without it nothing is made.
    ``sent``: it may be written; ``told``: it is answered. ``codes``: words and the numbers that are kept for them.
    """

    kind: str
    words: str
    column: str = ""
    needed: bool = False
    sent: bool = True
    told: bool = True
    least: int | None = None
    most: int | None = None
    codes: Mapping[str, int] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    filtered: bool = False
    sorted: bool = False
    items: Field | None = None
    nullable: bool = False
    """Whether it is answered with null where there is nothing."""
    lines: str = ""
    """What stands between the entries of a list in the column; nothing where the column holds JSON."""

    def check(self, name: str, value: Any) -> Any:
        """The value as it is kept; raises ``Invalid`` where it does not fit."""
        return stored(name, self, value)

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        schema: dict[str, Any] = {"description": self.words}
        if self.kind != "any":
            schema["type"] = [self.kind, "null"] if self.nullable else self.kind
        if self.codes or self.choices:
            schema["enum"] = list(self.codes or self.choices)
        low, high = _BOUNDS.get(self.kind, ("", ""))
        if low and self.least is not None:
            schema[low] = self.least
        if high and self.most is not None:
            schema[high] = self.most
        if self.kind == "array":
            schema["items"] = self.items.schema() if self.items is not None else {}
        if not self.sent:
            schema["readOnly"] = True
        if not self.told:
            schema["writeOnly"] = True
        return schema


_BOUNDS = {
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A thing: its name in the document, and its members."""

    name: str
    fields: Mapping[str, Field] = field(default_factory=dict)

    def take(self, body: Mapping[str, Any], *, fresh: bool) -> dict[str, Any]:
        """The columns that a body sets. Raises ``Invalid`` at the first member that is wrong, unknown or missing."""
        may = [name for name, one in self.fields.items() if one.sent]
        for name in body:
            if name not in may:
                near = difflib.get_close_matches(name, may, n=1)
                more = f" ({near[0]}?)" if near else ""
                raise refusal(Invalid, "v2.member", field=name[:80], near=more)
        for name in may if fresh else ():
            if self.fields[name].needed and body.get(name) is None:
                raise refusal(Invalid, "required", name=name, field=name)
        return {
            self.fields[name].column or name: stored(name, self.fields[name], value) for name, value in body.items()
        }

    def tell(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row as it is answered."""
        return {name: _told(one, row.get(one.column or name)) for name, one in self.fields.items() if one.told}

    def schema(self, *, sent: bool, fresh: bool = False) -> dict[str, Any]:
        """As JSON Schema: what may be sent, or what is answered."""
        chosen = {name: one for name, one in self.fields.items() if (one.sent if sent else one.told)}
        needed = [name for name, one in chosen.items() if (one.needed and fresh if sent else True)]
        schema: dict[str, Any] = {"type": "object", "properties": {n: one.schema() for n, one in chosen.items()}}
        if needed:
            schema["required"] = needed
        if sent:
            schema["additionalProperties"] = False
        return schema


def stored(name: str, one: Field, value: Any) -> Any:
    """A value as it is kept; raises ``Invalid`` where it does not fit."""
    if not _fits(one.kind, value):
        raise refusal(Invalid, "invalid.type", field=name, what=_WORDS[one.kind])
    choices = one.codes or one.choices
    if choices and value not in choices:
        raise refusal(Invalid, "invalid.field", field=name, what=" or ".join(choices))
    size = value if one.kind in ("integer", "number") else len(value) if one.kind in ("string", "array") else None
    if size is not None and not (one.least if one.least is not None else size) <= size <= (
        one.most if one.most is not None else size
    ):
        raise refusal(Invalid, "invalid.field", field=name, what=_bounds(one))
    if one.codes:
        return one.codes[value]
    if one.kind == "array":
        return _entries(name, one, value)
    return value


def _entries(name: str, one: Field, value: list[Any]) -> Any:
    if one.items is None:
        return value
    entries = [stored(f"{name}[{index}]", one.items, entry) for index, entry in enumerate(value)]
    if one.lines and any(one.lines in entry or entry != entry.strip() for entry in entries):
        raise refusal(Invalid, "invalid.field", field=name, what=f"entries without {one.lines!r} and blanks around")
    return one.lines.join(entries) if one.lines else entries


def _bounds(one: Field) -> str:
    low, high = one.least, one.most
    span = f"{low} to {high}" if None not in (low, high) else f"{low} or more" if high is None else f"{high} at most"
    return span + {"string": " characters", "array": " entries"}.get(one.kind, "")


def _fits(kind: str, value: Any) -> bool:
    if kind == "any":
        return True
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "string":
        return isinstance(value, str) and "\0" not in value
    return isinstance(value, {"boolean": bool, "array": list, "object": dict}[kind])


def _told(one: Field, value: Any) -> Any:
    if one.codes:
        return next((word for word, number in one.codes.items() if number == value), next(iter(one.codes)))
    if one.kind == "array" and one.lines:
        return [part.strip() for part in str(value or "").replace(one.lines, "\n").splitlines() if part.strip()]
    if one.kind in ("array", "object") and isinstance(value, str | bytes):
        return parsed(value, [] if one.kind == "array" else {})
    if value is None and one.nullable:
        return None
    if value is None:
        return {"array": [], "object": {}}.get(one.kind, _NEUTRAL.get(one.kind))
    if one.kind == "boolean":
        return bool(value)
    if one.kind == "integer":
        return int(value)
    if one.kind == "number":
        return float(value) if isinstance(value, Decimal) else value
    return str(value).rstrip() if one.kind == "string" else value


def parsed(text: str | bytes, default: Any) -> Any:
    """JSON of a column; the default where it is none, or of another kind."""
    try:
        value = orjson.loads(text) if text else default
    except orjson.JSONDecodeError:
        return default
    return value if isinstance(value, type(default)) else default
