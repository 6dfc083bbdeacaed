"""Schemas of OpenAPI 3.0's dialect in the words of JSON Schema.

Declared: ``schema: {openapi: translate|keep}``; it is translated where nothing is said. There types may be written in
capitals, ``nullable`` allows null, counts come as text (64-bit numbers in JSON), ``format: enum`` says what ``enum``
says, and keywords may be spelled with low lines. Takes any schema; one that has none of this is given back untouched,
data (enum, const, default, examples) always.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isfinite
from typing import Any

import orjson

Report = Callable[[str, str], None]

_SPELLED = {
    f"{first}_{second.lower()}": f"{first}{second}"
    for first, second in (
        *(("any", "Of"), ("one", "Of"), ("all", "Of"), ("prefix", "Items"), ("additional", "Properties")),
        *((bound, what) for bound in ("min", "max") for what in ("Items", "Length", "Properties")),
        ("property", "Ordering"),
    )
}
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_BOUNDS = frozenset({"minimum", "maximum"})
MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_BELOW = frozenset(
    {"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "anyOf", "oneOf"}
    | {"allOf", "prefixItems"}
)
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_FRACTION = re.compile(r"-?[0-9]{1,400}(?:[.][0-9]{1,400})?(?:[eE][+-]?[0-9]{1,3})?")
_MARKS = re.compile(
    rb'"type":\[?"[A-Z]|"nullable":|"format":"enum"|"propertyOrdering":|"m(?:in|ax)(?:imum|[A-Z][a-z]+)":"|"(?:%s)":'
    % "|".join(_SPELLED).encode()
)
"""PERF: some 3 us per kB tell that a schema needs no translation, a tenth of walking it."""


def translated(schema: Any, path: str, report: Report) -> Any:
    """The schema in JSON Schema's words; ``report`` hears what they can't say."""
    try:
        if not _MARKS.search(orjson.dumps(schema)):
            return schema
    except TypeError:  # not of JSON, which the target's own checks tell
        return schema
    return _node(schema, path, report)


def _node(schema: Any, path: str, report: Report) -> Any:
    if not isinstance(schema, dict):
        return schema
    target: dict[str, Any] = {}
    for spelled, value in schema.items():
        key = _SPELLED.get(spelled, str(spelled))
        if key in ("nullable", "propertyOrdering") or (key == "format" and value == "enum"):
            continue
        if key == "type":
            value = _type(value, path, report)
            if value is None:
                continue
        target[key] = _value(key, value, path, report)
    _order(target, schema)
    if schema.get("nullable") is True:
        _allow_null(target)
    return target


def _value(key: str, value: Any, path: str, report: Report) -> Any:
    if key in MAPS and isinstance(value, dict):
        return {name: _node(inner, path, report) for name, inner in value.items()}
    if key in _BELOW:
        return (
            [_node(inner, path, report) for inner in value] if isinstance(value, list) else _node(value, path, report)
        )
    if isinstance(value, str) and (key in _COUNTS or key in _BOUNDS):
        return _number(value, whole=key in _COUNTS)
    return value


def _number(text: str, *, whole: bool) -> Any:
    """A number that came as text; what is none stays as it is, for the target to refuse."""
    if _WHOLE.fullmatch(text):
        return int(text)
    if whole or not _FRACTION.fullmatch(text):
        return text
    number = float(text)
    return number if isfinite(number) else text


def _type(value: Any, path: str, report: Report) -> Any:
    if isinstance(value, list):
        return [kind for name in value if (kind := _type(name, path, report)) is not None]
    if not isinstance(value, str) or not value.isupper():
        return value
    if value.lower() in _TYPES:
        return value.lower()
    if value != "TYPE_UNSPECIFIED":
        report(f"{path}.type", f"{value[:40]} is no type of JSON Schema; any is taken")
    return None


def _order(target: dict[str, Any], schema: dict[str, Any]) -> None:
    """Members stand in the order that was asked for: whoever writes JSON by a schema goes by it."""
    order = schema.get("propertyOrdering", schema.get("property_ordering"))
    members = target.get("properties")
    if isinstance(order, list) and isinstance(members, dict):
        first = {name: members[name] for name in order if isinstance(name, str) and name in members}
        target["properties"] = {**first, **members}


def _allow_null(target: dict[str, Any]) -> None:
    kinds = target.get("type")
    if kinds is not None:
        kinds = kinds if isinstance(kinds, list) else [kinds]
        target["type"] = kinds if "null" in kinds else [*kinds, "null"]
    for choices in ("anyOf", "oneOf"):
        options = target.get(choices)
        if isinstance(options, list) and {"type": "null"} not in options:
            target[choices] = [*options, {"type": "null"}]
    if isinstance(target.get("enum"), list) and None not in target["enum"]:
        target["enum"] = [*target["enum"], None]
