"""Extends and layers: what a document comes to, and where each of its values stands."""

from __future__ import annotations

import time

from engine.compiler import check_set, compile_set
from engine.compiler.documents.extends import merge
from engine.compiler.documents.load import Source
from engine.compiler.documents.schema import MANY
from engine.compiler.documents.sets import Definitions

PARENT = """
apiVersion: gatewright/v1
kind: Policy
metadata: {name: parent}
spec:
  retries: {times: 2, on: [timeout]}
  timeouts:
    connect: 5
    idle: 300
"""
CHILD = """
apiVersion: gatewright/v1
kind: Policy
metadata: {name: child}
extends: parent
spec:
  retries: {on: [overloaded]}
  timeouts:
    idle: 10
"""


def resolved(*texts: str, layers: tuple[int, ...] = ()) -> Definitions:
    sources = [Source(f"{number}.yaml", text, layers[number] if layers else 0) for number, text in enumerate(texts)]
    definitions, _, faults = check_set(sources, [])
    assert not faults, [fault.as_text() for fault in faults]
    return definitions


def test_maps_merge_at_every_depth_and_lists_are_replaced() -> None:
    child = resolved(CHILD, PARENT).get("Policy", "child")
    assert child is not None
    assert child.spec == {"retries": {"times": 2, "on": ["overloaded"]}, "timeouts": {"connect": 5, "idle": 10}}


def test_null_removes_what_was_inherited() -> None:
    assert merge({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": None}, "d": None, "e": None}) == {"a": {"c": 2}}


def test_each_value_keeps_the_place_of_the_document_it_came_from() -> None:
    child = resolved(CHILD, PARENT).get("Policy", "child")
    assert child is not None
    assert str(child.where(("spec", "timeouts", "connect"))) == "1.yaml:8:14"
    assert str(child.where(("spec", "timeouts", "idle"))) == "0.yaml:9:11"
    assert str(child.where(("spec", "retries", "times"))) == "1.yaml:6:20"


def test_a_chain_of_parents_is_followed() -> None:
    grandchild = CHILD.replace("name: child", "name: grandchild").replace("extends: parent", "extends: child")
    definition = resolved(grandchild.replace("idle: 10", "idle: 1"), CHILD, PARENT).get("Policy", "grandchild")
    assert definition is not None
    assert definition.spec["timeouts"] == {"connect": 5, "idle": 1}
    assert len(definition.chain) == 3


def test_a_higher_layer_takes_the_place_of_a_document_of_the_same_name() -> None:
    own = PARENT.replace("times: 2", "times: 9")
    definitions = resolved(own, PARENT, CHILD, layers=(1, 0, 0))
    parent, child = definitions.get("Policy", "parent"), definitions.get("Policy", "child")
    assert parent is not None
    assert child is not None
    assert parent.spec["retries"]["times"] == 9
    assert child.spec["retries"]["times"] == 9


def test_a_document_may_extend_the_one_that_it_replaces() -> None:
    own = (
        "apiVersion: gatewright/v1\nkind: Policy\nmetadata: {name: parent}\nextends: parent\nspec: {unpriced: allow}\n"
    )
    parent = resolved(own, PARENT, layers=(1, 0)).get("Policy", "parent")
    assert parent is not None
    assert parent.spec["unpriced"] == "allow"
    assert parent.spec["timeouts"] == {"connect": 5, "idle": 300}


def test_metadata_and_tests_are_not_inherited() -> None:
    parent = PARENT + "tests: [{name: t}]\n"
    child = resolved(CHILD, parent).get("Policy", "child")
    assert child is not None
    assert "tests" not in child.data
    assert child.data["metadata"] == {"name": "child"}


def test_nothing_is_required_of_an_abstract_document_but_its_children_must_be_whole() -> None:
    head = "apiVersion: gatewright/v1\nkind: Provider\n"
    base = head + "metadata: {name: base, abstract: true}\nspec: {auth: {scheme: none}}\n"
    child = head + "metadata: {name: c}\nextends: base\n"
    _, _, faults = check_set([Source("a.yaml", base), Source("b.yaml", child)], [])
    assert [(fault.document, fault.message) for fault in faults] == [
        ("Provider/c", "spec has no baseUrl"),
        ("Provider/c", "spec has no formats"),
    ]


FORMAT = "apiVersion: gatewright/v1\nkind: Format\nmetadata: {name: words}\nspec: {}\n"
PROVIDER = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: vendor}
spec:
  baseUrl: https://vendor.example
  formats: {words: {path: /words}}
  auth: {scheme: none}
  channelTypes: {newApi: [34]}
"""
CHANGE = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: mine}
extends: vendor
spec: {baseUrl: https://mine.example}
"""


def test_what_belongs_to_one_document_is_not_inherited() -> None:
    definition = resolved(CHANGE, PROVIDER, FORMAT).get("Provider", "mine")
    assert definition is not None
    assert "channelTypes" not in definition.spec
    assert definition.spec["formats"] == {"words": {"path": "/words"}}


def test_a_document_in_place_of_another_keeps_what_belongs_to_it() -> None:
    change = CHANGE.replace("name: mine", "name: vendor")
    definition = resolved(change, PROVIDER, FORMAT, layers=(1, 0, 0)).get("Provider", "vendor")
    assert definition is not None
    assert definition.spec["channelTypes"] == {"newApi": [34]}


def test_a_chain_without_end_in_sight_is_a_fault_and_no_failure() -> None:
    policy = "apiVersion: gatewright/v1\nkind: Policy\nmetadata: {{name: p{}}}\nextends: p{}\nspec: {{}}\n"
    texts = [policy.format(f"{number:04}", f"{number + 1:04}") for number in range(2000)]
    found = compile_set([Source("chain.yaml", "---\n".join(texts))], []).faults
    assert {fault.code for fault in found} == {"too-large", "unknown-parent"}


def test_keys_without_number_that_nobody_reads_are_told_in_bounded_time() -> None:
    keys = "".join(f"  k{number}: 1\n" for number in range(20_000))
    text = f"apiVersion: gatewright/v1\nkind: Policy\nmetadata: {{name: p}}\nspec:\n{keys}"
    began = time.process_time()
    assert len(compile_set([Source("wide.yaml", text)], []).faults) == MANY
    assert time.process_time() - began < 10
