"""The judge of the cases: places and values as the page beside the cases says; what can't be judged is an error."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.reports.money import run
from tests.reports.places import Seen, events_of, faults, look, losses
from tests.reports.values import ABSENT, fault

STREAM = """event: a
data: {"type": "a", "x": {"text": "River "}}

data: {"type": "b", "y": [{"text": "stone."}]}

data: [DONE]

"""
BODY = {"a": [{"b": 1}, {"b": "two"}], "n": None, "deep": {"$ref": 1, "description": 2}}
SEEN = Seen(BODY, events_of(STREAM), {"status": 200, "statuses": [200, 402], "later": lambda: 5})
HIDDEN = base64.b64encode(b"the inner words").decode()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("a[0].b", 1), ("a[-1].b", "two"), ("a[2].b", ABSENT), ("n", None), ("n.x", ABSENT), ("a.1.b", "two"),
        ("$status", 200), ("$statuses:[1]", 402), ("$later", 5), ("$count:text", 2), ("$joined:text", "River stone."),
        ("$find:b;y[0].text", "stone."), ("$find:c;y", ABSENT), ("$count_events:a", 1), ("$body", BODY),
    ],
)  # fmt: skip
def test_places(place: str, value: Any) -> None:
    assert look(SEEN, place) == value


@pytest.mark.parametrize(
    ("value", "wanted", "holds"),
    [
        (1, 1, True), (1, True, False), (True, True, True), ({"a": 1}, {"a": 1}, True),
        (ABSENT, {"absent": True}, True),
        (None, {"absent": True}, False), ("", {"present": True}, True), (3, {"one_of": [1, {"at_least": 3}]}, True),
        ("x", {"not": "x"}, False), (5, {"not": {"at_most": 4}}, True), ([1, 2], {"length": 2}, True),
        ("abc", {"max_length": 2}, False), (5, {"at_least": 2, "at_most": 4}, False), (True, {"at_least": 0}, False),
        ({"k": "a b"}, {"contains_text": ["a", "b"]}, True), ("ab", {"contains_one": ["x", "b"]}, True),
        (["k1"], {"lacks_text": '"k1"'}, False), (["k12"], {"lacks_text": '"k1"'}, True),
        (ABSENT, {"lacks_text": "a"}, True),
        ({"d": HIDDEN}, {"decoded_contains": "inner"}, True), ({"d": HIDDEN}, {"contains_text": "inner"}, False),
        ("ab1", {"matches": "^[a-z0-9]{3}$"}, True), (1, {"same_path": "a[0].b"}, True),
        (1, {"not_path": "a[0].b"}, False),
        (BODY, {"not_keys_together": ["$ref", "description"]}, False),
        (BODY, {"not_keys_together": ["$ref", "b"]}, True),
    ],
)  # fmt: skip
def test_values(value: Any, wanted: Any, holds: bool) -> None:
    assert (fault(value, wanted, lambda place: look(SEEN, place)) is None) is holds


def test_words_that_nobody_knows_are_errors() -> None:
    with pytest.raises(ValueError, match="unknown words"):
        fault(1, {"at_least": 1, "at_lest": 2}, lambda place: None)
    with pytest.raises(ValueError, match="nothing is known"):
        look(SEEN, "$elsewhere")


def test_one_way_that_holds_is_enough() -> None:
    wrong, right = [["$status", 500]], [["$status", 200], ["a", {"length": 2}]]
    assert not faults(lambda _: SEEN, {"assert": wrong, "any": [{"assert": right}]})
    assert faults(lambda _: SEEN, {"assert": wrong, "any": [{"assert": [*right, *wrong]}]})


def test_losses_without_a_reason_are_told() -> None:
    assert losses("a.b=dropped; seed; c=why not") == ["seed"]


COMMANDS = """
case: commands
about: days of budgets begin at midnight of the zone
settings: {TZ: Asia/Shanghai}
steps:
- gatewright budget set --user root --period day --quota 1000
- [budget, list, --json]
expect: {status: 0, resets_mod_86400: 57600, body_has: ["1000"]}
"""
TLS = """
case: tls
about: nobody vouches for the certificate
specs: |
  apiVersion: gatewright/v1
  kind: Provider
  metadata: {name: alder}
  extends: openai-compatible
  spec: {baseUrl: "https://UPSTREAM/alder", auth: {scheme: none}, models: [fx]}
  ---
  apiVersion: gatewright/v1
  kind: Price
  metadata: {name: fx}
  spec: {models: [{names: [fx], tokens: {input: 2, output: 10}}]}
upstream_tls: true
upstream:
  /alder/chat/completions: {body: {choices: []}}
request: {path: /v1/chat/completions, body: {model: fx, messages: [{role: user, content: TEXT}]}, text_bytes: 10}
expect: {status: 503, rows: 0, quota: 0, ends_whole: true, done_within: 30}
"""


@pytest.mark.parametrize("case", [COMMANDS, TLS], ids=["commands", "tls"])
def test_what_the_runner_of_money_can_do(case: str, tmp_path: Path) -> None:
    told = yaml.safe_load(case)
    assert not run(told, tmp_path / "right")
    assert run({**told, "expect": {**told["expect"], "status": 418}}, tmp_path / "wrong")
