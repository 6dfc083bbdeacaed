"""The parameters of a list of ``/api/v2``, read against its shape: filters, order, cursor, length.

    ?FIELD=VALUE  ?FIELD.OPERATOR=VALUE  ?sort=-FIELD  ?limit=50  ?cursor=...

Operators are ``eq ne gt ge lt le in has begins``; all conditions hold together, ``in`` takes values between commas.
A cursor is what the page before answered as ``next``; it goes with the same sort alone.
"""

from __future__ import annotations

import base64
import binascii
import difflib
from collections.abc import Mapping
from typing import Any

import orjson

from engine.api.fields import Field, Shape, stored
from engine.api.route import Ask
from engine.errors import Invalid
from engine.storage.rows.api.keyset import Filter, Question
from engine.texts import refusal

LIMIT, MOST = 50, 200
_ORDERED = ("eq", "ne", "gt", "ge", "lt", "le", "in")
_BY_KIND = {"integer": _ORDERED, "number": _ORDERED, "string": ("eq", "ne", "in", "has", "begins"), "boolean": ("eq",)}
_MANY = 100
PARAMETERS = ("sort", "limit", "cursor")


def operators(field: Field) -> tuple[str, ...]:
    """What a member can be compared by."""
    return ("eq", "ne", "in") if field.codes or field.choices else _BY_KIND.get(field.kind, ())


def question_of(ask: Ask, shape: Shape, extra: Mapping[str, Field] | None = None) -> Question:
    """What a list is asked for; raises ``Invalid`` for what is no parameter of it. ``extra`` are the route's own."""
    filters = []
    for name, text in ask.query.items():
        if name in PARAMETERS or name in (extra or {}):
            continue
        filters.append(_filter(shape, name, text))
    sort, descending = _sort(shape, ask.query.get("sort", ""))
    limit = _limit(ask.query.get("limit", ""))
    cursor = ask.query.get("cursor", "")
    order = f"{'-' if descending else ''}{sort}"
    return Question(tuple(filters), sort, descending, _after(cursor, order) if cursor else None, limit)


def beside(question: Question, place: Any) -> dict[str, Any]:
    """What stands beside the rows of a page: the cursor of the next one, or nothing."""
    if place is None:
        return {"next": None}
    order = f"{'-' if question.descending else ''}{question.sort}"
    raw = orjson.dumps([order, *place], default=str)
    return {"next": base64.urlsafe_b64encode(raw).rstrip(b"=").decode()}


def _filter(shape: Shape, name: str, text: str) -> Filter:
    member, _, operator = name.partition(".")
    may = [one for one, field in shape.fields.items() if field.filtered]
    if member not in may:
        near = difflib.get_close_matches(member, [*may, *PARAMETERS], n=1)
        raise refusal(Invalid, "v2.parameter", field=name[:80], near=f" ({near[0]}?)" if near else "")
    field, operator = shape.fields[member], operator or "eq"
    if operator not in operators(field):
        raise refusal(Invalid, "invalid.field", field=name[:80], what=" or ".join(operators(field)))
    column = field.column or member
    if operator == "in":
        parts = text.split(",")
        if len(parts) > _MANY:
            raise refusal(Invalid, "invalid.field", field=name, what=f"{_MANY} values at most")
        return Filter(column, operator, tuple(_value(name, field, part) for part in parts))
    return Filter(column, operator, _value(name, field, text))


def _value(name: str, field: Field, text: str) -> Any:
    """A text of the query as the value that the column holds; bounds of what may be written don't count here."""
    if len(text) > _LONGEST:
        raise refusal(Invalid, "invalid.field", field=name, what=f"{_LONGEST} characters at most")
    bare = Field(kind=field.kind, words="", codes=field.codes, choices=field.choices)
    if field.codes or field.kind == "string":
        return stored(name, bare, text)
    if field.kind == "boolean":
        value: Any = {"true": True, "false": False}.get(text, text)
    else:
        try:
            value = int(text) if len(text) < _DIGITS and text.lstrip("-").isdigit() and text.isascii() else float(text)
        except ValueError:
            value = text
    return stored(name, bare, value)


_LONGEST, _DIGITS = 255, 20


def _sort(shape: Shape, text: str) -> tuple[str, bool]:
    may = [name for name, field in shape.fields.items() if field.sorted]
    if not text:
        return "", True
    name = text.lstrip("-")
    if name not in may or text.count("-") > 1:
        raise refusal(
            Invalid, "invalid.field", field="sort", what=" or ".join(f"{one}, -{one}" for one in may) or "none"
        )
    return shape.fields[name].column or name, text[0] == "-"


def _limit(text: str) -> int:
    if not text:
        return LIMIT
    if not (text.isascii() and text.isdigit() and len(text) < _DIGITS and 1 <= int(text) <= MOST):
        raise refusal(Invalid, "invalid.field", field="limit", what=f"1 to {MOST}")
    return int(text)


def _after(cursor: str, order: str) -> tuple[Any, Any]:
    try:
        place = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        sort, value, which = place
    except (ValueError, TypeError, binascii.Error):
        raise refusal(Invalid, "v2.cursor", field="cursor") from None
    good = sort == order and all(isinstance(one, int | str) and not isinstance(one, bool) for one in (value, which))
    if not good or any(isinstance(one, int) and abs(one) >= 2**63 for one in (value, which)):
        raise refusal(Invalid, "v2.cursor", field="cursor")
    return value, which
