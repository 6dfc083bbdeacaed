"""Shaping on generated and on hostile conversations: an orderly result or a refusal that names the field."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import CallError
from engine.hub.shape import shape

HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
TEXT = st.text(max_size=5)
CTX = {"format": "alpha", "target": "beta", "model": "m"}


def maps(values: st.SearchStrategy[Any], *names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Maps with some of the members."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, values))


def parts(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Parts of every kind."""
    kinds = ["text", "image", "file", "thinking", "tool_call", "tool_result", "server_call", "unknown", "json"]
    members = dict.fromkeys(
        ["text", "id", "name", "arguments", "signature", "signature_of", "encrypted", "custom"], values
    )
    inner = st.lists(st.fixed_dictionaries({"type": st.sampled_from(kinds)}, optional={"text": values}), max_size=2)
    members |= {"source": maps(values, "url", "data", "id", "mime") | values, "parts": inner}
    return st.fixed_dictionaries({"type": st.sampled_from(kinds)}, optional=members)


def requests(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Requests as decode yields them: the structure holds, what stands in it may be anything."""
    message = st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "parts": st.lists(parts(values), max_size=4)}
    )
    tool = st.fixed_dictionaries(
        {"kind": st.sampled_from(["function", "custom", "server"])},
        optional={"name": values, "schema": values, "strict": values},
    )
    return st.fixed_dictionaries(
        {"messages": st.lists(message, max_size=6)},
        optional={
            "tools": st.lists(tool, max_size=3),
            "tool_choice": maps(values, "mode", "names"),
            "output": maps(values, "type", "schema", "name") | st.just({"type": "json"}),
            "sampling": maps(values, "temperature", "top_p"),
            "reasoning": maps(values, "enabled", "budget"),
            "stop": values,
            "max_tokens": values,
        },
    )


RULES = st.fixed_dictionaries(
    {},
    optional={
        "turns": st.fixed_dictionaries(
            {},
            optional={
                "alternate": st.booleans(),
                "first": st.just("user"),
                "system": st.sampled_from(["field", "first", "anywhere"]),
                "system_late": st.sampled_from(["hoist", "user"]),
                "results": st.sampled_from(["in_user", "own_message"]),
                "results_follow_calls": st.booleans(),
                "empty": st.sampled_from(["drop", "..."]),
            },
        ),
        "media": st.just({"image": {"url": "fetch", "types": ["image/png"]}, "file": {"url": "refuse", "data": False}}),
        "tools": st.just(
            {"kinds": ["function"], "name": {"pattern": "[a-z]+", "max": 30}, "schema": {"refs": "inline"}}
        )
        | st.just(
            {"schema": {"nullable": "keyword", "drop": ["allOf", "oneOf"], "const": "enum", "object_required": True}}
        ),
        "ids": st.just({"pattern": "[a-z0-9]+", "max": 20, "prefix": "c"}) | st.just({"exists": False}),
        "numbers": st.just(
            {"temperature": {"min": 0, "max": 1, "from_max": 2}, "stop": {"max": 1}, "max_tokens": {"default": 5}}
        ),
        "thinking": st.sampled_from(
            [{"accepts": "none"}, {"accepts": "text"}, {"signature": "required", "foreign": "text"}]
        ),
        "output": st.sampled_from([["native"], ["tool", "instructions"], ["instructions"], []]),
    },
)


def shaped(request: dict[str, Any], rules: dict[str, Any]) -> dict[str, Any] | None:
    """The shaped request, or nothing where it was refused."""
    before = copy.deepcopy(request)
    try:
        made, _ = shape(request, rules, CTX, [], lambda url: ("image/png", b"x"))
    except CallError as refusal:
        return None if refusal.param else {}
    finally:
        assert repr(request) == repr(before)
    return made


@settings(max_examples=300, deadline=None)
@given(requests(HOSTILE), RULES)
def test_hostile_values_are_refused_or_pass(request: dict[str, Any], rules: dict[str, Any]) -> None:
    assert shaped(request, rules) != {}, "a refusal names no field"


@settings(max_examples=200, deadline=None)
@given(requests(TEXT), RULES)
def test_what_is_demanded_of_turns_holds(request: dict[str, Any], rules: dict[str, Any]) -> None:
    made = shaped(request, rules)
    if made is None:
        return
    turns = rules.get("turns") or {}
    roles = [message["role"] for message in made["messages"]]
    talk = [role for role in roles if role != "system"]
    assert all(pair != ("assistant", "assistant") for pair in pairwise(roles))
    if turns.get("system", "anywhere") != "anywhere":
        assert roles == sorted(roles, key=lambda role: role != "system")
        if turns.get("alternate"):
            assert all(one != other or one == "tool" for one, other in pairwise(talk))
        if turns.get("first"):
            assert talk[0] == "user"
    if turns.get("results") == "in_user":
        assert "tool" not in roles


@settings(max_examples=100, deadline=None)
@given(requests(TEXT), RULES)
def test_shaping_is_deterministic(request: dict[str, Any], rules: dict[str, Any]) -> None:
    assert json.dumps(shaped(request, rules)) == json.dumps(shaped(request, rules))
