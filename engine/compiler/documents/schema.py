"""Schema: what fields each kind of document has, and whether a document keeps to that.

The JSON Schemas beside this module are the one home of fields, their words and the variables of their expressions.
Takes a definition's data; gives faults, and the fields that other stages look after: mappings, references, patterns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path as FilePath
from typing import Any

import jsonschema_rs

from engine.compiler.diagnostics import Fault, describe, nearest, path_text
from engine.compiler.documents.positions import Path
from engine.compiler.documents.sets import Definition
from engine.strategies import STRATEGIES

_HERE = FilePath(__file__).resolve().parent / "schemas"
MANY = 200
"""How many keys that nobody reads are told of one map; who has more has something else in mind."""
_TYPES = {
    "object": "a map",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


@dataclass(frozen=True, slots=True)
class SchemaField:
    """A value of a document with the schema of its field and the variables that its expressions may use."""

    path: Path
    value: Any
    schema: dict[str, Any]
    variables: tuple[str, ...]
    mapping: str | None
    """``tree`` or ``expression`` where the value is compiled."""


@cache
def schema_of(kind: str) -> dict[str, Any]:
    """The whole JSON Schema of a kind of document."""
    document: dict[str, Any] = _read("document")
    document["title"] = kind
    document["properties"]["kind"] = {**document["properties"]["kind"], "const": kind}
    spec = _read(kind)
    if kind == "Route":
        _add_strategies(spec["properties"]["strategies"]["items"])
    document["description"] = spec["description"]
    document["properties"]["spec"] = spec
    if "required" in spec:
        document["required"] = [*document["required"], "spec"]
    document["$defs"] = _read("common")
    return document


def _add_strategies(entry: dict[str, Any]) -> None:
    """Each strategy says itself what it takes; an entry names one."""
    entry["properties"] |= {name: record.schema() for name, record in sorted(STRATEGIES.items())}
    entry["oneOf"] = [{"required": [name]} for name in sorted(STRATEGIES)]


@cache
def _validator(kind: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema_of(kind))


def _read(name: str) -> Any:
    return json.loads((_HERE / f"{name}.json").read_text(encoding="utf-8"))


def check(definition: Definition) -> list[Fault]:
    """Every breach of the schema, in words."""
    validator = _validator(definition.kind)
    if validator.is_valid(definition.data):
        return []
    faults: list[Fault] = []
    for error in validator.iter_errors(definition.data):
        faults.extend(_Wording(definition, error).faults())
    return faults


class _Wording:
    """One error of the validator as faults."""

    def __init__(self, definition: Definition, error: Any) -> None:
        self.definition = definition
        self.error = error
        self.path: Path = tuple(error.instance_path)
        self.details: dict[str, Any] = error.kind.as_dict()

    def faults(self) -> list[Fault]:
        keyword = re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", self.error.kind.name)
        words = getattr(self, f"_{keyword}", None)
        if words is not None:
            return list(words())
        return [self._fault("wrong-value", f"{self._field()}: {self.error.message}")]

    def _fault(self, code: str, message: str, path: Path | None = None, **more: Any) -> Fault:
        return self.definition.fault(code, message, self.path if path is None else path, **more)

    def _field(self) -> str:
        return path_text(self.path) or "the document"

    def _schema(self) -> dict[str, Any]:
        """The schema that holds the failing keyword."""
        node: Any = schema_of(self.definition.kind)
        for step in self.error.schema_path[:-1]:
            node = node[step]
        return node if isinstance(node, dict) else {}

    def _additional_properties(self) -> Iterator[Fault]:
        known = list(self._schema().get("properties", {}))
        for name in self.details["unexpected"][:MANY]:
            near = nearest(name, known) or self._below(name)
            message = f"nobody reads {name!r}" + (f" in {path_text(self.path)}" if self.path else "")
            expected = f"one of {', '.join(known)}" if known and near is None else None
            yield self._fault("unknown-key", message, (*self.path, name), key=True, nearest=near, expected=expected)

    def _below(self, name: str) -> str | None:
        """A key of ``spec`` that stands beside it."""
        known = schema_of(self.definition.kind)["properties"]["spec"].get("properties", {})
        near = None if self.path else nearest(name, known)
        return near and f"spec.{near}"

    def _any_of(self) -> Iterator[Fault]:
        options = self._schema()["anyOf"]
        names = [name for option in options for name in option.get("required", ())]
        yield self._fault("missing-key", f"{self._field()} has none of {', '.join(names)}", key=True)

    def _one_of(self) -> Iterator[Fault]:
        options = self._schema()["oneOf"]
        names = [name for option in options for name in option.get("required", ())]
        message = f"{self._field()} says more or less than one of {', '.join(names)}"
        yield self._fault("wrong-value", message, expected="exactly one of them")

    def _required(self) -> Iterator[Fault]:
        name = self.details["property"]
        if (self.definition.abstract or self.definition.orphan) and (*self.path, name)[:1] == ("spec",):
            return
        if self.path == () and name == "apiVersion":
            yield self._fault("missing-key", "the document has no apiVersion", expected="gatewright/v1")
            return
        about = self._schema().get("properties", {}).get(name, {}).get("description")
        yield self._fault("missing-key", f"{self._field()} has no {name}", key=True, expected=about)

    def _type(self) -> Iterator[Fault]:
        types = [_TYPES[name] for name in self.details["types"]]
        expected = " or ".join(types)
        actual = describe(self.error.instance)
        if expected == _TYPES["object"] and "secretRef" in self._schema().get("properties", {}):
            yield self._secret()
            return
        if expected == _TYPES["string"] and isinstance(self.error.instance, int | float):
            expected += ", in quotes"
        yield self._fault("wrong-type", f"{self._field()} must be {expected}", expected=expected, found=actual)

    def _secret(self) -> Fault:
        """A secret in clear; what stands there is not repeated."""
        message = f"{self._field()}: a secret never stands in a document"
        fault = self._fault("bad-secret", message, expected="{secretRef: {file: NAME}}, and the secret in that file")
        place = replace(fault.place, text=fault.place.text[: fault.place.column - 1] + "***")
        return replace(fault, place=place)

    def _enum(self) -> Iterator[Fault]:
        options = [str(option) for option in self.details["options"]]
        yield self._choice(options)

    def _const(self) -> Iterator[Fault]:
        yield self._choice([str(self.details["expected_value"])])

    def _choice(self, options: list[str]) -> Fault:
        value = self.error.instance
        near = nearest(value, options) if isinstance(value, str) else None
        expected = f"one of {', '.join(options)}" if len(options) > 1 else options[0]
        message = f"{self._field()} must be {expected}"
        return self._fault("wrong-value", message, expected=expected, found=describe(value), nearest=near)

    def _property_names(self) -> Iterator[Fault]:
        inner = self.details["error"]
        name = str(inner.instance)
        options = [str(option) for option in inner.kind.as_dict().get("options", [])]
        expected = f"one of {', '.join(options)}" if options else inner.message
        message = f"nobody reads {name!r} in {self._field()}"
        near = nearest(name, options)
        yield self._fault("unknown-key", message, (*self.path, name), key=True, expected=expected, nearest=near)

    def _pattern(self) -> Iterator[Fault]:
        expected = self._schema().get("description", f"a text that matches {self.details['pattern']}")
        actual = describe(self.error.instance)
        if "secretRef" in self.path:
            message = f"{self._field()} is no name of a secret"
            yield self._fault("bad-secret", message, expected=expected)
            return
        message = f"{self._field()} does not look right"
        yield self._fault("wrong-value", message, expected=f"{expected} ({self.details['pattern']})", found=actual)


def fields(definition: Definition) -> Iterator[SchemaField]:
    """Every value of the spec that is compiled, refers to something, or is a pattern; in the document's order."""
    return _fields(_spots(definition.kind), definition.spec, ("spec",), ())


def _fields(spot: _Spot, value: Any, path: Path, variables: tuple[str, ...]) -> Iterator[SchemaField]:
    if spot.variables is not None:
        variables = spot.variables
    if spot.marked:
        yield SchemaField(path, value, spot.schema, variables, spot.mapping)
    if isinstance(value, dict):
        for key, item in value.items():
            inner = spot.properties.get(key, spot.others)
            if inner is not None and inner.leads:
                yield from _fields(inner, item, (*path, key), variables)
    elif isinstance(value, list) and spot.items is not None and spot.items.leads:
        for index, item in enumerate(value):
            yield from _fields(spot.items, item, (*path, index), variables)


class _Spot:
    """A place of a kind's schema, with what its marks say. PERF: a schema is looked through once, its documents at
    every compile, and only where something marked can stand."""

    __slots__ = ("items", "leads", "mapping", "marked", "others", "properties", "schema", "variables")

    def __init__(self, root: dict[str, Any], schema: dict[str, Any], known: dict[int, _Spot]) -> None:
        known[id(schema)] = self
        name = schema.get("$ref", "").rsplit("/", 1)[-1]
        self.mapping = name if name in ("tree", "expression") else None
        if name and self.mapping is None:
            schema = {**root["$defs"][name], **{key: item for key, item in schema.items() if key != "$ref"}}
        self.schema = schema
        self.variables = tuple(schema["x-variables"]) if "x-variables" in schema else None
        self.marked = self.mapping is not None or any(mark.startswith("x-") for mark in schema)
        self.leads = self.marked
        """Whether it or a place below it is marked."""
        below = {} if self.mapping else schema

        def spot(inner: Any) -> _Spot | None:
            return (known.get(id(inner)) or _Spot(root, inner, known)) if isinstance(inner, dict) else None

        self.properties = {key: spot(inner) for key, inner in below.get("properties", {}).items()}
        self.others = spot(below.get("additionalProperties"))
        self.items = spot(below.get("items"))

    def below(self) -> Iterator[_Spot]:
        """The places below it."""
        yield from (one for one in (*self.properties.values(), self.others, self.items) if one is not None)


@cache
def _spots(kind: str) -> _Spot:
    """The place of a kind's spec, with all below it."""
    root = schema_of(kind)
    known: dict[int, _Spot] = {}
    top = _Spot(root, root["properties"]["spec"], known)
    grew = True
    while grew:  # places may lead to themselves
        leading = [one for one in known.values() if not one.leads and any(inner.leads for inner in one.below())]
        for one in leading:
            one.leads = True
        grew = bool(leading)
    return top


@dataclass(frozen=True, slots=True)
class Shape:
    """The schema at one spot of a spec, for those who walk data and schema side by side."""

    root: dict[str, Any]
    schema: dict[str, Any]

    @property
    def whole(self) -> bool:
        """Whether a value here is one thing, never merged with another: a mapping or a fragment."""
        return self.schema.get("$ref", "").rsplit("/", 1)[-1] in ("tree", "expression", "fragment")

    @property
    def own(self) -> set[str]:
        """Keys that belong to one document alone, such as its routes: a child does not inherit them."""
        return {key for key, schema in self.schema.get("properties", {}).items() if schema.get("x-own")}

    def below(self, key: str) -> Shape | None:
        """The schema of a key of a map that stands here, if one is known."""
        reference = self.schema.get("$ref")
        schema = self.schema if reference is None else self.root["$defs"][reference.rsplit("/", 1)[1]]
        inner = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
        return Shape(self.root, inner) if isinstance(inner, dict) else None


def shape_of(kind: str) -> Shape:
    """The shape of a kind's spec."""
    root = schema_of(kind)
    return Shape(root, root["properties"]["spec"])
