"""Schemas of OpenAPI's dialect in JSON Schema's words, at any depth; data and all other schemas stay as they are."""

from __future__ import annotations

import time
from typing import Any

import pytest

from engine.hub.shape.openapi import translated


def made(schema: Any) -> Any:
    return translated(schema, "tools[0].schema", lambda path, why: pytest.fail(f"{path}: {why}"))


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": ["STRING", "NULL"]}, {"type": ["string", "null"]}),
        ({"type": "TYPE_UNSPECIFIED", "title": "T"}, {"title": "T"}),
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": False}, {"type": "string"}),
        ({"nullable": True}, {}),
        ({"anyOf": [{"type": "STRING"}], "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (
            {"type": "STRING", "format": "enum", "enum": ["A"], "nullable": True},
            {"type": ["string", "null"], "enum": ["A", None]},
        ),
        ({"type": "STRING", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"minItems": "2", "maxItems": "10"}, {"minItems": 2, "maxItems": 10}),
        ({"minimum": "1.5", "maximum": "3"}, {"minimum": 1.5, "maximum": 3}),
        ({"minLength": "2"}, {"minLength": 2}),
        ({"any_of": [{"min_items": "1"}]}, {"anyOf": [{"minItems": 1}]}),
        (
            {"type": "OBJECT", "properties": {"b": {}, "a": {}, "c": {}}, "propertyOrdering": ["a", "b", "x"]},
            {"type": "object", "properties": {"a": {}, "b": {}, "c": {}}},
        ),
    ],
)
def test_each_word_has_its_twin(schema: Any, expected: Any) -> None:
    assert made(schema) == expected
    assert list(made(schema).get("properties", ())) == list(expected.get("properties", ()))
    nested = {"items": schema, "properties": {"p": {"anyOf": [schema]}}, "$defs": {"d": {"not": schema}}}
    told = made(nested)
    assert told == {
        "items": expected,
        "properties": {"p": {"anyOf": [expected]}},
        "$defs": {"d": {"not": expected}},
    }


@pytest.mark.parametrize("key", ["enum", "const", "default", "examples", "example"])
def test_data_is_never_touched(key: str) -> None:
    data = [{"type": "STRING", "nullable": True, "minItems": "2"}]
    assert made({"type": "ARRAY", key: data}) == {"type": "array", key: data}


@pytest.mark.parametrize("name", ["type", "nullable", "format", "minItems", "any_of", "propertyOrdering"])
def test_members_may_be_called_like_keywords(name: str) -> None:
    assert made({"properties": {name: {"type": "STRING"}}}) == {"properties": {name: {"type": "string"}}}


def test_schema_of_json_schema_is_the_same_object() -> None:
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"], "minLength": 2}}, "required": []}
    assert made(schema) is schema
    assert made(True) is True


def test_what_is_no_type_is_told() -> None:
    told: list[tuple[str, str]] = []
    assert translated({"type": "FILE"}, "tools[0].schema", lambda path, why: told.append((path, why))) == {}
    assert told == [("tools[0].schema.type", "FILE is no type of JSON Schema; any is taken")]


@pytest.mark.parametrize("key", ["minItems", "maximum"])
@pytest.mark.parametrize("value", ["two", "", "1e999", "nan", "9" * 5000, "\u0663", "0x1"])
def test_number_that_is_none_stays_for_the_target_to_refuse(key: str, value: str) -> None:
    assert made({"type": "ARRAY", key: value}) == {"type": "array", key: value}


def test_large_schemas_take_a_moment() -> None:
    schema = {"type": "OBJECT", "properties": {f"p{n}": {"type": "STRING", "minLength": "1"} for n in range(20_000)}}
    before = time.process_time()
    made(schema)
    assert time.process_time() - before < 2
