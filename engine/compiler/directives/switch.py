"""`$switch`: a tree by value."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from engine.compiler.directives.record import Directive, DirectiveChild, Example, Role, branch
from engine.compiler.expressions import expression
from engine.compiler.expressions.code import assign, call, choose, compare, const, has_type, name, walrus, when
from engine.compiler.expressions.frame import Frame
from engine.compiler.expressions.scope import Path
from engine.compiler.expressions.sinks import Sink, operand

_MOST = 150
"""Cases of one switch; Python's own compiler follows their chain by recursion."""


def _write(frame: Frame, tree: dict[str, Any], sink: Sink, path: Path) -> None:
    cases = tree["$case"]
    if not isinstance(cases, dict) or not cases:
        frame.fault("wrong-type", "`$case` holds a tree for each value", (*path, "$case"), expected="a map")
        return
    if len(cases) > _MOST:
        frame.fault(
            "too-large", f"`$case` holds more than {_MOST} values", (*path, "$case"), expected="a table and `lookup`"
        )
        return
    code = operand(frame, expression.field(frame, tree["$switch"], (*path, "$switch")))
    local = frame.temp("case")
    if code.kind == "text":
        frame.add(assign(local, code.node))
    else:
        test = has_type(walrus(local, code.node), "str")
        frame.add(assign(local, choose(test, name(local), call("o_case_of", name(local)))))
    otherwise = branch(frame, cases, "_", sink, (*path, "$case"))
    for key in reversed([key for key in cases if key != "_"]):
        body = branch(frame, cases, key, sink, (*path, "$case"))
        otherwise = [frame.located(when(compare(name(local), ast.Eq(), const(str(key))), body, otherwise))]
    frame.block.extend(otherwise)


def _children(tree: dict[str, Any]) -> Iterator[DirectiveChild]:
    yield DirectiveChild(Role.ASKED, tree["$switch"], ("$switch",))
    cases = tree.get("$case")
    for key, case in cases.items() if isinstance(cases, dict) else ():
        yield DirectiveChild(Role.RESULT, case, ("$case", key))


def _unnamed(tree: dict[str, Any]) -> Path | None:
    cases = tree.get("$case")
    return ("$case",) if isinstance(cases, dict) and "_" not in cases else None


DIRECTIVE = Directive(
    "$switch",
    "the tree under `$case` that stands for the expression's value, else the one under `_`",
    _write,
    _children,
    ("$case",),
    examples=(
        Example('{$switch: "{{ body.t }}", $case: {a: {said: 1}, b: two, _: other}}', "two", {"t": "b"}),
        Example('{$switch: "{{ body.t }}", $case: {a: 1}}', None, {"t": "z"}),
    ),
    unnamed=_unnamed,
)
