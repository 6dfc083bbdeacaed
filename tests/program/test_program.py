"""A Program is built from plain data and functions; its parts answer the few questions that belong to them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from engine import program
from engine.compiler.expressions import emit
from engine.compiler.mappings import trees
from tests.compiler.workbench import Bench


def functions(**sources: tuple[str, Any]) -> dict[str, program.Function]:
    """Functions of expressions: the name, then its variables in one text and the expression or tree."""
    compiled = []
    for name, (variables, tree) in sources.items():
        bench = Bench(variables=tuple(variables.split()))
        members = {"base": "name"} if "name" in bench.variables else {}
        compiled.append(trees.compile_function(name, tree, bench.variables, bench.scope(), members=members))
        assert not bench.faults
    return program.run(emit.module(compiled))


def provider(patch: dict[str, Any], found: dict[str, program.Function]) -> program.Provider:
    """A provider with one patch."""
    data = {"providers": [{"name": "p", "baseUrl": "https://p.example", "requestPatches": [patch]}]}
    return program.build("h", found, data).providers["p"]


def test_least_data_makes_a_program() -> None:
    built = program.build("h", {}, {"formats": [{"name": "f"}], "channels": [{"name": "c", "provider": "p"}]})
    assert built.formats["f"].passthrough_as == "f"
    assert built.formats["f"].stream is None
    assert built.channels[0].groups == ("default",)
    assert built.hash == "h"


def test_a_program_can_not_be_changed() -> None:
    built = program.build("h", {}, {})
    with pytest.raises(FrozenInstanceError):
        built.hash = "other"  # type: ignore[misc]


def test_patch_drops_renames_defaults_and_sets_in_this_order() -> None:
    found = functions(m_d=("model body format", "{{ 5 }}"), m_s=("model body format", "{{ model ~ body.a }}"))
    patch = provider(
        {
            "drop": ["gone", "deep.gone"],
            "rename": {"a": "deep.b"},
            "default": {"kept": "m_d", "new": "m_d"},
            "set": {"model": "m_s"},
        },
        found,
    ).patches[0]
    body = {"gone": 1, "deep": {"gone": 1, "stays": 2}, "a": 3, "kept": 0, "same": {"x": 1}}
    before = {"gone": 1, "deep": {"gone": 1, "stays": 2}, "a": 3, "kept": 0, "same": {"x": 1}}
    result = patch.apply([], "m", body, "f")
    assert result == {"deep": {"stays": 2, "b": 3}, "kept": 0, "same": {"x": 1}, "new": 5, "model": "m3"}
    assert body == before
    assert result["same"] is body["same"]


def test_patch_holds_back_for_other_models() -> None:
    patch = provider({"when": "m_w"}, functions(m_w=("model body format", "{{ model is startswith('r') }}"))).patches[0]
    assert patch.applies("r1", {}, "f")
    assert not patch.applies("s1", {}, "f")


def test_patch_sets_a_real_null() -> None:
    patch = provider({"set": {"a": "m_n"}}, functions(m_n=("model body format", {"$null": True}))).patches[0]
    assert patch.apply([], "m", {"a": 1}, "f") == {"a": None}


def test_alias_matches_whole_names_with_exceptions_and_gives_the_model() -> None:
    found = functions(
        m_model=("name", "{{ base }}"),
        m_hub=("name request options", {"reasoning": {"effort": "{{ name.effort }}"}}),
        m_set=("name body options", "{{ name.effort }}"),
    )
    data = {
        "name": "a",
        "match": "(?P<base>.+)-(?P<effort>low|high)",
        "except": ["x-.*"],
        "model": "m_model",
        "hub": "m_hub",
        "wire": {"f": [{"set": {"effort": "m_set"}}]},
    }
    alias = program.build("h", found, {"aliases": [data]}).aliases[0]
    groups = alias.match("m-high")
    assert groups == {"base": "m", "effort": "high"}
    assert alias.model(groups) == "m"
    assert alias.hub([], groups, {}) == {"reasoning": {"effort": "high"}}
    assert alias.patch([], "f", groups, {"a": 1}) == {"a": 1, "effort": "high"}
    assert alias.patch([], "other", groups, {"a": 1}) == {"a": 1}
    assert alias.match("m-high-er") is None
    assert alias.match("x-high") is None


def test_aliases_come_by_priority() -> None:
    data = [{"name": "a", "match": "a"}, {"name": "b", "match": "b", "priority": 5}]
    assert [alias.name for alias in program.build("h", {}, {"aliases": data}).aliases] == ["b", "a"]


@pytest.mark.parametrize(
    ("rule", "status", "body", "holds"),
    [
        ({"status": [429]}, 429, {}, True),
        ({"status": ["5xx"]}, 503, {}, True),
        ({"status": ["5xx"]}, 429, {}, False),
        ({"when": "m_when"}, 200, {"error": 1}, True),
        ({"when": "m_when"}, 200, {}, False),
        ({"status": [400], "when": "m_when"}, 400, {}, False),
        ({}, 500, {"error": 1}, False),
    ],
)
def test_error_rule(rule: dict[str, Any], status: int, body: Any, holds: bool) -> None:
    found = functions(m_when=("status header body", "{{ body.error is present }}"))
    data = {"formats": [{"name": "f", "error": {"rules": [{**rule, "meaning": "unknown"}]}}]}
    built = program.build("h", found, data).formats["f"].error.rules
    assert (built.find(status, {}, body) is not None) is holds


def test_schema_of_a_request_may_not_fetch_another() -> None:
    data = {"formats": [{"name": "f", "request": {"schema": {"$ref": "http://127.0.0.1:9/x.json"}}}]}
    with pytest.raises(Exception, match="refer only to itself"):
        program.build("h", {}, data)
