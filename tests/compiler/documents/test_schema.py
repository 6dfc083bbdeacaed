"""The schemas: every field is described, and what is compiled says which variables it may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest

from engine import paths
from engine.compiler import check_set
from engine.compiler.documents import load
from engine.compiler.documents.load import Source
from engine.compiler.documents.schema import fields, schema_of
from engine.compiler.documents.sets import KINDS
from engine.compiler.reference import rows


@pytest.mark.parametrize("kind", KINDS)
def test_schema_is_valid_json_schema(kind: str) -> None:
    jsonschema_rs.meta.validate(schema_of(kind))


def test_a_second_validator_judges_every_document_alike() -> None:
    """Speed is why documents are checked by the one in Rust; what it says is held against the older one here."""
    golden = sorted((Path(__file__).parent.parent / "golden_faults").glob("*.txt"))
    texts = [file.read_text(encoding="utf-8").partition("\n----\n")[0] for file in golden]
    texts += [source.text for source in load.read(paths.SPECS)[0] if "kind: Format" not in source.text]
    judged = []
    for document in (each for text in texts for each in load.parse(Source("t.yaml", text))[0]):
        kind = document.data.get("kind") if isinstance(document.data, dict) else None
        if kind in KINDS:
            older = jsonschema.Draft202012Validator(schema_of(kind)).is_valid(document.data)
            assert older == jsonschema_rs.Draft202012Validator(schema_of(kind)).is_valid(document.data), document.data
            judged.append(older)
    assert judged.count(True) > 50
    assert judged.count(False) > 10


def undescribed(schema: Any, path: str) -> Iterator[str]:
    if isinstance(schema, dict):
        for name, value in schema.get("properties", {}).items():
            if not value.get("description") and "$ref" not in value:
                yield f"{path}.{name}"
        for name, value in schema.items():
            yield from undescribed(value, f"{path}.{name}")


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described(kind: str) -> None:
    assert list(undescribed(schema_of(kind), kind)) == []
    assert [row.path for row in rows(kind) if not row.words] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_compiled_field_says_its_variables(kind: str) -> None:
    compiled = [row for row in rows(kind) if row.type in ("tree", "expression")]
    bare = [row.path for row in compiled if not row.variables and ".fragments." not in row.path]
    assert bare == []


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_keys_are_refused_at_every_depth(kind: str) -> None:
    def open_maps(schema: Any, path: str) -> Iterator[str]:
        if isinstance(schema, dict):
            if "properties" in schema and schema.get("additionalProperties") is not False:
                yield path
            for name, value in schema.items():
                yield from open_maps(value, f"{path}.{name}")

    left_open = [path for path in open_maps(schema_of(kind), kind) if not path.endswith(".properties")]
    assert left_open == []


def test_fields_are_found_with_path_variables_and_kind() -> None:
    text = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: p}
spec:
  baseUrl: https://p.example
  formats: {test.chat: {path: /c}}
  requestPatches:
    - {when: "true", set: {a: "{{ model }}"}}
  errors: [{when: status == 5, meaning: unknown}]
"""
    definitions, _, _ = check_set([Source("p.yaml", text)], [])
    definition = definitions.get("Provider", "p")
    assert definition is not None
    found = [(field.path[1:], field.variables, field.mapping) for field in fields(definition) if field.mapping]
    assert found == [
        (("requestPatches", 0, "when"), ("model", "body", "format", "traits", "header", "options"), "expression"),
        (("requestPatches", 0, "set", "a"), ("model", "body", "format", "traits", "header", "options"), "tree"),
        (("errors", 0, "when"), ("status", "header", "body"), "expression"),
    ]
