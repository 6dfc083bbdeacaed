"""Mappings: maps, lists and leaves, functions that can be stored, and the golden cases."""

from __future__ import annotations

import contextlib
import json
import marshal
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import program
from engine.compiler.analyses import read_paths
from engine.compiler.directives import DIRECTIVES
from engine.compiler.expressions import emit
from engine.compiler.mappings import trees
from engine.errors import CallError, MappingError
from engine.filters import NULL
from tests.compiler.workbench import AT, Bench, faults, run

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.txt"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_mapping(path: Path) -> None:
    """Input and expected result stand in one file, a line of dashes between."""
    given, _, wanted = path.read_text(encoding="utf-8").partition("\n" + "-" * 20 + "\n")
    case, expected = yaml.safe_load(given), json.loads(wanted)
    bench = Bench(tables=case.get("tables", {}), fragments=case.get("fragments", {}))
    functions = bench.functions(case["mapping"])
    if "faults" in expected:
        assert [[fault.code, fault.path, fault.message] for fault in bench.faults] == expected["faults"]
        return
    assert not bench.faults, "\n".join(fault.as_text() for fault in bench.faults)
    function = program.run(emit.module(functions))["m_test"]
    results = []
    for body in case["bodies"]:
        report: list[tuple[str, str]] = []
        try:
            found: dict[str, Any] = {"gives": function(report, body)}
        except (CallError, MappingError) as ex:
            found = {"raises": f"{type(ex).__name__}: {ex}"}
        results.append(found | ({"reports": [list(line) for line in report]} if report else {}))
    assert results == expected["results"]


def test_there_are_golden_cases() -> None:
    assert len(GOLDEN) >= 10


def test_same_input_gives_the_same_bytes_in_every_process() -> None:
    script = (
        "import marshal, sys, hashlib; from tests.compiler.workbench import Bench; from engine.compiler import emit;"
        "t={'a': '{{ body.x | matches(\"a\") }}',"
        "'b': [{'$for': 'x in body.l', '$do': {'c': '{{ x | lookup(\"t\") }}'}}]};"
        "print(hashlib.sha256(marshal.dumps(emit.module(Bench(tables={'t': {'a': 'b'}}).functions(t)))).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert len(found.pop()) > 60


def test_artefact_loads_without_yaml_and_jinja() -> None:
    functions = Bench().functions({"a": "{{ body.a | upper }}", "b": "{{ body.a | matches('x') }}"})
    data = {"formats": [{"name": "f", "request": {"decode": "m_test", "schema": {"type": "object"}}}]}
    artefact = program.dump("h", emit.module(functions), data)
    script = (
        "import sys; from engine.program import load; p = load(sys.stdin.buffer.read());"
        "print(p.formats['f'].decode_request([], {'a': 'x'}), sorted({'yaml', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], input=artefact, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "{'a': 'X', 'b': True} []"


@pytest.mark.parametrize("content", [b"", b"junk", marshal.dumps({"version": 0}), marshal.dumps([1])])
def test_bytes_that_are_no_artefact_are_refused(content: bytes) -> None:
    with pytest.raises(program.ArtefactError, match="compile the documents again"):
        program.load(content)


def test_each_call_makes_its_own_literals() -> None:
    function = Bench().compiled({"a": [], "b": {"c": [1]}, "d": {"$raw": {"e": []}}})
    first = function([], {})
    first["a"].append(1)
    first["b"]["c"].append(2)
    first["d"]["e"].append(3)
    assert function([], {}) == {"a": [], "b": {"c": [1]}, "d": {"e": []}}


def test_null_as_the_whole_result_is_the_sentinel() -> None:
    assert run({"$null": True}) is NULL


def test_members_are_bare_names_for_keys_of_a_variable() -> None:
    bench = Bench(variables=("name", "request"))
    tree = {"model": "{{ base }}", "effort": "{{ name.effort }}", "asked": "{{ request.model }}"}
    members = {"base": "name", "effort": "name"}
    function = trees.compile_function("m_test", tree, bench.variables, bench.scope(), at=AT, members=members)
    compiled = program.run(emit.module([function]))["m_test"]
    assert compiled([], {"base": "m", "effort": None}, {"model": "m-x"}) == {"model": "m", "asked": "m-x"}


def test_empty_value_says_what_to_write_instead() -> None:
    found = faults({"a": None})
    assert [(fault.code, fault.path) for fault in found] == [("wrong-type", "spec.request.decode.a")]
    assert "$null" in str(found[0].expected)


def test_key_with_an_expression_is_a_fault() -> None:
    assert [fault.code for fault in faults({"{{ body.k }}": 1})] == ["bad-expression"]


@pytest.mark.parametrize(
    ("tree", "paths"),
    [
        ("{{ body.a.b }}", {"a.b"}),
        ("body.a.b", {"a.b"}),
        ("{{ body.a[0].b }}", {"a.b"}),
        ("{{ body['a'].b | default(body.c) }}", {"a.b", "c"}),
        ("{{ body }}", {"*"}),
        ("{{ 1 if body is map }}", set()),
        ("{{ body | has('a') }}", {"a"}),
        ({"$for": "x in body.list", "$when": "x.on", "$do": {"y": "{{ x.y }}"}}, {"list", "list.on", "list.y"}),
        ({"$for": "k, v in body.map", "$do": "{{ k ~ v }}"}, {"map"}),
        ({"$let": {"s": "{{ body.sampling | default({}) }}"}, "$in": {"a": "{{ s.top_k }}"}}, {"sampling.top_k"}),
        ({"$let": {"body": {"a": "{{ body.b }}"}}, "$in": "{{ body.c }}"}, {"b"}),
        (
            {"$switch": "body.kind", "$case": {"a": "{{ body.a }}", "_": {"$if": "body.b", "$then": 1}}},
            {"kind", "a", "b"},
        ),
        ({"$use": "f", "$with": {"x": "{{ body.tool }}"}}, {"tool.name"}),
        ({"$use": "f", "$with": {"x": {"inner": "{{ body.tool }}"}}}, {"tool"}),
        ({"$use": "loop", "$with": {"x": "{{ body }}"}}, {"kind", "next.kind", "next.?"}),
        ({"$if": "body.a is present and body.b.c is string", "$then": "{{ body.d }}"}, {"a.?", "b.c", "d"}),
        (
            {"$for": "x in body.list | where('kind', 'k') | kinds('t')", "$do": "{{ x.y }}"},
            {"list", "list.kind", "list.y"},
        ),
        ({"a": "{{ (body.list | find('name', body.n)).value }}"}, {"list.name", "list.value", "n"}),
        (
            {"$let": {"l": "{{ body.list | pluck('inner') | flatten }}"}, "$in": "{{ l | pluck('y') }}"},
            {"list.inner.y"},
        ),
        ({"$merge": ["{{ body.extensions['own'] }}", {"a": "{{ body.b | tojson }}"}]}, {"extensions.own", "b"}),
        ({"$raw": "{{ body.a }}"}, set()),
    ],
)
def test_reads_are_known_without_running(tree: Any, paths: set[str]) -> None:
    fragments = {
        "f": {"args": ["x"], "do": {"n": "{{ x.name }}"}},
        "loop": {"args": ["x"], "do": [{"$if": "x.kind", "$then": {"$use": "stop", "$with": {"x": "{{ x.next }}"}}}]},
        "stop": {"args": ["x"], "do": {"$if": "x is present", "$then": "{{ x.kind }}"}},
    }
    assert read_paths.reads(tree, "body", Bench(fragments=fragments).scope()) == paths


def test_reads_of_a_fragment_that_uses_itself_end() -> None:
    fragments = {
        "f": {"args": ["x"], "do": [{"$for": "y in x.parts", "$do": {"$use": "f", "$with": {"x": "{{ y }}"}}}]}
    }
    found = read_paths.reads({"$use": "f", "$with": {"x": "{{ body }}"}}, "body", Bench(fragments=fragments).scope())
    assert "parts" in found


KEYS = [*DIRECTIVES, "$do", "$in", "$case", "$with", "$then", "$else", "$when", "$key", "$why", "a", "_"]
LEAVES = [
    "{{ body.a }}",
    "x in body",
    "i, x in body.l",
    "body.a is string",
    "{{ x }}",
    "text",
    "f",
    "",
    1,
    None,
    True,
    [],
    {},
]


def tree_of(chance: random.Random, depth: int) -> Any:
    """Any tree: most are wrong in some way."""
    kind = chance.random()
    if depth == 0 or kind < 0.3:
        return chance.choice(LEAVES)
    if kind < 0.5:
        return [tree_of(chance, depth - 1) for _ in range(chance.randrange(3))]
    directive = chance.choice(list(DIRECTIVES.values()))
    keys = [directive.key, *directive.needed, *directive.optional] if kind < 0.9 else chance.sample(KEYS, 3)
    return {key: tree_of(chance, depth - 1) for key in keys}


@pytest.mark.parametrize("seed", range(20))
def test_any_tree_gives_a_function_or_faults_and_never_fails(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        tree = tree_of(chance, 4)
        bench = Bench(fragments={"f": {"args": ["a"], "do": tree_of(chance, 3)}}, tables={"t": {"a": 1}})
        code = emit.module(bench.functions(tree))
        read_paths.reads(tree, "body", bench.scope())
        if bench.faults:
            continue
        for body in (None, {"a": "text", "l": [1, {"a": 2}]}, [1, [2]]):
            with contextlib.suppress(CallError, MappingError):
                json.dumps(program.run(code)["m_test"]([], body), default=str)


@pytest.mark.parametrize(
    "tree", [{"$for": "x in body", "$do": []}, {"$let": {}, "$in": None}, {"$merge": []}, {"a": {}}]
)
def test_tree_without_content_is_good(tree: Any) -> None:
    assert run(tree, [1]) in ([], None, {"a": {}})
