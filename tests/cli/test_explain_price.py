"""`gatewright explain --price`: the rule of a model with its place, and how it makes a charge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from engine import paths
from engine.cli import main

DOCUMENTS = """
apiVersion: gatewright/v1
kind: Format
metadata: {name: f}
spec:
  usage:
    at: "{{ body.usage }}"
    counts: {input: {path: in}, output: {path: out}, cache_read: {path: cached, of: input}}
---
apiVersion: gatewright/v1
kind: Alias
metadata: {name: high}
spec: {match: "(?P<base>.+)-high", model: base}
---
apiVersion: gatewright/v1
kind: Price
metadata: {name: p}
spec:
  source: https://prices.example
  date: 2026-01-02
  groups: {vip: 0.5}
  models:
    - names: [m]
      tokens: {input: 2, output: 8, cache_read: 0.2}
      adjust: [{name: flex, when: "body.tier == 'flex'", factor: 0.5}]
    - {names: [old], until: 2026-01-01, call: 0.5}
"""


@pytest.fixture(autouse=True)
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "all.yaml").write_text(DOCUMENTS)
    monkeypatch.setattr(paths, "SPECS", shipped)
    monkeypatch.setattr(paths, "TEMPLATES", tmp_path / "templates")
    monkeypatch.setenv("GATEWRIGHT_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["explain", "--price", *arguments])


def told(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_rule_is_told_with_file_line_and_source() -> None:
    rule = told("--model", "m")["rule"]
    assert (rule["name"], rule["place"]) == ("Price/p", "shipped/all.yaml:23")
    assert (rule["source"], rule["date"]) == ("https://prices.example", "2026-01-02")
    assert (rule["dollars"]["input"], rule["ratios"]["model_ratio"]) == ("2", 1)


def test_a_usage_in_the_callers_format_is_priced_by_bucket_and_factor(specs: Path) -> None:
    (specs / "usage.json").write_text('{"usage": {"in": 1000, "out": 100, "cached": 500}, "tier": "flex"}')
    (specs / "body.json").write_text('{"tier": "flex"}')
    charge = told("--model", "m-high", "--usage", "usage.json", "--body", "body.json", "--key", "vip")["charge"]
    assert [(line["bucket"], line["units"], line["amount"]) for line in charge["lines"]] == [
        ("input", 500, "250"),
        ("cache_read", 500, "25"),
        ("output", 100, "200"),
    ]
    assert charge["factors"] == {"flex": "0.5"}
    assert (charge["usd"], charge["quota"]) == ("0.000475", 238)


def test_buckets_of_ours_are_taken_as_they_are(specs: Path) -> None:
    (specs / "usage.json").write_text('{"input_fresh": 10, "cache_read": 10}')
    assert told("--model", "m", "--usage", "usage.json")["charge"]["quota"] == 11


def test_the_text_has_rule_lines_and_total() -> None:
    output = run("--model", "m", "--key", "vip").output
    for words in (
        "Price/p at shipped/all.yaml:23",
        "input",
        "x $8 per 1M tokens",
        "group_ratio: x 0.5",
        "= 2500 units",
    ):
        assert words in output, output


def test_the_rule_is_the_one_in_force_at_the_time() -> None:
    assert told("--model", "old", "--at", "2025-12-31")["charge"]["quota"] == 250_000
    assert run("--model", "old", "--at", "2026-01-01").exit_code == 1


def test_a_model_without_a_price_says_what_would_happen_and_how_to_mend_it() -> None:
    result = run("--model", "unheard-of")
    assert result.exit_code == 1
    for words in ("unheard-of", "refused", "model_price_error", "Price document", "ModelRatio"):
        assert words in result.output


def test_a_usage_of_which_nothing_is_known_is_no_charge_of_nothing(specs: Path) -> None:
    (specs / "usage.json").write_text('{"heard": 10, "spoken": 3}')
    result = run("--model", "m", "--usage", "usage.json")
    assert result.exit_code == 2
    assert "nothing of it is known to f" in result.output
    assert "no Format knows it" in result.output


def test_a_usage_of_another_format_names_it(specs: Path) -> None:
    other = """
---
apiVersion: gatewright/v1
kind: Format
metadata: {name: talk}
spec: {usage: {at: "{{ body.toll }}", counts: {input: {path: heard}, output: {path: spoken}}}}
"""
    (specs / "shipped" / "all.yaml").write_text(DOCUMENTS + other)
    (specs / "usage.json").write_text('{"heard": 1000000, "spoken": 0}')
    assert "it is known to talk" in run("--model", "m", "--usage", "usage.json").output
    assert told("--model", "m", "--from", "talk", "--usage", "usage.json")["charge"]["usd"] == "2"
    (specs / "usage.json").write_text('{"toll": {"heard": 1000000, "spoken": 0}}')
    assert told("--model", "m", "--from", "talk", "--usage", "usage.json")["charge"]["usd"] == "2"
