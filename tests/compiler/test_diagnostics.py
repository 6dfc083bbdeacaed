"""Faults as people read them: each golden file holds documents, dashes, and the words for what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.compiler import compile_set
from engine.compiler.diagnostics import Fault, Place, describe, in_order, nearest, path_text, summary
from engine.compiler.documents.load import Source

GOLDEN = sorted((Path(__file__).parent / "golden_faults").glob("*.txt"))


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_golden_faults(file: Path) -> None:
    documents, _, expected = file.read_text(encoding="utf-8").partition("\n----\n")
    shipped = "apiVersion: gatewright/v1\nkind: Format\nmetadata: {name: shipped.chat}\n"
    result = compile_set([Source("shipped.yaml", shipped), Source("acme.yaml", documents + "\n")], [])
    assert "\n\n".join(fault.as_text() for fault in result.faults) == expected.rstrip("\n")
    assert result.artefact is None


def test_nearest_sees_through_case_and_separators() -> None:
    assert nearest("base_url", ["baseUrl", "base"]) == "baseUrl"


def test_nearest_offers_nothing_when_nothing_is_close() -> None:
    assert nearest("zzz", ["baseUrl", "formats"]) is None


def test_path_text_quotes_keys_that_are_no_words() -> None:
    assert path_text(("spec", "formats", "a.b", 0, "$if")) == "spec.formats['a.b'][0].$if"


def test_caret_stands_under_the_column_behind_tabs() -> None:
    text = Fault("yaml-syntax", "m", Place("f", 1, 3, "\t\tx: y")).as_text()
    assert text.splitlines()[1:] == ["    1 | \t\tx: y", "      | \t\t^"]


def test_a_long_line_is_shown_around_the_column() -> None:
    shown = Fault("yaml-syntax", "m", Place("f", 1, 5001, "a" * 5000 + "X" + "b" * 5000)).as_text().splitlines()
    assert len(shown[1]) < 200
    assert shown[1][shown[2].index("^")] == "X"


def test_json_leaves_out_what_is_not_known() -> None:
    fault = Fault("unknown-key", "nobody reads 'x'", Place("f", 2, 3, "x: 1"), "spec.x", nearest="y")
    assert fault.as_json() == {
        "code": "unknown-key",
        "severity": "error",
        "file": "f",
        "line": 2,
        "column": 3,
        "path": "spec.x",
        "message": "nobody reads 'x'",
        "nearest": "y",
        "text": "x: 1",
    }


def test_the_same_fault_is_told_once_and_in_the_order_of_places() -> None:
    late, early = Fault("a", "m", Place("f", 9)), Fault("b", "m", Place("f", 2))
    assert in_order([late, early, late]) == [early, late]


def test_summary_counts_errors_and_warnings() -> None:
    warning = Fault("truthiness", "m", Place("f"), severity="warning")
    assert summary([warning]) == "1 warning"
    assert summary([]) == "0 faults"
    assert summary([Fault("a", "m", Place("f")), warning]) == "1 fault, 1 warning"


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "null"), (True, "the boolean true"), (3, "the number 3"), ([1], "a list of 1"), ({}, "an empty map")],
)
def test_describe_tells_type_and_value(value: object, words: str) -> None:
    assert describe(value) == words


IN_CLEAR = "sk-live-0123456789abcdef"
SHAPES = (
    "  credential: {}",
    "  apiKey: {}",
    "  headers: {{set: {{authorization: Bearer {}}}, x: 1}}",
    "  auth: {{scheme: bearer, secret: {}}}",
    "  baseUrl: [{}",
    "  name: a, {}: {{{{ x",
    "  models: {}",
    "  timeouts: {{idle: {}}}",
)
"""Places where people write a secret that does not belong there, in documents that are refused."""


@pytest.mark.parametrize("shape", SHAPES)
def test_the_log_of_a_faulty_document_repeats_no_secret_of_it(shape: str) -> None:
    head = "apiVersion: gatewright/v1\nkind: Provider\nmetadata: {name: acme}\nspec:\n"
    text = f"{head}{shape.format(IN_CLEAR)}\n"
    result = compile_set([Source("acme.yaml", text)], [])
    assert result.faults
    lines = [fault.as_log() for fault in result.faults]
    assert all(line.startswith("acme.yaml:") and "\n" not in line for line in lines)
    assert IN_CLEAR not in "\n".join(lines)
