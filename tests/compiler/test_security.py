"""An expression can't reach Python, run code, read a file, or hang a worker. The list grows with each report."""

from __future__ import annotations

import ast
import builtins
import time
from typing import Any

import pytest

from engine import filters, program
from engine.compiler.expressions import emit
from engine.errors import CallError, MappingError, Refusal
from tests.compiler.workbench import Bench, expression_faults, faults, run, value

WALKS = [
    "body.__class__",
    "body['__class__']",
    "body.__class__.__mro__[1].__subclasses__",
    "''.__class__",
    "body['__cl' ~ 'ass__']",
    "body.t.format",
    "body.list.__len__",
    "body.map.items",
    "body.map.get",
    "body | first | default(body.__init__)",
    "(body | string).__class__",
]
CALLS = [
    "body.__class__()",
    "body.t.format(body)",
    "''.join(['a'])",
    "range(1000000000)",
    "lipsum()",
    "cycler('a')",
    "namespace()",
    "dict(a=1)",
    "__import__('os')",
    "eval('1')",
    "open('/etc/passwd')",
    "(body | upper)()",
    "body[0]()",
]
NAMES = [
    "__builtins__",
    "o_read",
    "f_lower",
    "_r",
    "_n",
    "v_body",
    "NULL",
    "type",
    "Exception",
    "self",
    "loop",
    "Refusal",
]
FILTERS = ["attr('__class__')", "map('upper')", "xmlattr", "format('a')", "pprint", "safe", "groupby('a')", "random"]


@pytest.mark.parametrize("text", WALKS)
def test_walk_along_attributes_finds_only_keys_of_data(text: str) -> None:
    body = {"t": "text", "list": [1], "map": {"a": 1}}
    found = expression_faults(text)
    if found:
        assert {fault.code for fault in found} == {"bad-expression"}
    else:
        assert value(text, body) in (None, "text")


def test_dunder_name_reads_the_key_of_that_name() -> None:
    assert value("body.__class__", {"__class__": "data"}) == "data"


@pytest.mark.parametrize("text", CALLS)
def test_nothing_can_be_called(text: str) -> None:
    assert "bad-expression" in {fault.code for fault in expression_faults(text)}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_the_generated_module_are_out_of_reach(name: str) -> None:
    assert [fault.code for fault in expression_faults(name)] == ["unknown-name"]


@pytest.mark.parametrize("text", FILTERS)
def test_filters_of_templates_that_reach_python_do_not_exist(text: str) -> None:
    assert [fault.code for fault in expression_faults(f"body | {text}")] == ["unknown-filter"]


def test_percent_never_formats_text() -> None:
    assert [fault.code for fault in expression_faults("'%s' % body")] == ["bad-expression"]
    with pytest.raises(MappingError):
        value("body.a % body.b", {"a": "%999999999d", "b": 1})


def test_generated_module_has_no_way_to_import_or_open() -> None:
    names = filters.namespace()
    assert not {"__import__", "open", "eval", "exec", "getattr", "compile", "globals"} & set(names["__builtins__"])
    assert set(names["__builtins__"]) <= set(vars(builtins))


def test_a_variable_or_key_can_not_smuggle_code_into_the_module() -> None:
    evil = "x'] or __import__('os').system('true') or {}['"
    bench = Bench(tables={evil: {evil: evil}})
    tree = {evil: "{{ body | lookup(" + repr(evil) + ") }}", "lines": "a\nimport os\n{{ body }}"}
    found = bench.compiled(tree)([], evil)
    assert found == {evil: evil, "lines": f"a\nimport os\n{evil}"}
    functions = bench.functions(tree)
    text = ast.unparse(ast.Module([*emit.head(functions).body, *(item.node for item in functions if item.node)], []))
    assert "import os" not in [line.strip() for line in text.splitlines()]


@pytest.mark.parametrize("name", ["class", "None", "x y", "a;b", "__builtins__\n"])
def test_odd_names_of_variables_are_faults_or_harmless(name: str) -> None:
    tree = {"$let": {name: "1"}, "$in": {"a": "x"}}
    bench = Bench()
    functions = bench.functions(tree)
    if not bench.faults:
        assert program.run(emit.module(functions))["m_test"]([], {}) == {"a": "x"}
    else:
        assert bench.faults[0].code == "wrong-value"


BOMBS: list[tuple[str, Any]] = [
    ("body.a * 1000000000", {"a": "x"}),
    ("body.a * body.b", {"a": [1], "b": 10**9}),
    (" * ".join(["body.a"] * 40), {"a": 10**30}),
    ("body | replace('a', '" + "b" * 5000 + "')", "a" * 100_000),
    ("body | split('') | join(body)", "ab" * 100_000),
    ("body | int", "9" * 1_000_000),
    ("body | float", "9" * 1_000_000),
    ("body | fromjson", "[" * 500_000),
    ("body | fromjson", "9" * 500_000),
    ("body | matches('^(a+)+$')", "a" * 100_000 + "b"),
    ("body | replace_re('(a|a)*b', 'x')", "a" * 100_000),
    ("body | replace_re('a', '" + "b" * 5000 + "')", "a" * 100_000),
    ("body | round(1000000000)", 1.5),
    ("body | scale(1, body)", 1e308),
    ("body | rfc3339", 1e300),
    ("body | unix", "9" * 100_000),
    ("body | unique", [[i] for i in range(50_000)]),
]


@pytest.mark.parametrize(("text", "body"), BOMBS, ids=[text[:40] for text, _ in BOMBS])
def test_bomb_ends_soon_with_a_bounded_result(text: str, body: Any) -> None:
    function = Bench().expression(text)
    started = time.process_time()
    try:
        found = function([], body)
    except MappingError:
        found = None
    assert time.process_time() - started < 2
    assert len(str(found)) < 20_000_000


@pytest.mark.parametrize("pattern", ["(a{1000}){1000}", "((a{100}){100}){100}", "a" * 5000, "(?=a)", "(a)\\1"])
def test_pattern_that_is_too_large_or_not_linear_is_a_fault(pattern: str) -> None:
    assert [fault.code for fault in expression_faults(f"body | matches({pattern!r})")] == ["bad-pattern"]


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000 + "1" + ")" * 5000,
        "not " * 5000 + "1",
        "-" * 5000 + "1",
        "+".join(["1"] * 5000),
        "[" * 900,
        "x" * 30_000,
        "body" + ".a" * 5000,
        "body" + " | first" * 3000,
        "1 if " * 300 + "1",
    ],
    ids=lambda text: text[:8],
)
def test_monster_of_an_expression_is_a_fault(text: str) -> None:
    assert [fault.code for fault in expression_faults(text)] == ["bad-expression"]


def test_tree_that_nests_without_end_is_a_fault() -> None:
    tree: Any = "x"
    for _ in range(500):
        tree = {"$if": "body", "$then": [{"a": tree}]}
    assert "too-large" in {fault.code for fault in faults(tree)}


def test_fragment_that_uses_itself_is_stopped_at_a_depth() -> None:
    fragments = {"deep": {"args": ["x"], "do": {"in": {"$use": "deep", "$with": {"x": "{{ x.in }}"}}}}}
    with pytest.raises(Refusal, match="nested too deep"):
        run({"$use": "deep", "$with": {"x": "{{ body }}"}}, {}, fragments=fragments)


def test_fragment_that_uses_itself_twice_is_stopped_by_its_steps() -> None:
    twice = {"$use": "tree", "$with": {"x": "{{ x }}"}}
    started = time.process_time()
    fragments = {"tree": {"args": ["x"], "do": [twice, twice]}}
    with pytest.raises((CallError, MappingError)):
        run({"$use": "tree", "$with": {"x": "{{ body }}"}}, 1, fragments=fragments)
    assert time.process_time() - started < 10


def test_fragments_that_use_others_hundreds_of_times_are_a_fault() -> None:
    fragments = {
        "wide": {"args": ["x"], "do": {f"k{i}": {"$use": "wide2", "$with": {"x": "{{ x }}"}} for i in range(400)}},
        "wide2": {"args": ["x"], "do": {f"k{i}": {"$use": "leaf", "$with": {"x": "{{ x }}"}} for i in range(200)}},
        "leaf": {"args": ["x"], "do": "{{ x }}"},
    }
    found = faults({"$use": "wide", "$with": {"x": "{{ body }}"}}, fragments=fragments)
    assert {fault.code for fault in found} == {"too-large"}


def test_loops_inside_loops_are_stopped_by_their_steps() -> None:
    tree: Any = "{{ body | length }}"
    for name in "abcd":
        tree = [{"$for": f"{name} in body", "$do": tree}]
    with pytest.raises(MappingError, match="steps"):
        run({"x": tree}, list(range(300)))


def test_doubling_text_in_a_fragment_is_bounded() -> None:
    fragments = {"grow": {"args": ["x"], "do": {"$use": "grow", "$with": {"x": "{{ x ~ x }}"}}}}
    with pytest.raises(MappingError, match="grows too long"):
        run({"$use": "grow", "$with": {"x": "{{ body }}"}}, "seed", fragments=fragments)


def test_squaring_a_number_in_a_fragment_is_bounded() -> None:
    fragments = {"grow": {"args": ["x"], "do": {"$use": "grow", "$with": {"x": "{{ x * x }}"}}}}
    with pytest.raises(MappingError, match="too large"):
        run({"$use": "grow", "$with": {"x": "{{ body }}"}}, 3, fragments=fragments)


def test_growing_a_list_in_a_fragment_is_bounded() -> None:
    fragments = {"grow": {"args": ["x"], "do": {"$use": "grow", "$with": {"x": "{{ x + x }}"}}}}
    with pytest.raises(MappingError, match=r"grows too long|steps"):
        run({"$use": "grow", "$with": {"x": "{{ body }}"}}, [1, 2], fragments=fragments)


REPEATED = [
    "{{ body.list | find('id', x) is present }}",
    "{{ x in body.list }}",
    "{{ body.text ~ x }}",
    "{{ body.text + 'x' }}",
    "{{ body.text | upper }}",
    "{{ body.text | matches('nowhere$') }}",
    "{{ body.text is matches('nowhere$') }}",
    "{{ body.list | tojson }}",
    "{{ body.list | join('') }}",
    "{{ body.list + [x] }}",
    "{{ body.text | replace_re('nowhere', '') }}",
]


@pytest.mark.parametrize("text", REPEATED)
def test_much_work_in_each_turn_of_a_loop_is_stopped_by_its_steps(text: str) -> None:
    body = {"list": [{"id": i} for i in range(50_000)], "text": "t" * 2_000_000, "turns": list(range(50_000))}
    function = Bench().compiled([{"$for": "x in body.turns", "$do": text}])
    started = time.process_time()
    with pytest.raises(MappingError, match="steps"):
        function([], body)
    assert time.process_time() - started < 8


def _doubling(first: str, how: Any, count: int = 24) -> dict[str, Any]:
    """Names that each hold the one before as ``how`` says, with ``@`` for it."""
    names = {"n0": first} | {f"n{i}": _with(how, f"n{i - 1}") for i in range(1, count)}
    return {"$let": names, "$in": {"x": f"{{{{ n{count - 1} }}}}"}}


def _with(how: Any, name: str) -> Any:
    if isinstance(how, list):
        return [_with(one, name) for one in how]
    if isinstance(how, dict):
        return {key: _with(one, name) for key, one in how.items()}
    return how.replace("@", name)


DOUBLING: list[tuple[str, Any]] = [
    ("list", ["{{ @ }}"] * 4),
    ("map", {"a": "{{ @ }}", "b": "{{ @ }}"}),
    ("list in an expression", "{{ [@, @] }}"),
    ("map in an expression", "{{ {'a': @, 'b': @} }}"),
    ("text", "{{ @ ~ @ }}"),
    ("text in pieces", "{{ @ }}{{ @ }}"),
    ("escapes", "{{ @ | tojson }}"),
    ("lists put together", "{{ @ + @ }}"),
    ("filter", "{{ @ | concat(@) }}"),
    ("loop", [{"$for": "x in @", "$do": ["{{ x }}", "{{ x }}"]}]),
    ("loop of constants", [{"$for": "x in @", "$do": ["a", "b"]}]),
    ("branch", {"$if": "body", "$then": ["{{ @ }}", "{{ @ }}"]}),
    ("argument", {"$use": "pair", "$with": {"x": "{{ @ }}"}}),
]
PAIR = {"pair": {"args": ["x"], "do": {"l": "{{ x }}", "r": "{{ x }}"}}}


@pytest.mark.parametrize("how", [how for _, how in DOUBLING], ids=[name for name, _ in DOUBLING])
def test_names_that_hold_each_other_twice_are_a_fault_where_it_is_too_much(how: Any) -> None:
    found = faults(_doubling("{{ body }}", how), fragments=PAIR)
    assert {fault.code for fault in found} == {"too-large"}
    assert found[0].path.startswith("spec.request.decode.$let.n")
    assert not faults(_doubling("{{ body }}", how, 4), fragments=PAIR)


def test_fragments_that_use_each_other_twice_are_a_fault() -> None:
    def twice(i: int) -> Any:
        return {"$use": f"f{i + 1}", "$with": {"x": ["{{ x }}", "{{ x }}"]}} if i < 20 else "{{ x }}"

    fragments = {f"f{i}": {"args": ["x"], "do": twice(i)} for i in range(21)}
    found = faults({"x": {"$use": "f0", "$with": {"x": "{{ body }}"}}}, fragments=fragments)
    assert {fault.code for fault in found} == {"too-large"}


def test_chain_of_fragments_without_end_is_a_fault() -> None:
    fragments = {f"f{i}": {"args": [], "do": {"$use": f"f{i + 1}"} if i < 999 else "x"} for i in range(1000)}
    assert "too-large" in {fault.code for fault in faults({"x": {"$use": "f0"}}, fragments=fragments)}


BY_DATA: list[tuple[str, Any]] = [
    ("outer value in a loop", [{"$for": "x in body.turns", "$do": "{{ body }}"}]),
    ("outer text in a loop", [{"$for": "x in body.turns", "$do": "{{ body.text }}"}]),
    ("outer text in a text", [{"$for": "x in body.turns", "$do": "{{ body.text }}{{ x }}"}]),
    ("name of a loop", [{"$for": "x in body.turns", "$do": {"$let": {"y": "{{ body }}"}, "$in": {"a": "{{ y }}"}}}]),
    ("outer item", [{"$for": "x in [body]", "$do": [{"$for": "y in body.turns", "$do": "{{ x }}"}]}]),
    ("outer list", [{"$for": "x in body.turns", "$do": [{"$for": "y in [body]", "$do": "{{ y }}"}]}]),
    ("argument", [{"$for": "x in body.turns", "$do": {"$use": "pair", "$with": {"x": "{{ body }}"}}}]),
    ("merged", [{"$for": "x in body.turns", "$do": {"$merge": ["{{ body }}", {"x": "{{ x }}"}]}}]),
    ("circle", {"$use": "tree", "$with": {"x": "{{ body }}", "deep": "{{ body.deep }}"}}),
    ("growing argument", {"$use": "grow", "$with": {"x": "{{ body }}", "deep": "{{ body.deep }}"}}),
    ("growing result", {"$use": "result", "$with": {"x": "{{ body }}", "deep": "{{ body.deep }}"}}),
]


def _circle(do: Any) -> dict[str, Any]:
    return {"args": ["x", "deep"], "do": {"$if": "deep is present", "$then": do, "$else": "{{ x }}"}}


_ON = {"x": "{{ x }}", "deep": "{{ deep.in }}"}
CIRCLES = PAIR | {
    "tree": _circle([{"$use": "tree", "$with": _ON}, {"$use": "tree", "$with": _ON}]),
    "grow": _circle([{"$use": "grow", "$with": _ON | {"x": ["{{ x }}", "{{ x }}"]}}]),
    "result": _circle({"$let": {"r": {"$use": "result", "$with": _ON}}, "$in": {"a": "{{ r }}", "b": "{{ r }}"}}),
}


@pytest.mark.parametrize("tree", [tree for _, tree in BY_DATA], ids=[name for name, _ in BY_DATA])
def test_value_that_is_put_in_by_the_data_time_and_again_is_stopped_by_its_steps(tree: Any) -> None:
    deep: Any = {}
    for _ in range(40):
        deep = {"in": deep}
    body = {"text": "t" * 100_000, "turns": list(range(20_000)), "deep": deep}
    function = Bench(fragments=CIRCLES).compiled({"x": tree})
    started = time.process_time()
    with pytest.raises(MappingError, match="steps"):
        function([], body)
    assert time.process_time() - started < 8


def test_values_that_a_loop_goes_through_once_take_no_steps() -> None:
    body = {"turns": [{"text": "t" * 1_000_000, "more": ["m" * 1_000]}] * 100}
    turn = {
        "a": "{{ x.text }}",
        "b": "{{ x.more }}",
        "c": [{"$for": "y in x.more", "$do": "{{ y }}"}],
        "d": "{{ model }}",
    }
    found = run({"$let": {"model": "{{ 'm' }}"}, "$in": {"x": [{"$for": "x in body.turns", "$do": turn}]}}, body)
    assert len(found["x"]) == 100


@pytest.mark.parametrize(
    ("kids", "stopped"),
    [
        ([{"$for": "q in p.kids", "$do": {"$use": "f", "$with": {"p": "{{ q }}"}}}], False),
        ([{"$for": "q in p.kids", "$do": {"$use": "f", "$with": {"p": "{{ q }}"}}}] * 2, True),
        ([{"$for": "q in p.kids", "$do": {"$use": "f", "$with": {"p": "{{ p.kids[0] }}"}}}], True),
    ],
)
def test_fragment_that_goes_down_its_argument_once_takes_no_steps_by_length(kids: Any, stopped: bool) -> None:
    text = "t" * 10_000_000  # eight of each would take more steps than there are for ten
    body: dict[str, Any] = {"text": text}
    for _ in range(9):
        body = {"text": text, "kids": [body]}
    tree = {"$use": "f", "$with": {"p": "{{ body }}"}}
    fragments = {"f": {"args": ["p"], "do": {"texts": ["{{ p.text }}"] * 8, "kids": kids}}}
    if not stopped:
        assert run(tree, body, fragments=fragments)["texts"][7] is text
        return
    with pytest.raises(MappingError, match="steps"):
        run(tree, body, fragments=fragments)
