"""The schema dialect: translated deterministically, bounded, data untouched."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import Refusal
from engine.hub.shape.schema import convert
from engine.hub.shape.work import Work


def made(schema: Any, report: list[tuple[str, str]] | None = None, **rules: Any) -> Any:
    """Convert by rules."""
    work = Work({"messages": []}, {}, {}, report if report is not None else [], ())
    return convert(schema, rules, "tools[0].schema", work)


@pytest.mark.parametrize(
    ("rules", "schema", "expected"),
    [
        (
            {"refs": "inline"},
            {"properties": {"a": {"$ref": "#/$defs/A", "description": "d"}}, "$defs": {"A": {"type": "string"}}},
            {"properties": {"a": {"type": "string", "description": "d"}}},
        ),
        ({"refs": "keep"}, {"$ref": "#/$defs/A", "$defs": {"A": {}}}, {"$ref": "#/$defs/A", "$defs": {"A": {}}}),
        ({"nullable": "keyword"}, {"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        (
            {"nullable": "keyword"},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            {"type": "string", "nullable": True},
        ),
        (
            {"nullable": "keyword", "types": "upper"},
            {"type": ["string", "integer"]},
            {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]},
        ),
        ({"nullable": "type_list"}, {"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"const": "enum"}, {"const": 1}, {"enum": [1]}),
        ({"drop": ["oneOf"]}, {"oneOf": [{"type": "string"}]}, {"anyOf": [{"type": "string"}]}),
        (
            {"drop": ["allOf"]},
            {"allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}, "required": ["b"]}]},
            {"properties": {"a": {}, "b": {}}, "required": ["a", "b"]},
        ),
        ({"additional": "drop"}, {"type": "object", "additionalProperties": False}, {"type": "object"}),
        ({"additional": "closed"}, {"type": "object"}, {"type": "object", "additionalProperties": False}),
        ({"types": "upper"}, {"enum": ["string"], "type": "string"}, {"enum": ["string"], "type": "STRING"}),
        ({"rename": {"prefixItems": "items"}}, {"prefixItems": [{"type": "string"}]}, {"items": [{"type": "string"}]}),
        ({"object_required": True}, {}, {"type": "object", "properties": {}}),
        ({"drop": ["title"]}, {"properties": {"title": {"title": "T"}}, "required": []}, {"properties": {"title": {}}}),
    ],
)
def test_dialects(rules: dict[str, Any], schema: Any, expected: Any) -> None:
    assert made(schema, **rules) == expected


def test_dropped_keywords_are_reported() -> None:
    report: list[tuple[str, str]] = []
    assert made({"type": "string", "format": "uri", "pattern": "x"}, report, allow=["type", "format"]) == {
        "type": "string",
        "format": "uri",
    }
    assert report[0][0] == "tools[0].schema.pattern"


RECURSIVE = {"$ref": "#/$defs/N", "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}}}


def test_a_schema_that_contains_itself_is_cut_with_a_report() -> None:
    report: list[tuple[str, str]] = []
    text = str(made(RECURSIVE, report, refs="inline"))
    assert "$ref" not in text
    assert report


def test_a_schema_that_contains_itself_may_be_refused() -> None:
    with pytest.raises(Refusal, match="contains itself"):
        made(RECURSIVE, refs="inline", recursive="refuse")


def test_references_can_not_grow_into_a_bomb() -> None:
    defs: dict[str, Any] = {"L0": {"type": "string"}}
    for level in range(1, 40):
        ref = {"$ref": f"#/$defs/L{level - 1}"}
        defs[f"L{level}"] = {"properties": {"a": ref, "b": ref}}
    with pytest.raises(Refusal, match="too large"):
        made({"$ref": "#/$defs/L39", "$defs": defs}, refs="inline")


def test_a_reference_that_leads_nowhere_is_reported() -> None:
    report: list[tuple[str, str]] = []
    assert made({"$ref": "https://x/y"}, report, refs="inline") == {}
    assert report


def test_a_keyword_that_is_lost_is_told_unless_it_says_nothing_of_the_values() -> None:
    report: list[tuple[str, str]] = []
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "minProperties": 1}
    assert made(schema, report, allow=["type"]) == {"type": "object"}
    assert [path for path, _ in report] == ["tools[0].schema.minProperties"]
