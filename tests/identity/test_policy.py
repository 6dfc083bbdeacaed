"""Rules over what a service says of a person, as New API's console keeps them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.identity import policy

PERSON = {
    "level": 3,
    "text_level": "3",
    "active": True,
    "groups": ["staff", "dev"],
    "org": {"name": "corp"},
    "none": None,
}


@pytest.mark.parametrize(
    ("field", "op", "value", "fits"),
    [
        ("level", "eq", "3", True),
        ("text_level", "gte", 3, True),
        ("level", "gt", 3, False),
        ("level", "lt", 3.5, True),
        ("level", "lte", 2, False),
        ("active", "eq", True, True),
        ("active", "eq", 1, False),
        ("active", "gt", 0, False),
        ("groups", "contains", "dev", True),
        ("groups", "not_contains", "dev", False),
        ("groups.0", "eq", "staff", True),
        ("groups.7", "exists", None, False),
        ("org.name", "in", ["corp", "x"], True),
        ("org.name", "not_in", ["corp"], False),
        ("org.name", "not_in", "corp", False),
        ("none", "not_exists", None, True),
        ("org.name.deeper", "exists", None, False),
    ],
)
def test_a_condition(field: str, op: str, value: Any, fits: bool) -> None:
    rule = orjson.dumps({"conditions": [{"field": field, "op": op, "value": value}]}).decode()
    assert policy.holds(policy.parse(rule), PERSON) is fits


def test_groups_by_and_or() -> None:
    yes, no = {"field": "level", "op": "eq", "value": 3}, {"field": "level", "op": "eq", "value": 4}
    both = {"logic": "and", "conditions": [yes], "groups": [{"logic": "or", "conditions": [no, yes]}]}
    assert policy.holds(policy.parse(orjson.dumps(both).decode()), PERSON)
    both["groups"][0]["logic"] = "and"  # type: ignore[index]
    assert not policy.holds(policy.parse(orjson.dumps(both).decode()), PERSON)


@pytest.mark.parametrize(
    "rule",
    [
        *("{", "[]", "{}", '{"conditions": []}', '{"conditions": [{"field": 1, "op": "eq"}]}'),
        *('{"conditions": [{"field": "a", "op": "like"}]}', '{"logic": "xor"}', '{"groups":[' * 10 + "{}" + "]}" * 10),
    ],
)
def test_a_rule_that_can_not_be_read_lets_nobody_in(rule: str) -> None:
    with pytest.raises(ValueError, match=r"it (is|has)|a rule|a condition|`logic`"):
        policy.parse(rule)
    ((when, refusal),) = policy.conditions(rule, "no")
    assert when([], {}, None, {"user": PERSON}, {}) is False
    assert refusal([], {}, None, {}, {}) == "no"
