"""Values at the edges of what a JSON Schema allows: each differs from the smallest value in one place.

Takes one of our schemas; gives values for it, some of which it refuses. Whoever uses them lets lint sort those out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

TEXTS = ("a", "", "x.y", "1", "-1", "429", "5xx", "/v1/a", "https://a.example", "2026-01-01", "a[*].b", "{{ 1 }}", "[")
NUMBERS = (0, 1, -1, 0.5, 10**12)
BY_TYPE: dict[str, tuple[Any, ...]] = {
    "string": TEXTS,
    "integer": NUMBERS,
    "number": NUMBERS,
    "boolean": (True, False),
    "null": (None,),
    "array": ([],),
    "object": ({},),
}
DEEPEST = 9


class Extremes:
    """Values for the schema of one kind of document; ``base`` is what every value has that does not say otherwise."""

    def __init__(self, root: dict[str, Any], base: dict[str, Any] | None = None) -> None:
        self.root = root
        self.base = base or {}

    def of(self, schema: dict[str, Any], depth: int = 0) -> Iterator[Any]:
        """The smallest value, then values that differ from it in one place."""
        schema = self._whole(schema)
        yield self.smallest(schema)
        if depth > DEEPEST:
            return
        yield from schema.get("enum", ())
        if "enum" in schema or "const" in schema:
            return
        types = schema.get("type", ("string", "object", "array"))
        for name in (types,) if isinstance(types, str) else types:
            yield from BY_TYPE[name]
            if name == "array":
                yield from ([item] for item in self.of(schema.get("items", {"type": "string"}), depth + 1))
        yield from self._objects(schema, depth)

    def _objects(self, schema: dict[str, Any], depth: int) -> Iterator[dict[str, Any]]:
        base = self.smallest(schema)
        base = {**base, **({} if depth else self.base)} if isinstance(base, dict) else {}
        for name, inner in schema.get("properties", {}).items():
            yield from ({**base, name: value} for value in self.of(inner, depth + 1))
        others = schema.get("additionalProperties")
        if isinstance(others, dict):
            for name in schema.get("propertyNames", {}).get("enum", ("a", "x-y")):
                yield from ({**base, name: value} for value in self.of(others, depth + 1))

    def smallest(self, schema: dict[str, Any]) -> Any:
        """A value with no more than it must have."""
        schema = self._whole(schema)
        if "const" in schema or "enum" in schema:
            return schema["const"] if "const" in schema else schema["enum"][0]
        types = schema.get("type", "string")
        name = types if isinstance(types, str) else types[0]
        if name == "object":
            needed = schema.get("required", ())
            return {key: self.smallest(schema.get("properties", {}).get(key, {})) for key in needed}
        if name == "array":
            return [self.smallest(schema.get("items", {}))] if schema.get("minItems") else []
        return BY_TYPE[name][0]

    def _whole(self, schema: dict[str, Any]) -> dict[str, Any]:
        reference = schema.get("$ref")
        if reference is None:
            return schema
        name = reference.rsplit("/", 1)[1]
        return {**self._whole(self.root["$defs"][name]), **{key: schema[key] for key in schema if key != "$ref"}}
